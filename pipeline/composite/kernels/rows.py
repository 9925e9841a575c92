"""Rows of many pixels: sorted, compared, and found again; compiled.

Arithmetic is neither fused nor reordered, and a pixel meets no other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.composite.kernels.compiled import compiled

_LANES = 256


@compiled
def ranked(bands: NDArray[np.float32], pairs: NDArray[np.int64]) -> NDArray[np.float32]:
    """Sort (B, T, N) along T by a network, the pairs (M, 2) of rows of which the first is to be the lesser."""
    n_bands, n_times, n_px = bands.shape
    out = np.empty_like(bands)
    rows = np.zeros((n_times, _LANES), np.float32)
    for b in range(n_bands):
        for first in range(0, n_px, _LANES):
            part = slice(first, min(first + _LANES, n_px))
            for t in range(n_times):
                # Adding zero turns −0 into +0: which of the two stands first would depend on the machine.
                _add(bands[b, t, part], np.float32(0), rows[t])
            for m in range(len(pairs)):
                _exchange(rows[pairs[m, 0]], rows[pairs[m, 1]])
            for t in range(n_times):
                _add(rows[t, : part.stop - first], np.float32(0), out[b, t, part])
    return out


@compiled
def _add(row: NDArray[np.float32], number: np.float32, to: NDArray[np.float32]) -> None:
    # Of one index that counts from zero alone, the compiler knows that it is never negative.
    for k in range(len(row)):
        to[k] = row[k] + number


@compiled
def _exchange(low: NDArray[np.float32], high: NDArray[np.float32]) -> None:
    for k in range(_LANES):
        one, other = low[k], high[k]
        low[k] = one if one < other else other
        high[k] = other if one < other else one


@compiled
def nearest(
    bands: NDArray[np.float32], values: NDArray[Any], steps_per_unit: float
) -> NDArray[np.intp]:
    """Return (N,) which of T in (B, T, N) is nearest to (B, N), in whole steps; the earliest of equals."""
    n_bands, n_times, n_px = bands.shape
    found = np.zeros(n_px, np.intp)
    least, distance = np.full(n_px, np.inf), np.empty(n_px)
    for t in range(n_times):
        distance[:] = 0.0
        for b in range(n_bands):
            for k in range(n_px):
                # Whole numbers, and sums of them: exact up to 2**53.
                steps = np.rint(np.float64(bands[b, t, k] - values[b, k]) * steps_per_unit)
                distance[k] += steps * steps
        for k in range(n_px):
            if distance[k] < least[k]:
                least[k], found[k] = distance[k], t
    return found


@compiled
def place_usable(
    usable: NDArray[np.bool_], place: NDArray[np.intp], size: NDArray[np.intp], n: int
) -> NDArray[np.intp]:
    """Return the flat positions of what is usable in (T, N), n in all.

    A pixel's first goes to its `place`, the next ones `size` further each.
    """
    # Without a branch, which a processor would guess wrong half of the time: the rest goes to a place beyond.
    index = np.empty(n + 1, np.intp)
    n_times, n_px = usable.shape
    for t in range(n_times):
        row, first = usable[t], t * n_px
        for p in range(n_px):
            shown = row[p]
            index[place[p] if shown else n] = first + p
            place[p] += size[p] * shown
    return index[:n]
