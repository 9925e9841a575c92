"""How far apart observations are, in whole numbers, so that equals are equal."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from array_api_compat import array_namespace, is_numpy_array
from numpy.typing import NDArray

from pipeline.composite import device

F = TypeVar("F", np.float32, np.float64)

STEPS_PER_UNIT = 800_000
"""Reflectance is compared in whole steps of 1.25e-6.

Every sensor's surface reflectance is a whole number of 2.5e-6 (Sentinel-2 and HLS: 1e-4, Landsat:
2.75e-5), and half the sum of two of them a whole number of steps; float32 tells them apart up to 8.
So observations that are equally near in the sensors' own integers are equal here, whatever became of
them in float32.
"""

SCORE_STEPS = 1_000_000
"""Scores and indices are compared in whole steps of 1e-6."""


def nearest(bands: NDArray[np.float32], values: NDArray[Any]) -> NDArray[np.intp]:
    """Find the observation of (T, B, N) nearest to the values (B, N), the earliest of equals.

    Returns
    -------
    (N,) positions on the time axis.
    """
    if not is_numpy_array(bands):
        found: NDArray[np.intp] = device.nearest(bands, values, float(STEPS_PER_UNIT))
        return found
    from pipeline.composite.kernels import rows  # noqa: PLC0415 -- numba takes long to import

    by_band = np.ascontiguousarray(bands.transpose(1, 0, 2))
    return rows.nearest(by_band, np.ascontiguousarray(values), float(STEPS_PER_UNIT))


def highest(score: NDArray[np.float64]) -> NDArray[np.intp]:
    """Find the best score of (T, N), the earliest of equals; NaN is worse than any number."""
    xp = array_namespace(score)
    steps = xp.round(score * SCORE_STEPS)
    found: NDArray[np.intp] = xp.argmax(xp.where(xp.isnan(steps), -np.inf, steps), axis=0)
    return found


def at(bands: NDArray[F], chosen: NDArray[np.intp]) -> NDArray[F]:
    """Return (B, N) of (T, B, N) at one time for each pixel, (N,)."""
    taken: NDArray[F] = array_namespace(bands).take_along_axis(
        bands, chosen[np.newaxis, np.newaxis], axis=0
    )[0]
    return taken
