"""What a window leaves behind: codes where it decides alone, scores in the frame where neighbours do too.

::

    +-----------------+   window's say: core + reach on all sides
    | frame, 2·reach  |   scores, weighted: kept until the neighbours are there
    |   +---------+   |
    |   |  codes  |   |   decided at once
    |   +---------+   |
    +-----------------+

A row of windows waits for the next one, so that memory grows with a scene's width: by a third of what whole
scores would take.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.mask import scores
from pipeline.types import Code, Lattice, ModelCard

FloatArray = NDArray[np.float32]
Codes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Window:
    """One window's part in the mask; K classes, `reach` and `core` of its lattice in pixels."""

    codes: Codes
    """(plane, core, core); means nothing within `reach` of the core's edges."""
    top: FloatArray
    """(K, 2 · reach, core + 2 · reach) weighted scores of the first lines, NaN = no data."""
    bottom: FloatArray
    """Likewise of the last lines."""
    left: FloatArray
    """(K, core + 2 · reach, 2 · reach) of the first columns."""
    right: FloatArray
    """Likewise of the last columns."""


def decided(
    card: ModelCard, said: FloatArray, missing: NDArray[np.bool_], *, sure: bool
) -> Window:
    """Decide what one window can, and keep the rest.

    Parameters
    ----------
    card
        The model.
    said
        (K, core + 2 · reach, the same) float32 scores, checked, not yet weighted; not written to.
    missing
        (core + 2 · reach, the same), where there is no data.
    sure
        Whether there is a second plane, the probability in per cent.
    """
    reach, weights = card.lattice.reach_px, scores.weights_of(card.lattice)
    core = slice(reach, said.shape[1] - reach)
    # Alone a window counts one: weighted or not is the same.
    codes = scores.planes(card, said[:, core, core], missing[core, core], sure=sure)
    strips = []
    for ys, xs in _frame(reach):
        strip = said[:, ys, xs] * weights[ys, xs]
        strip[:, missing[ys, xs]] = np.nan
        strips.append(strip)
    top, bottom, left, right = strips
    return Window(codes=codes, top=top, bottom=bottom, left=left, right=right)


def _frame(reach: int) -> tuple[tuple[slice, slice], ...]:
    every, first = slice(None), slice(0, 2 * reach)
    last = slice(-2 * reach, None) if reach else first
    return (first, every), (last, every), (every, first), (every, last)


def nothing(card: ModelCard, *, sure: bool) -> Window:
    """Return what a window without data leaves."""
    core, width, n_classes = card.lattice.core_px, card.lattice.blend_px, len(card.classes)
    lying = np.full((n_classes, width, core + width), np.nan, np.float32)
    standing = np.full((n_classes, core + width, width), np.nan, np.float32)
    codes = np.zeros((2 if sure else 1, core, core), np.uint8)
    codes[0] = Code.NO_DATA
    return Window(codes=codes, top=lying, bottom=lying, left=standing, right=standing)


Row = Sequence[Window | None]
"""A window between its neighbours to the left and right; none where there is none."""


def settled(card: ModelCard, beside: Sequence[Row], *, sure: bool) -> Codes:
    """Decide a window's core together with its neighbours.

    Sums have two terms along x, then two along y, in whatever way the plane is cut into blocks:
    float32 sums of two do not depend on their order, sums of four do.

    Parameters
    ----------
    card
        The model.
    beside
        The rows above, of and below the window, each of three.
    sure
        Whether there is a second plane.

    Returns
    -------
    (plane, core, core).
    """
    above, row, below = beside
    own = _own(row)
    codes, reach = own.codes.copy(), card.lattice.reach_px
    if reach:
        first, last = slice(0, reach), slice(-reach, None)
        inner = slice(reach, card.lattice.core_px - reach)
        every = slice(None)
        sides = (
            (first, every, _added(_line(row, "top", last), _line(above, "bottom", last))),
            (last, every, _added(_line(row, "bottom", first), _line(below, "top", first))),
            (
                inner,
                first,
                _column(own.left, row[0].right if row[0] else None, last, card.lattice),
            ),
            (
                inner,
                last,
                _column(own.right, row[2].left if row[2] else None, first, card.lattice),
            ),
        )
        for ys, xs, sums in sides:
            codes[:, ys, xs] = scores.planes(card, sums, np.isnan(sums[0]), sure=sure)
    return codes


def _own(row: Row) -> Window:
    own = row[1]
    assert own is not None
    return own


def _line(row: Row, name: str, ys: slice) -> FloatArray | None:
    """Add up what a row says about some lines of the core in its middle, (K, reach, core)."""
    if row[1] is None:
        return None
    left, own, right = (_lines(each, name, ys) if each else None for each in row)
    assert own is not None
    reach = own.shape[1]
    sums: FloatArray = own[..., reach:-reach].copy()
    if left is not None:
        sums[..., :reach] += left[..., -reach:]
    if right is not None:
        sums[..., -reach:] += right[..., :reach]
    return sums


def _lines(window: Window, name: str, ys: slice) -> FloatArray:
    strip: FloatArray = getattr(window, name)
    return strip[:, ys]


def _column(
    own: FloatArray, other: FloatArray | None, xs: slice, lattice: Lattice
) -> FloatArray:
    """Add up some columns of two strips side by side, less the lines that hear other rows."""
    ys = slice(lattice.blend_px, lattice.core_px)
    sums = own[:, ys, xs]
    return sums if other is None else sums + other[:, ys, xs]


def _added(sums: FloatArray | None, other: FloatArray | None) -> FloatArray:
    assert sums is not None
    if other is not None:
        sums += other
    return sums
