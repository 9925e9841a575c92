"""Overlap-add without the scores of a whole scene: a window decides its inside, and keeps scores at its edges.

::

    +-----------------+   support of a window: core + reach on all sides
    |  edge, 2·reach  |   weighted scores, kept until the overlapping window is scored
    |   +---------+   |
    |   |  sole   |   |   codes, decided at once
    |   +---------+   |
    +-----------------+

    `WindowResult` + the one to its left          ──▶ `RowResult`, from the start of their overlap
    `RowResult` + the bottom edge of that above   ──▶ codes, likewise

The overlap of two windows is decided with the later one in row-major order, so that no window waits for a later one.
Of a row only the bottom edge, `2 · reach` lines of scores, is kept for the next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pipeline.mask import scores
from pipeline.mask.decide import choose
from pipeline.types import Code, Lattice, ModelCard

FloatArray = NDArray[np.float32]
Codes = NDArray[np.uint8]
Choose = Callable[[FloatArray, NDArray[np.bool_]], Codes]
"""Takes blended scores (K, y, x) and where there is no data (y, x); returns (plane, y, x) codes and, if asked, confidence."""


def by_card(card: ModelCard, *, confidence: bool) -> Choose:
    """Return how one model's scores are decided: `pipeline.mask.decide.choose`."""
    return partial(choose, card, confidence=confidence)


@dataclass(frozen=True, slots=True, eq=False)
class WindowResult:
    """A window's codes and edge scores; K classes, `reach` and `core` of its lattice in pixels."""

    codes: Codes
    """(plane, core - 2 · reach, core - 2 · reach), where no other window overlaps."""
    top: FloatArray
    """(K, 2 · reach, core + 2 · reach) weighted scores of the first lines, NaN = no data."""
    bottom: FloatArray
    """Likewise of the last lines."""
    left: FloatArray
    """(K, core - 2 · reach, 2 · reach) of the first columns, without the lines that other rows overlap."""
    right: FloatArray
    """Likewise of the last columns."""


def empty_result(lattice: Lattice, n_classes: int, *, confidence: bool) -> WindowResult:
    """Return the result of a window without data; its edges have so many planes of scores."""
    core, width = lattice.core_px, lattice.blend_px
    lying = np.full((n_classes, width, core + width), np.nan, np.float32)
    standing = np.full((n_classes, core - width, width), np.nan, np.float32)
    codes = np.zeros((2 if confidence else 1, core - width, core - width), np.uint8)
    codes[0] = Code.NO_DATA
    return WindowResult(codes=codes, top=lying, bottom=lying, left=standing, right=standing)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RowResult:
    """A window added to the one to its left, up to where the next one begins; X as of `scores.following`."""

    codes: Codes
    """(plane, core - 2 · reach, X), without the lines that other rows overlap."""
    top: FloatArray
    """(K, 2 · reach, X) weighted scores of the lines before, NaN = no data."""
    bottom: FloatArray
    """Likewise of the lines after."""


# However the plane is divided into blocks, sums take two terms along x, then two along y: a float32 sum of two
# terms does not depend on their order, a sum of four does.


def add_left(
    lattice: Lattice, chosen: Choose, left: WindowResult | None, own: WindowResult
) -> RowResult:
    """Decide the overlap of a window with the one to its left, if there is one."""
    codes = own.codes
    if left is not None:
        sums = left.right + own.left
        codes = np.concatenate([chosen(sums, np.isnan(sums[0])), codes], axis=2)
    before = (left.top, left.bottom) if left else (None, None)
    top, bottom = (
        scores.following(one, other, lattice.blend_px, axis=2)
        for one, other in zip(before, (own.top, own.bottom), strict=True)
    )
    return RowResult(codes=codes, top=top, bottom=bottom)


def add_above(chosen: Choose, above: FloatArray | None, own: RowResult) -> Codes:
    """Decide the overlap of a row with the bottom edge of the one above, if there is one.

    Returns
    -------
    (plane, Y, X) with Y and X as of `scores.following`.
    """
    if above is None:
        return own.codes
    sums = above + own.top
    return np.concatenate([chosen(sums, np.isnan(sums[0])), own.codes], axis=1)
