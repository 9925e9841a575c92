"""Measures whether seams show in a mask, at the lines where windows or tiles meet.

The label-change rate at ``x`` is the share of the pairs of pixels (x - 1, x), both with data, whose codes differ; the
rate of a set of lines is that of all their pairs, vertical and horizontal ones together. A seam raises it, but so may
a coast or a field that lies there by chance. The same set of lines is therefore shifted over the mask, pixel by pixel
and by less than the lines are apart, which gives the rates elsewhere in the same mask. Strength is the distance of the
rate at the lines above the median of the shifted ones, in standard deviations, estimated by 1.4826 times their median
absolute deviation (exact for a normal distribution).
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
"""Shifted lines keep this distance from the true ones, so that a seam is not compared with itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seams:
    """Label-change rates on a set of lines, and elsewhere."""

    rate: float
    """Label-change rate on the lines, 0 … 1."""
    elsewhere: float
    """Median of the rates on the shifted lines."""
    strength: float
    """Standard deviations by which `rate` exceeds that median; NaN where nothing can be compared."""

    @property
    def found(self) -> bool:
        """Whether the lines are seams."""
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
    # A mask without changes elsewhere has a deviation of 0: a single change on the lines is infinitely strong.
    excess = rate - usual
    strength = excess / deviation if deviation else (np.inf if excess > 0 else 0.0)
    return Seams(rate=rate, elsewhere=usual, strength=float(strength))


def _changes(mask: NDArray[np.uint8], axis: int) -> NDArray[np.int64]:
    """Count, at each position of an axis, the pairs that differ and all pairs: (2, size)."""
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
