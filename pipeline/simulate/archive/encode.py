"""Reflectance and classes become the numbers of the products, and these become COGs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import scipy.ndimage
from numpy.typing import NDArray

from pipeline.simulate.grids import CRS, Window
from pipeline.simulate.physics.noise import Floats

CLOUD_TAU = 0.4
"""Truth: a pixel is cloud where the optical depth exceeds this."""

SHADOW_LIGHT = 0.80
"""Truth: a pixel without cloud is in shadow where the near-infrared light is below this."""

LANDSAT_SCALE, LANDSAT_OFFSET = 2.75e-5, -0.2

COG_OPTIONS: dict[str, Any] = {
    "driver": "COG",
    "compress": "DEFLATE",
    "level": 4,
    "predictor": 2,
    "blocksize": 512,
    "num_threads": 1,
}

Bits = NDArray[np.bool_]


def sentinel2_numbers(
    reflectance: Floats, seen: Bits, offset_in_pixels: int
) -> NDArray[np.uint16]:
    """Return digital numbers: 10 000 × reflectance, shifted; 0 is reserved for no data."""
    numbers = np.clip(np.round(reflectance * 1e4) + offset_in_pixels, 1, 65535)
    return np.where(seen, numbers, 0).astype(np.uint16)


def landsat_numbers(reflectance: Floats) -> NDArray[np.uint16]:
    """Return digital numbers of Collection 2; 0 is reserved for no data."""
    numbers = np.round((reflectance - LANDSAT_OFFSET) / LANDSAT_SCALE)
    return np.clip(numbers, 1, 65535).astype(np.uint16)


def is_cloud(optical_depth: Floats) -> Bits:
    """Say where the truth is cloud."""
    return np.asarray(optical_depth > CLOUD_TAU)


def is_shadow(optical_depth: Floats, light: Floats) -> Bits:
    """Say where the truth is cloud shadow."""
    return np.asarray((light < SHADOW_LIGHT) & ~is_cloud(optical_depth))


def scene_classes(
    sky: tuple[Floats, Floats, Floats], ndvi: Floats, water: Bits, seen: Bits
) -> NDArray[np.uint8]:
    """Return the classes that Sen2Cor's SCL would have if it were always right.

    Parameters
    ----------
    sky
        Optical depth, that of ice clouds alone, and light.
    ndvi
        Of the clean surface.
    water, seen
        Where there is water, and where there are data.
    """
    depth, ice, light = sky
    classes = np.where(ndvi > 0.4, 4, 5).astype(np.uint8)
    classes[water] = 6
    classes[is_shadow(depth, light)] = 3
    classes[ice > 0.15] = 10
    liquid = depth - ice
    classes[liquid > CLOUD_TAU] = 8
    classes[liquid > 4] = 9
    classes[~seen] = 0
    return classes


def quality_bits(sky: tuple[Floats, Floats, Floats], water: Bits) -> NDArray[np.uint16]:
    """Return the QA_PIXEL of Landsat Collection 2, right everywhere; arguments as `scene_classes`."""
    depth, ice, light = sky
    cloud, shadow = is_cloud(depth), is_shadow(depth, light)
    cirrus = ice > 0.15
    dilated = scipy.ndimage.binary_dilation(cloud, iterations=3) & ~cloud
    flags = {1: dilated, 2: cirrus, 3: cloud, 4: shadow, 6: ~(cloud | dilated), 7: water}
    quality = np.zeros(cloud.shape, dtype=np.uint16)
    for bit, where in flags.items():
        quality |= where.astype(np.uint16) << np.uint16(bit)
    # Confidence is two bits each: 1 = low, 3 = high; snow is never but low.
    for bit, high in ((8, cloud), (10, shadow), (12, np.zeros_like(cloud)), (14, cirrus)):
        quality |= np.where(high, 3, 1).astype(np.uint16) << np.uint16(bit)
    return quality


def write_cog(
    path: Path, plane: NDArray[np.uint8] | NDArray[np.uint16], window: Window, *, classes: bool
) -> None:
    """Write one band.

    Parameters
    ----------
    path
        The file.
    plane
        (Y, X).
    window
        Where it lies.
    classes
        Whether the numbers are codes, which overviews must not average.
    """
    # Bit fields say "fill" with bit 0, everything else says it with 0.
    nodata = 1 if classes and plane.dtype == np.uint16 else 0
    with rasterio.open(
        path,
        "w",
        height=window.height,
        width=window.width,
        count=1,
        dtype=plane.dtype,
        crs=CRS,
        transform=window.transform,
        nodata=nodata,
        overview_resampling="nearest" if classes else "average",
        **COG_OPTIONS,
    ) as raster:
        raster.write(plane, 1)
