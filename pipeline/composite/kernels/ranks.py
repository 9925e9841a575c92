"""Percentiles of pixels as they lie, with what is nearest to them: compiled, some pixels side by side.

What is not usable is sorted to the end instead of being taken out: without gaps to close, a processor reads
and sorts many pixels at a time. Arithmetic is neither fused nor reordered, and a pixel meets no other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.composite.distances import STEPS_PER_UNIT
from pipeline.composite.kernels.compiled import compiled

Rows = NDArray[np.float32]
"""(T, LANES) of a block of pixels."""
Doubles = NDArray[np.float64]

LANES = 256
_STEPS = float(STEPS_PER_UNIT)
_0, _INF = np.float32(0), np.float32(np.inf)


class Block(NamedTuple):
    """Observations of N pixels, T of each, as they lie; arrays are contiguous."""

    bands: tuple[NDArray[np.float32], ...]
    """(T, N) reflectance in the first B arrays; always as many in all: for another number all is compiled anew."""
    n_bands: int
    source: NDArray[np.int32]
    """(T, N)."""
    usable: NDArray[np.bool_]
    """(T, N)."""
    order: NDArray[np.intp]
    """(T,) positions by time."""
    days: NDArray[np.int32]
    """(T,) days since 1970-01-01."""


@compiled
def percentiles(
    block: Block,
    pairs: NDArray[np.int64],
    q: float,
    values: NDArray[np.float32],
    whence: NDArray[np.int32],
) -> None:
    """Find a percentile of each band, and the observation nearest to it.

    Parameters
    ----------
    block
        What was seen.
    pairs
        (M, 2) the network that sorts rows up to the last one that T observations need.
    q
        0 to 100; below 0: the median, half the sum of the middle two.
    values
        (B, N), written: NaN without observations.
    whence
        (3, N), written where there are observations: how many; day and source of the nearest one, the
        earliest of equals.
    """
    n_times, n_px = block.usable.shape
    rows = np.empty((n_times, LANES), np.float32)
    beyond = np.empty((n_times, LANES), np.float32)
    exact = np.zeros((block.n_bands, LANES), np.float64)
    count, many, closest = np.empty((3, LANES), np.int32)
    lane = np.empty((3, LANES), np.float32)
    for first in range(0, n_px, LANES):
        part = slice(first, min(first + LANES, n_px))
        _look(block, part, beyond, count)
        for b in range(block.n_bands):
            _put(block.bands[b], block.order, part, beyond, rows)
            for m in range(len(pairs)):
                _exchange(rows[pairs[m, 0]], rows[pairs[m, 1]])
            _pick(rows, count, q, exact[b])
            _give(exact[b], count, values[b, part])
        rows[:], lane[2] = _0, _0
        for b in range(block.n_bands):
            _add_squares(block.bands[b], block.order, part, exact[b], rows)
            for k in range(LANES):
                lane[2, k] = max(lane[2, k], np.float32(abs(exact[b, k])))
        _close(rows, beyond, lane, many, closest)
        for k in range(part.stop - first):
            if count[k] > 0:
                at = closest[k]
                if many[k] > 1:
                    at = _closest(block, first + k, rows[:, k], lane[1, k], exact[:, k])
                scene = block.order[at]
                whence[0, first + k] = count[k]
                whence[1, first + k] = block.days[scene]
                whence[2, first + k] = block.source[scene, first + k]


@compiled
def _look(block: Block, part: slice, beyond: Rows, count: NDArray[np.int32]) -> None:
    """Set `beyond` to 0 where an observation is usable and finite in all bands, to NaN elsewhere; count these."""
    beyond[:] = np.nan
    for t in range(len(beyond)):
        shown, row = block.usable[block.order[t], part], beyond[t]
        for k in range(len(shown)):
            row[k] = _0 if shown[k] else np.float32(np.nan)
    for b in range(block.n_bands):
        band = block.bands[b]
        for t in range(len(beyond)):
            seen, row = band[block.order[t], part], beyond[t]
            for k in range(len(seen)):
                # 0 for any number, NaN for the others.
                row[k] += seen[k] * _0
    count[:] = 0
    for t in range(len(beyond)):
        row = beyond[t]
        for k in range(LANES):
            count[k] += row[k] == _0


@compiled
def _put(
    band: NDArray[np.float32], order: NDArray[np.intp], part: slice, beyond: Rows, rows: Rows
) -> None:
    for t in range(len(order)):
        seen, away, to = band[order[t], part], beyond[t], rows[t]
        for k in range(len(seen)):
            # Adding zero turns −0 into +0: which of the two stands first would depend on the machine.
            value = seen[k] + _0
            to[k] = value if away[k] == _0 else _INF


@compiled
def _exchange(low: NDArray[np.float32], high: NDArray[np.float32]) -> None:
    for k in range(LANES):
        one, other = low[k], high[k]
        low[k] = one if one < other else other
        high[k] = other if one < other else one


@compiled
def _pick(rows: Rows, count: NDArray[np.int32], q: float, to: Doubles) -> None:
    for k in range(LANES):
        last = max(count[k] - 1, 0)
        if q < 0.0:
            # For odd numbers both are the same one, and half of its double is exact.
            low, high = np.float64(rows[last // 2, k]), np.float64(rows[(last + 1) // 2, k])
            to[k] = (low + high) * 0.5
        else:
            place = last * q / 100.0
            at = int(place)
            low, high = np.float64(rows[at, k]), np.float64(rows[min(at + 1, last), k])
            to[k] = low + (place - at) * (high - low)


@compiled
def _give(exact: Doubles, count: NDArray[np.int32], values: NDArray[np.float32]) -> None:
    for k in range(len(values)):
        values[k] = exact[k] if count[k] > 0 else np.nan


@compiled
def _add_squares(
    band: NDArray[np.float32],
    order: NDArray[np.intp],
    part: slice,
    exact: Doubles,
    squares: Rows,
) -> None:
    """Add the squares of a band's distances, in float32."""
    value = exact.astype(np.float32)
    for t in range(len(order)):
        seen, square = band[order[t], part], squares[t]
        for k in range(len(seen)):
            off = seen[k] - value[k]
            square[k] += off * off


