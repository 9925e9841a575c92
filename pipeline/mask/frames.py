"""What a window leaves behind: codes where it decides alone, scores in the frame where neighbours do too.

::

    +-----------------+   window's say: core + reach on all sides
    | frame, 2·reach  |   scores, weighted: kept until the neighbours are there
    |   +---------+   |
    |   |  codes  |   |   decided at once
    |   +---------+   |
    +-----------------+

    windows of a row ──▶ `Core`: all but its first and last lines, and what it says of the rows above and below
    cores of three rows ──▶ codes

A row waits for the next one, so that memory grows with a scene's width: by codes and four times `reach` lines
a window, a twentieth of what whole scores would take.
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
    """(K, core - 2 · reach, 2 · reach) of the first columns, less the lines that hear other rows."""
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
    whole, strips = not missing.any(), []
    for ys, xs in _frame(card.lattice):
        strip = said[:, ys, xs] * weights[ys, xs]
        if not whole:
            strip[:, missing[ys, xs]] = np.nan
        strips.append(strip)
    top, bottom, left, right = strips
    return Window(codes=codes, top=top, bottom=bottom, left=left, right=right)


def _frame(lattice: Lattice) -> tuple[tuple[slice, slice], ...]:
    reach = lattice.reach_px
    every, first = slice(None), slice(0, 2 * reach)
    last = slice(-2 * reach, None) if reach else first
    inner = slice(2 * reach, lattice.core_px)
    return (first, every), (last, every), (inner, first), (inner, last)


def nothing(card: ModelCard, *, sure: bool) -> Window:
    """Return what a window without data leaves."""
    core, width, n_classes = card.lattice.core_px, card.lattice.blend_px, len(card.classes)
    lying = np.full((n_classes, width, core + width), np.nan, np.float32)
    standing = np.full((n_classes, core - width, width), np.nan, np.float32)
    codes = np.zeros((2 if sure else 1, core, core), np.uint8)
    codes[0] = Code.NO_DATA
    return Window(codes=codes, top=lying, bottom=lying, left=standing, right=standing)


Row = Sequence[Window | None]
"""A window between its neighbours to the left and right; none where there is none."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Core:
    """A core on which its own row has decided, as far as it does so alone; (K, reach, core) each but `codes`."""

    codes: Codes
    """(plane, core, core); means nothing within `reach` of the first and the last line."""
    first: FloatArray
    """Weighted scores of the first lines, NaN = no data."""
    last: FloatArray
    """Likewise of the last lines."""
    above: FloatArray
    """Likewise what the row says of the last lines of the core above."""
    below: FloatArray
    """Likewise of the first lines of the core below."""


# Sums have two terms along x, then two along y, in whatever way the plane is cut into blocks: float32 sums
# of two do not depend on their order, sums of four do.


def cored(card: ModelCard, row: Row, *, sure: bool) -> Core:
    """Decide a window's core together with its neighbours to the left and right."""
    own, (first, last) = _own(row), _halves(card)
    codes, reach = own.codes.copy(), card.lattice.reach_px
    if reach:
        ys = slice(reach, card.lattice.core_px - reach)
        left, right = row[0], row[2]
        # Of a strip of 2 · reach columns, half lies in the core.
        for xs, half, strip, other in (
            (slice(0, reach), last, own.left, left.right if left else None),
            (slice(-reach, None), first, own.right, right.left if right else None),
        ):
            sums = strip[..., half] if other is None else strip[..., half] + other[..., half]
            codes[:, ys, xs] = _chosen(card, sums, sure=sure)
    return Core(
        codes=codes,
        first=_line(row, "top", last),
        last=_line(row, "bottom", first),
        above=_line(row, "top", first),
        below=_line(row, "bottom", last),
    )


def settled(
    card: ModelCard,
    core: Core,
    above: Core | None,
    below: Core | None,
    *,
    sure: bool,
) -> Codes:
    """Decide the rest of a core together with those above and below, if there are any.

    Returns
    -------
    (plane, core, core).
    """
    codes, reach = core.codes.copy(), card.lattice.reach_px
    if reach:
        first = core.first if above is None else core.first + above.below
        last = core.last if below is None else core.last + below.above
        codes[:, :reach] = _chosen(card, first, sure=sure)
        codes[:, -reach:] = _chosen(card, last, sure=sure)
    return codes


def _chosen(card: ModelCard, sums: FloatArray, *, sure: bool) -> Codes:
    return scores.planes(card, sums, np.isnan(sums[0]), sure=sure)


def _halves(card: ModelCard) -> tuple[slice, slice]:
    """Return the first and the second half of a strip of 2 · reach lines or columns."""
    reach = card.lattice.reach_px
    return slice(0, reach), slice(reach, None)


def _own(row: Row) -> Window:
    own = row[1]
    assert own is not None
    return own


def _line(row: Row, name: str, ys: slice) -> FloatArray:
    """Add up what a row says about some lines of the core in its middle, (K, reach, core)."""
    left, own, right = (_lines(each, name, ys) if each else None for each in row)
    assert own is not None
    reach = own.shape[1]
    # Without blending strips have no lines.
    sums = own[..., reach : own.shape[2] - reach].copy()
    if left is not None and reach:
        sums[..., :reach] += left[..., -reach:]
    if right is not None and reach:
        sums[..., -reach:] += right[..., :reach]
    return sums


def _lines(window: Window, name: str, ys: slice) -> FloatArray:
    strip: FloatArray = getattr(window, name)
    return strip[:, ys]
