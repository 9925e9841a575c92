"""What a window leaves behind: codes where it decides alone, scores in the frame that it shares with others.

::

    +-----------------+   window's say: core + reach on all sides
    | shared, 2·reach |   scores, weighted: kept until the other window is there
    |   +---------+   |
    |   |  alone  |   |   codes, decided at once
    |   +---------+   |
    +-----------------+

    `Window` and the one to its left     ──▶ `Stretch`: its lines, from what it shares with the left one on
    `Stretch` and the foot of that above ──▶ codes, from what it shares with the one above on

What two windows share belongs to the later one in reading order, so that nothing waits for what comes after it,
and of a row only its feet are kept for the next: `2 · reach` lines of scores.
"""

from __future__ import annotations

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
    """(plane, core - 2 · reach, the same), where it decides alone."""
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
    weights, alone = scores.weights_of(card.lattice), decides_alone(card.lattice)
    # Alone a window counts one: weighted or not is the same.
    codes = scores.planes(card, said[:, alone, alone], missing[alone, alone], sure=sure)
    whole, strips = not missing.any(), []
    for ys, xs in shared_parts(card.lattice):
        strip = said[:, ys, xs] * weights[ys, xs]
        if not whole:
            strip[:, missing[ys, xs]] = np.nan
        strips.append(strip)
    top, bottom, left, right = strips
    return Window(codes=codes, top=top, bottom=bottom, left=left, right=right)


def decides_alone(lattice: Lattice) -> slice:
    """Return the part of a window's say, along an axis, that no other has a say in."""
    return slice(lattice.blend_px, lattice.core_px)


def shared_parts(lattice: Lattice) -> tuple[tuple[slice, slice], ...]:
    """Return the rows and columns of a window's say that become `top`, `bottom`, `left` and `right`."""
    every, alone = slice(None), decides_alone(lattice)
    first, last = slice(0, lattice.blend_px), slice(lattice.core_px, None)
    return (first, every), (last, every), (alone, first), (alone, last)


def nothing(card: ModelCard, *, sure: bool) -> Window:
    """Return what a window without data leaves."""
    core, width, n_classes = card.lattice.core_px, card.lattice.blend_px, len(card.classes)
    lying = np.full((n_classes, width, core + width), np.nan, np.float32)
    standing = np.full((n_classes, core - width, width), np.nan, np.float32)
    codes = np.zeros((2 if sure else 1, core - width, core - width), np.uint8)
    codes[0] = Code.NO_DATA
    return Window(codes=codes, top=lying, bottom=lying, left=standing, right=standing)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Stretch:
    """What a window and the one to its left decide, up to where the next one begins; see `scores.following`."""

    codes: Codes
    """(plane, core - 2 · reach, X), less the lines that hear other rows; X as of `scores.following`."""
    top: FloatArray
    """(K, 2 · reach, X) weighted scores of the lines before, NaN = no data."""
    foot: FloatArray
    """Likewise of the lines after."""


# Sums have two terms along x, then two along y, in whatever way the plane is cut into blocks: float32 sums
# of two do not depend on their order, sums of four do.


def beside(card: ModelCard, left: Window | None, own: Window, *, sure: bool) -> Stretch:
    """Decide what a window shares with the one to its left, if there is one."""
    shared = card.lattice.blend_px
    codes = own.codes
    if left is not None:
        codes = np.concatenate([_chosen(card, left.right + own.left, sure=sure), codes], axis=2)
    before = (left.top, left.bottom) if left else (None, None)
    top, foot = (
        scores.following(one, other, shared, axis=2)
        for one, other in zip(before, (own.top, own.bottom), strict=True)
    )
    return Stretch(codes=codes, top=top, foot=foot)


def under(card: ModelCard, above: FloatArray | None, own: Stretch, *, sure: bool) -> Codes:
    """Decide what a stretch shares with the one above it, of which the foot is given, if there is one.

    Returns
    -------
    (plane, Y, X) with Y and X as of `scores.following`.
    """
    if above is None:
        return own.codes
    return np.concatenate([_chosen(card, above + own.top, sure=sure), own.codes], axis=1)


def _chosen(card: ModelCard, sums: FloatArray, *, sure: bool) -> Codes:
    return scores.planes(card, sums, np.isnan(sums[0]), sure=sure)
