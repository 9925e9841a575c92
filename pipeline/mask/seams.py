"""Does a mask show where it was cut? Compares lines where windows or tiles meet with all others.

The statistic. ``r(x)`` is the label-change rate at ``x``: of the pairs of pixels (x - 1, x) that
both have data, the share whose codes differ. Over a set of lines the rate is that of all their
pairs, vertical and horizontal ones together. A seam raises it; so may a coast or a field that lies
there by chance, which is why the same set of lines is moved over the mask, one pixel at a time by
less than the lines are apart, and gives the rates that this very picture has elsewhere. Strength
is how far the rate at the lines lies above the median of those, in standard deviations, estimated
by 1.4826 times their median absolute deviation (that of a normal distribution).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.types import Code

DETECTED = 4.0
"""Strength from which lines count as seams."""

APART_PX = 8
"""Moved lines keep this distance from the true ones: a seam is not its own comparison."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seams:
    """What a mask shows on a set of lines."""

    rate: float
    """Label-change rate on the lines, 0 … 1."""
    elsewhere: float
    """Median of the rates on the moved lines."""
    strength: float
    """Deviations above it; NaN where nothing can be compared."""

    @property
    def found(self) -> bool:
        """Whether the lines show."""
        return self.strength >= DETECTED


def seams(mask: NDArray[np.uint8], ys: Sequence[int], xs: Sequence[int]) -> Seams:
    """Measure how much lines show in a mask.

    Parameters
    ----------
    mask
        (y, x) codes of `Code`.
    ys, xs
        First pixel after each line, e.g. ``[512, 1024]``: rows and columns in 1 … size - 1, ascending;
        one of the two may be empty.

    Returns
    -------
    The rates, and how far they lie apart.
    """
    counts = [_changes(mask, 0), _changes(mask, 1)]
    lines = [np.asarray(ys, int), np.asarray(xs, int)]
    step = min(
        int(np.diff(each, append=each[0] + size).min())
        for each, size in zip(lines, mask.shape, strict=True)
        if each.size
    )
    rate = _rate(counts, lines, 0)
    others = np.array(
        [_rate(counts, lines, by) for by in range(-step // 2, step // 2) if abs(by) >= APART_PX]
    )
    others = others[np.isfinite(others)]
    if not (np.isfinite(rate) and others.size):
        return Seams(rate=rate, elsewhere=float("nan"), strength=float("nan"))
    usual = float(np.median(others))
    deviation = 1.4826 * float(np.median(np.abs(others - usual)))
    # A mask of one class has no changes anywhere; then a single one on the lines is infinitely many.
    excess = rate - usual
    strength = excess / deviation if deviation else (np.inf if excess > 0 else 0.0)
    return Seams(rate=rate, elsewhere=usual, strength=float(strength))


def _changes(mask: NDArray[np.uint8], axis: int) -> NDArray[np.int64]:
    """Count, before each position of an axis, pairs that differ and pairs: (2, size)."""
    along = np.moveaxis(mask, axis, 0)
    pairs = (along[1:] != Code.NO_DATA) & (along[:-1] != Code.NO_DATA)
    differ = (along[1:] != along[:-1]) & pairs
    none = np.zeros(1, np.int64)
    return np.stack([np.concatenate([none, each.sum(axis=1)]) for each in (differ, pairs)])


def _rate(
    counts: Sequence[NDArray[np.int64]], lines: Sequence[NDArray[np.int_]], by: int
) -> float:
    differ = pairs = 0
    for counted, each in zip(counts, lines, strict=True):
        moved = each + by
        inside = moved[(moved >= 1) & (moved < counted.shape[1])]
        differ += int(counted[0, inside].sum())
        pairs += int(counted[1, inside].sum())
    return differ / pairs if pairs else float("nan")