@compiled
def _close(
    squares: Rows,
    beyond: Rows,
    lane: NDArray[np.float32],
    many: NDArray[np.int32],
    closest: NDArray[np.int32],
) -> None:
    """Find the observations that may be nearest: which is the first, and how many they are.

    Float32 and whole steps of 1.25e-6, of up to 16 bands, change a distance by less than 3e-6, 3e-7 of the values and
    2e-6 of itself. Three times as much is allowed.
    """
    least, limit, size = lane  # `size`: the largest of a pixel's values.
    least[:], many[:], closest[:] = _INF, 0, 0
    for t in range(len(squares)):
        square, away = squares[t], beyond[t]
        for k in range(LANES):
            # Not a number where it is not usable: near nothing.
            square[k] += away[k]
            least[k] = square[k] if square[k] < least[k] else least[k]
    for k in range(LANES):
        far = (
            np.sqrt(least[k]) * np.float32(1.00002)
            + np.float32(1e-5)
            + np.float32(1e-6) * size[k]
        )
        limit[k] = far * far
    for t in range(len(squares) - 1, -1, -1):
        square = squares[t]
        for k in range(LANES):
            near = square[k] <= limit[k]
            many[k] += near
            closest[k] = t if near else closest[k]


@compiled
def _closest(
    block: Block, pixel: int, squares: NDArray[np.float32], limit: np.float32, exact: Doubles
) -> int:
    """Return which of the observations that may be nearest is, the earliest of equals."""
    least, closest = np.inf, 0
    for t in range(len(squares)):
        if squares[t] <= limit:
            distance = 0.0
            for b in range(block.n_bands):
                # Whole numbers, and sums of them: exact up to 2**53.
                off = np.float64(block.bands[b][block.order[t], pixel]) - exact[b]
                steps = np.rint(off * _STEPS)
                distance += steps * steps
            if distance < least:
                least, closest = distance, t
    return closest
