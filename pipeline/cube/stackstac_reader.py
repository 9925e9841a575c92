"""Implements stackstac's ``Reader`` protocol by our reader."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from odc.loader.types import RasterSource

from pipeline.cube.metadata.facts import AssetFacts
from pipeline.cube.reader import ExactReader
from pipeline.cube.unfit import Found


class BlockReader:
    """Reads windows of one asset on a block of the grid, as stackstac's ``Reader`` protocol asks."""

    scale_offset = (1, 0)

    def __init__(
        self,
        *,
        url: str,
        facts: Mapping[str, AssetFacts],
        geobox: GeoBox,
        found: Found,
        dtype: np.dtype[Any],
        fill_value: float,
        **_: object,
    ) -> None:
        self._reader = ExactReader(RasterSource(url), facts[url], found)
        self._geobox = geobox
        self.dtype = dtype
        self.fill_value = fill_value

    def read(self, window: Any) -> NDArray[np.float32]:  # noqa: ANN401  (rasterio has no types)
        """Read a window, in pixels of the block: (y, x) float32 DNs, NaN = no data."""
        rows, cols = window.toslices()
        return self._reader.pixels(self._geobox, (rows, cols))

    def close(self) -> None:
        """Do nothing: the reader keeps nothing open."""
