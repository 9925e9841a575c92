"""Weiszfeld's steps to the geometric median on a device: the twin of `pipeline.composite.kernels.steps`.

Sums run over bands and dates in order, one operation at a time: no product is fused with a sum, and no library may
add in an order of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

Array = Any
"""Of the device's library."""

_SHORT, _TINY, _FLAT, _FIRST = (float(np.float32(each)) for each in (1e-12, 1e-24, 1e-3, 0.4))
"""As in the kernel."""


def accelerated(
    bands: Array, start: Array, from_: Array, n_steps: int, limits: NDArray[np.float32]
) -> tuple[Array, Array]:
    """Take steps towards the geometric median; see `pipeline.composite.kernels.steps.accelerated`."""
    xp = array_namespace(bands)
    x = xp.permute_dims(bands, (1, 0, 2)) - start
    y, secants = from_, _Secants()
    for _ in range(n_steps):
        to, closest = _weiszfeld(xp, x, y)
        step = to - y
        y = secants.next(xp, to, step)
    off = y - to
    short, near, apart, share = (float(each) for each in limits)
    length = _dot(step, step)
    sure = (length < short) & (_dot(off, off) < near) & (closest > apart)
    sure &= length < share * closest
    return to, sure


def _dot(one: Array, other: Array) -> Array:
    """Return (N,), the products of (B, N) added in order."""
    total = one[0] * other[0]
    for b in range(1, len(one)):
        total += one[b] * other[b]
    return total


def _weiszfeld(xp: Any, x: Array, y: Array) -> tuple[Array, Array]:  # noqa: ANN401 -- a library
    """Return the mean of x (T, B, N), weighted by 1 / distance from y, and the least square distance."""
    off = x - y
    off *= off
    square = off[:, 0]
    for b in range(1, x.shape[1]):
        square = square + off[:, b]
    square = xp.where(square > _SHORT, square, _SHORT)
    # torch's square root of float32 is not the nearest number on every processor; rounded from float64 it is.
    weight = 1.0 / xp.astype(xp.sqrt(xp.astype(square, xp.float64)), xp.float32)
    to, total = xp.zeros_like(y), xp.zeros_like(y[0])
    for t in range(len(x)):
        total += weight[t]
        to += weight[t] * x[t]
    to /= total
    return to, xp.min(square, axis=0)


class _Secants:
    """Where steps end, as the plane through the last three says, or the line through two (Anderson)."""

    def __init__(self) -> None:
        self._last: tuple[Array, Array] | None = None
        self._before: tuple[Array, Array, Array] | None = None

    def next(self, xp: Any, to: Array, step: Array) -> Array:  # noqa: ANN401 -- a library
        """Return where the next step begins."""
        last, self._last = self._last, (to, step)
        if last is None:
            return to + _FIRST * step
        moved, change = to - last[0], step - last[1]
        length = _dot(change, change)
        length = xp.where(length > _TINY, length, _TINY)
        along = _dot(change, step) / length
        before, self._before = self._before, (moved, change, length)
        if before is None:
            return to - along * moved
        moved_before, change_before, length_before = before
        cross, across = _dot(change, change_before), _dot(change_before, step)
        flat = length * length_before
        area = flat - cross * cross
        plane = area > _FLAT * flat
        share = (length * across - cross * (along * length)) / xp.where(plane, area, 1.0)
        second = xp.where(plane, share, 0.0)
        along = along - second * cross / length
        return to - along * moved - second * moved_before
