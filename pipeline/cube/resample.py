"""Source pixels -> pixels of the grid, each computed for itself.

GDAL's warper is not used: its approximate transformer interpolates coordinates along the rows of
whatever window it is given, and its kernel is scaled by that window's size, so the same pixel
differs between one tiling and another (seen with GDAL 3.10: up to 0.02 source pixels, 500 of
10 000 DN at an edge). Here a pixel depends on its own place and on the raster alone.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox
from scipy.ndimage import map_coordinates

ALIGNED = 1e-3
"""Share of a pixel by which two grids may differ and still count as the same."""

HALF = 0.5
"""Share of the bilinear kernel that must have data for the result to have data."""


def shrink_factor(source: GeoBox, target: GeoBox) -> int:
    """Say how many source pixels make one target pixel along an edge, rounded down, at least 1.

    Measured at the middle of the source, not of a window, so that every window of a raster is
    read from the same overview.
    """
    middle = source.center_pixel.extent.to_crs(target.crs).boundingbox  # type: ignore[arg-type]
    pixel = max(middle.span_x, middle.span_y)
    return max(1, math.floor(abs(target.resolution.x) / pixel + ALIGNED))


def block_mean(pixels: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """Average blocks of ``factor × factor`` pixels; NaNs do not count, all NaN gives NaN."""
    if factor == 1:
        return pixels
    height, width = pixels.shape[0] // factor, pixels.shape[1] // factor
    blocks = pixels.reshape(height, factor, width, factor)
    has_data = np.isfinite(blocks)
    total = np.where(has_data, blocks, 0).sum(axis=(1, 3), dtype=np.float64)
    count = has_data.sum(axis=(1, 3))
    mean = np.full((height, width), np.nan, np.float32)
    np.divide(total, count, out=mean, where=count > 0, casting="same_kind")
    return mean


def finer(geobox: GeoBox, factor: int) -> GeoBox:
    """Return a geobox with ``factor × factor`` pixels in place of each."""
    shape = (geobox.shape.y * factor, geobox.shape.x * factor)
    return GeoBox(shape, geobox.transform @ Affine.scale(1 / factor), geobox.crs)


def aligned_offset(source: GeoBox, target: GeoBox) -> tuple[int, int] | None:
    """Return the (row, column) of the source where the target starts, none where grids differ."""
    if source.crs != target.crs:
        return None
    shift = ~source.transform @ target.transform
    row, col = round(shift.f), round(shift.c)
    reach = max(target.shape)
    off = max(
        abs(shift.f - row),
        abs(shift.c - col),
        abs(shift.a - 1) * reach,
        abs(shift.e - 1) * reach,
        abs(shift.b) * reach,
        abs(shift.d) * reach,
    )
    return (row, col) if off < ALIGNED else None


@lru_cache(maxsize=8)
def source_coordinates(
    source_crs: CRS, source_transform: Affine, target: GeoBox
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where the centres of the target's pixels lie in the source.

    Returns
    -------
    Rows and columns, each (y, x) float64, 0.0 at the centre of the source's first pixel; not
    finite where the CRS of the source cannot hold the place. Cached, since bands share them.
    """
    cols, rows = np.meshgrid(np.arange(target.shape.x) + 0.5, np.arange(target.shape.y) + 0.5)
    x = target.transform.c + cols * target.transform.a + rows * target.transform.b
    y = target.transform.f + cols * target.transform.d + rows * target.transform.e
    if target.crs != source_crs:
        assert target.crs is not None
        x, y = target.crs.transformer_to_crs(source_crs)(x, y)
    back = ~source_transform
    return (
        back.d * x + back.e * y + back.f - 0.5,
        back.a * x + back.b * y + back.c - 0.5,
    )


def bilinear(
    pixels: NDArray[np.float32], rows: NDArray[np.float64], cols: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Interpolate between the four nearest source pixels, over those that have data.

    Parameters
    ----------
    pixels
        (row, column) float32, NaN = no data.
    rows, cols
        (y, x) places in `pixels`.

    Returns
    -------
    (y, x) float32; NaN where less than half of the kernel's weight has data.
    """
    has_data = np.isfinite(pixels)
    places = np.stack([rows, cols])
    places[~np.isfinite(places)] = -2.0
    value = map_coordinates(
        np.where(has_data, pixels, 0).astype(np.float64), places, order=1, mode="grid-constant"
    )
    weight = map_coordinates(has_data.astype(np.float64), places, order=1, mode="grid-constant")
    result = np.full(rows.shape, np.nan, np.float32)
    np.divide(value, weight, out=result, where=weight >= HALF, casting="same_kind")
    return result
