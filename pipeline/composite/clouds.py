"""How far observations are from the clouds and shadows of their scene, as far as a method looks.

A pixel's distance needs the masks around it. With those of `reach_px` pixels on every side it is the same, to the
bit, whatever else of the scene is known: any partition into tiles gives the same distances.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from pipeline.types import CLOUD, Code

_CLASSES = {"to_cloud_m": CLOUD, "to_shadow_m": (Code.CLOUD_SHADOW,)}


def reach_px(reach_m: float, resolution_m: float) -> int:
    """Return how many pixels of masks are needed around those whose distances are wanted."""
    whole = int(reach_m / resolution_m)
    # A quotient may be rounded to below a whole number of pixels that lie within reach.
    return whole + ((whole + 1) * resolution_m <= reach_m)


def cloud_distances(
    codes: xr.DataArray,
    inner: tuple[slice, slice],
    resolution_m: float,
    reach_m: float,
) -> xr.Dataset:
    """Measure from each pixel's centre to the centre of the nearest cloud, and of the nearest shadow.

    Parameters
    ----------
    codes
        (time, y, x) uint8 of `Code`, numpy: the pixels wanted and `reach_px` around them, fewer where
        nothing is known beyond. What has no data is no cloud.
    inner
        Rows and columns that are wanted.
    resolution_m
        Edge of a pixel.
    reach_m
        What is farther counts as none: a method's ``reach_m``.

    Returns
    -------
    ``to_cloud_m`` and ``to_shadow_m``, (time, y, x) float32 of the pixels wanted, as `compose` takes them as
    evidence: 0 in a cloud, inf = none within reach.
    """
    wanted = codes.transpose("time", "y", "x")
    layers = {
        name: (
            ("time", "y", "x"),
            np.stack(
                [
                    _distance_m(np.isin(scene, classes), inner, resolution_m, reach_m)
                    for scene in wanted.values
                ]
            ),
        )
        for name, classes in _CLASSES.items()
    }
    return xr.Dataset(
        layers, coords={"time": wanted["time"]} if "time" in wanted.coords else {}
    )


def _distance_m(
    found: NDArray[np.bool_], inner: tuple[slice, slice], resolution_m: float, reach_m: float
) -> NDArray[np.float32]:
    if not found.any():
        return np.full(found[inner].shape, np.inf, np.float32)
    # Roots of whole numbers of pixels: the same wherever the array begins.
    metres = distance_transform_edt(~found)[inner] * resolution_m
    return np.where(metres <= reach_m, metres, np.inf).astype(np.float32)
