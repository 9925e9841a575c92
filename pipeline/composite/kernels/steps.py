"""Weiszfeld's steps to the geometric median, accelerated by secants: compiled, 64 pixels side by side.

Pixels of a block never meet, and arithmetic is neither fused nor reordered: a pixel's steps are the same in any
company and on any machine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.composite.kernels.compiled import compiled

Rows = NDArray[np.float32]
"""(rows, LANES) of a block of pixels."""

LANES = 256
_SHORT = np.float32(1e-12)
"""Square of the distance below which an observation stands at y."""
_TINY, _FLAT = np.float32(1e-24), np.float32(1e-3)
_FIRST = np.float32(0.4)
"""Plain steps fall short by about so much."""
_0, _1 = np.float32(0), np.float32(1)


@compiled
def accelerated(
    bands: NDArray[np.float32],
    start: NDArray[np.float32],
    from_: NDArray[np.float32],
    n_steps: int,
    limits: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Take steps towards the geometric median.

    Parameters
    ----------
    bands
        (B, T, N) reflectance.
    start
        (B, N) where numbers are counted from: near it they are small and squares precise.
    from_
        (B, N) where the first step begins, counted from `start`.
    n_steps
        How many.
    limits
        Squares of: how short the last step must be; how near the end that secants foresee; how far
        from it every observation must be; how short the last step must be, as a share of the distance of the nearest.

    Returns
    -------
    (B, N) the last step's end, counted from `start`; (N,) whether the limits are met.
    """
    n_bands, n_times, n_px = bands.shape
    found, sure = np.empty_like(start), np.zeros(n_px, np.bool_)
    x = np.zeros((n_times, n_bands, LANES), np.float32)
    y, to, step = _rows(n_bands), _rows(n_bands), _rows(n_bands)
    room, lane = np.zeros((6, n_bands, LANES), np.float32), _rows(7)
    for first in range(0, n_px, LANES):
        part = slice(first, min(first + LANES, n_px))
        _load(x, y, bands[:, :, part], start[:, part], from_[:, part])
        for number in range(n_steps):
            closest = _weiszfeld(x, y, to, lane)
            for b in range(n_bands):
                for k in range(LANES):
                    step[b, k] = to[b, k] - y[b, k]
            _secants(number, to, step, y, room, lane)
        found[:, part] = to[:, : part.stop - first]
        _check(to, step, y, closest, limits, sure[part])
    return found, sure


@compiled
def _load(
    x: NDArray[np.float32],
    y: Rows,
    bands: NDArray[np.float32],
    start: NDArray[np.float32],
    from_: NDArray[np.float32],
) -> None:
    n_bands, n_times, n_px = bands.shape
    for b in range(n_bands):
        for t in range(n_times):
            for k in range(n_px):
                x[t, b, k] = bands[b, t, k] - start[b, k]
        for k in range(n_px):
            y[b, k] = from_[b, k]


@compiled
def _rows(n: int) -> Rows:
    return np.zeros((n, LANES), np.float32)


@compiled
def _weiszfeld(x: NDArray[np.float32], y: Rows, to: Rows, lane: Rows) -> NDArray[np.float32]:
    """Set `to` to the mean of x (T, B, LANES), weighted by 1 / distance from y; return the least square distance."""
    n_times, n_bands, _ = x.shape
    square, total = lane[0], lane[1]
    closest: NDArray[np.float32] = lane[6]
    to[:] = _0
    total[:] = _0
    closest[:] = np.float32(np.inf)
    for t in range(n_times):
        square[:] = _0
        for b in range(n_bands):
            for k in range(LANES):
                off = x[t, b, k] - y[b, k]
                square[k] += off * off
        for k in range(LANES):
            some = square[k] if square[k] > _SHORT else _SHORT
            closest[k] = some if some < closest[k] else closest[k]
            square[k] = _1 / np.sqrt(some)
            total[k] += square[k]
        for b in range(n_bands):
            for k in range(LANES):
                to[b, k] += square[k] * x[t, b, k]
    for b in range(n_bands):
        for k in range(LANES):
            to[b, k] /= total[k]
    return closest


@compiled
def _secants(
    number: int, to: Rows, step: Rows, y: Rows, room: NDArray[np.float32], lane: Rows
) -> None:
    """Set y to where steps end, as the plane through the last three says, or the line through two (Anderson).

    `room` holds the last step and its end, and what changed since the one before, twice in turns; the last of
    `lane` the squares of the two changes.
    """
    n_bands = len(to)
    last_to, last_step = room[0], room[1]
    new = number % 2
    moved, change, length = room[2 + new], room[4 + new], lane[4 + new]
    moved_before, change_before, length_before = room[3 - new], room[5 - new], lane[5 - new]
    if number == 0:
        # What the block before left would reach this one's pixels.
        room[2:], lane[4:6] = _0, _0
        for b in range(n_bands):
            for k in range(LANES):
                y[b, k] = to[b, k] + _FIRST * step[b, k]
                last_to[b, k], last_step[b, k] = to[b, k], step[b, k]
        return
    along, cross, across, second = lane[0], lane[1], lane[2], lane[3]
    length[:], along[:], cross[:], across[:] = _0, _0, _0, _0
    for b in range(n_bands):
        for k in range(LANES):
            moved[b, k] = to[b, k] - last_to[b, k]
            change[b, k] = step[b, k] - last_step[b, k]
            last_to[b, k], last_step[b, k] = to[b, k], step[b, k]
            length[k] += change[b, k] * change[b, k]
            along[k] += change[b, k] * step[b, k]
            cross[k] += change[b, k] * change_before[b, k]
            across[k] += change_before[b, k] * step[b, k]
    for k in range(LANES):
        length[k] = length[k] if length[k] > _TINY else _TINY
        along[k] /= length[k]
        flat = length[k] * length_before[k]
        area = flat - cross[k] * cross[k]
        plane = area > _FLAT * flat
        share = (length[k] * across[k] - cross[k] * (along[k] * length[k])) / (
            area if plane else _1
        )
        second[k] = share if plane else _0
        along[k] -= second[k] * cross[k] / length[k]
    for b in range(n_bands):
        for k in range(LANES):
            y[b, k] = to[b, k] - along[k] * moved[b, k] - second[k] * moved_before[b, k]


@compiled
def _check(
    to: Rows,
    step: Rows,
    end: Rows,
    closest: NDArray[np.float32],
    limits: NDArray[np.float32],
    sure: NDArray[np.bool_],
) -> None:
    for k in range(len(sure)):
        short, near = _0, _0
        for b in range(len(to)):
            short += step[b, k] * step[b, k]
            near += (end[b, k] - to[b, k]) * (end[b, k] - to[b, k])
        sure[k] = (
            short < limits[0]
            and near < limits[1]
            and closest[k] > limits[2]
            and short < limits[3] * closest[k]
        )
