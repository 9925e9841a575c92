"""How numbers become colours: fixed stretches, so that two dates can be compared.

Reflectance has one black and one white point a band, the same for all tiles and dates.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from rio_tiler.colormap import cmap

WHITE: Mapping[str, float] = {
    "coastal": 0.3,
    "blue": 0.3,
    "green": 0.3,
    "red": 0.3,
    "rededge1": 0.4,
    "rededge2": 0.5,
    "rededge3": 0.5,
    "nir": 0.5,
    "nir08": 0.5,
    "swir16": 0.4,
    "swir22": 0.35,
}
"""Reflectance that is shown as white; black is 0."""
BRIGHT = 0.5
"""Of bands that are not in `WHITE`."""

RANGES: Mapping[str, tuple[float, float, str]] = {
    "count": (0, 20, "viridis"),
    "day": (0, 366, "twilight"),
    "score": (0, 1, "magma"),
    "NDVI": (-0.2, 0.9, "rdylgn"),
    "index": (-1, 1, "brbg"),
}
"""Layer -> what gets the first and the last colour, and the name of the ramp; ``day`` counts from its period's start, ``index`` is
any spectral index without a row of its own."""
OTHER = (0.0, 1.0, "cividis")


def grey(values: NDArray[np.float32], white: float) -> NDArray[np.uint8]:
    """Return reflectance as bytes: 0 and below is 0, `white` and above 255; NaN is 0."""
    scaled: NDArray[np.uint8] = np.rint(
        np.clip(np.nan_to_num(values) * (255.0 / white), 0, 255)
    ).astype(np.uint8)
    return scaled


def ramp(values: NDArray[np.float32], layer: str) -> NDArray[np.uint8]:
    """Return values as positions in the ramp of a layer, 0 to 255."""
    low, high, _ = RANGES.get(layer, OTHER)
    scaled = (np.nan_to_num(values) - low) * (255.0 / (high - low))
    positions: NDArray[np.uint8] = np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)
    return positions


def colours(layer: str) -> dict[int, tuple[int, int, int, int]]:
    """Return the colours of a ramp by position."""
    found = cmap.get(RANGES.get(layer, OTHER)[2])
    assert isinstance(found, dict), "ramps of rio-tiler are tables"
    return {int(at): colour for at, colour in found.items()}
