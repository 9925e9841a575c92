"""Rows of many pixels on a device: sorted, compared, found again; the twins of `pipeline.composite.kernels.rows`."""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace, device, to_device
from numpy.typing import NDArray

Array = Any
"""Of the device's library."""


def sort(bands: Array) -> Array:
    """Return (T, B, N) sorted along T; −0 counts as +0."""
    return array_namespace(bands).sort(bands + 0.0, axis=0)


def nearest(bands: Array, values: Array, steps_per_unit: float) -> Array:
    """Return (N,) which of T in (T, B, N) is nearest to (B, N), in whole steps; the earliest of equals."""
    xp = array_namespace(bands)
    distance = xp.zeros_like(bands[:, 0], dtype=xp.float64)
    for b in range(bands.shape[1]):
        steps = xp.round(xp.astype(bands[:, b] - values[b], xp.float64) * steps_per_unit)
        distance += steps * steps
    # What is not a number is never nearer.
    return xp.argmin(xp.where(xp.isnan(distance), np.inf, distance), axis=0)


def day_of_year(day: Array) -> Array:
    """Return 1 to 366 of days since 1970-01-01, whole numbers.

    Years are counted from 1 March, so that a leap day is the last of its year; 400 years have 146 097 days.
    """
    since = day + 719_468
    in_era = since - since // 146_097 * 146_097
    year = (in_era - in_era // 1460 + in_era // 36_524 - in_era // 146_096) // 365
    from_march = in_era - (365 * year + year // 4 - year // 100)
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    later = from_march + 60 + array_namespace(day).astype(leap, day.dtype)
    return array_namespace(day).where(from_march < 306, later, from_march - 305)


def here(array: Array) -> NDArray[Any]:
    """Return an array of a device as numpy's; numpy's as it is."""
    return np.asarray(to_device(array, "cpu"))


def beside(other: Array, array: NDArray[Any]) -> Array:
    """Return numpy's array as one of the other's library, on its device."""
    return array_namespace(other).asarray(np.ascontiguousarray(array), device=device(other))
