"""How far observations are from the clouds and shadows of their scene, as far as a method looks.

A pixel's distance needs the masks around it. With those of `reach_px` pixels on every side it is the same, to the
bit, whatever else of the scene is known: any partition into tiles gives the same distances.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pipeline.types import CLOUD, Code

DISTANCES: Mapping[str, Sequence[Code]] = {
    "to_cloud_m": CLOUD,
    "to_shadow_m": (Code.CLOUD_SHADOW,),
}
"""Distance, as `pipeline.composite.observations.Observations` names it -> the classes to which it is measured."""

_WIDE_BYTES, _INNER_BYTES = 6, 17
"""While a scene is measured: codes, flags and distances along columns of all its pixels; squares and metres of those wanted."""


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
    names: Collection[str] = tuple(DISTANCES),
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
    names
        Which distances to measure.

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
        for name, classes in DISTANCES.items()
        if name in names
    }
    return xr.Dataset(
        layers, coords={"time": wanted["time"]} if "time" in wanted.coords else {}
    )


def distances_bytes(
    tile_px: int, reach_m: float, resolution_m: float, n_times: int, n_names: int
) -> tuple[int, int]:
    """Return what distances of a tile take, in bytes: those of all scenes, and one scene while it is measured.

    Parameters
    ----------
    tile_px
        Edge of the tile.
    reach_m, resolution_m
        As of `cloud_distances`.
    n_times, n_names
        Scenes, and how many distances of each.
    """
    wide = tile_px + 2 * reach_px(reach_m, resolution_m)
    held = 4 * n_names * n_times * tile_px**2
    return held, _WIDE_BYTES * wide**2 + _INNER_BYTES * tile_px**2


def _distance_m(
    found: NDArray[np.bool_], inner: tuple[slice, slice], resolution_m: float, reach_m: float
) -> NDArray[np.float32]:
    if not found.any():
        return np.full(found[inner].shape, np.inf, np.float32)
    from pipeline.composite.kernels.nearest_found import squares  # noqa: PLC0415 -- numba takes long to import

    rows, columns = (
        each.indices(size)[:2] for each, size in zip(inner, found.shape, strict=True)
    )
    near = squares(found, rows, columns, reach_px(reach_m, resolution_m))
    # Roots of whole numbers of pixels: the same wherever the array begins.
    metres = near.astype(np.float64)
    np.sqrt(metres, out=metres)
    metres *= resolution_m
    metres[metres > reach_m] = np.inf
    return metres.astype(np.float32)
