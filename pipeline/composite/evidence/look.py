"""A look over many pixels at a time, for those in which something stands out: compiled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.composite.evidence.states import KEPT
from pipeline.composite.kernels.compiled import compiled

_INF = np.float32(np.inf)
_NEARLY = np.float32(1e-5)
"""Reflectance, and a share of it: more than what float32 makes of a limit."""


@compiled
def look_over(
    bands: NDArray[np.float32], shown: NDArray[np.uint8], limits: NDArray[np.float32]
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Look over many pixels at a time, in float32, for those in which an observation may stand out of the others.

    Parameters
    ----------
    bands, shown, limits
        As of `pipeline.composite.evidence.spikes.judge`.

    Returns
    -------
    (N,) how many observations are usable and not doubted; (N,) whether one is doubted, or nearly as bright or dark as would
    put it aside, or two in a row are. In all other pixels everything stands.
    """
    n_times, n_px = shown.shape
    count, odd = np.zeros(n_px, np.int32), np.zeros(n_px, np.bool_)
    # The last usable ones: blue of three, near and shortwave infrared of two.
    b1, b2, b3 = np.full((3, n_px), -_INF)
    n1, n2, s1, s2 = np.full((4, n_px), _INF)
    for t in range(n_times + 1):
        end = t == n_times
        seen = shown[0 if end else t]
        blue, nir, swir = (
            bands[0, 0 if end else t],
            bands[1, 0 if end else t],
            bands[2, 0 if end else t],
        )
        for k in range(n_px):
            here = end | (seen[k] == KEPT)
            b, n, s = (
                (-_INF if end else blue[k]),
                (_INF if end else nir[k]),
                (_INF if end else swir[k]),
            )
            out = (b1[k] > _least_bright(max(b2[k], b), limits)) & (max(b2[k], b) > -_INF)
            pair = min(b1[k], b2[k]) > _least_bright(max(b3[k], b), limits)
            dark = n1[k] < _most_dark(min(n2[k], n), limits[3], limits[2])
            dark &= s1[k] < _most_dark(min(s2[k], s), limits[3], limits[4])
            odd[k] |= (seen[k] > KEPT) | here & (out | (pair & (b3[k] > -_INF)) | dark)
            count[k] += here & (not end)
            b3[k] = b2[k] if here else b3[k]
            b2[k] = b1[k] if here else b2[k]
            b1[k] = b if here else b1[k]
            n2[k] = n1[k] if here else n2[k]
            n1[k] = n if here else n1[k]
            s2[k] = s1[k] if here else s2[k]
            s1[k] = s if here else s1[k]
    return count, odd


@compiled
def _least_bright(level: np.float32, limits: NDArray[np.float32]) -> np.float32:
    above = level + limits[0] + limits[1] * max(level, np.float32(0))
    nearly: np.float32 = above - _NEARLY - _NEARLY * abs(level)
    return nearly


@compiled
def _most_dark(least: np.float32, share: np.float32, some: np.float32) -> np.float32:
    below = least * (np.float32(1) - share) - some
    nearly: np.float32 = below + _NEARLY + _NEARLY * abs(least)
    return nearly
