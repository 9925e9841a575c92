"""One window of one asset: the same pixels, bit for bit, however a region is cut into windows.

odc-stac asks a driver for pixels. This one resamples every pixel for itself (`resample` says why),
counts what it reads, and says which item and asset could not be read.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.converters import rio_geobox
from odc.geo.gcp import GCPGeoBox
from odc.geo.geobox import GeoBox
from odc.geo.geom import Geometry
from odc.loader import RioDriver
from odc.loader.types import RasterLoadParams, RasterSource
from rasterio.errors import RasterioError

from pipeline.cube.resample import (
    aligned_offset,
    bilinear,
    block_mean,
    finer,
    shrink_factor,
    source_coordinates,
)
from pipeline.cube.roles import MAX_RASTER_PX
from pipeline.errors import AssetError, AssetUnavailableError
from pipeline.types import Cost

STRIP_PX = 2**22
"""Finer pixels that are held at once while coarse ones are averaged."""

PASSING = re.compile(
    r"(?:HTTP|response_?code|error)\D{0,24}(?:429|500|502|503|504)\b|timed? ?out"
    r"|failed to connect|could not connect|connection (?:reset|refused|aborted|was)|could not resolve|couldn't resolve",
    re.IGNORECASE,
)
"""What GDAL and curl say when a later try may succeed; a bare number may be a date in a path."""


class Meter:
    """Counts what was read in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._total = Cost()

    def add(self, bytes_read: int) -> None:
        """Count one window."""
        with self._lock:
            self._total += Cost(bytes_read=bytes_read, reads=1)

    def total(self) -> Cost:
        """Return everything so far; the difference of two calls is what happened between."""
        with self._lock:
            return self._total


METER = Meter()


@dataclass(frozen=True, slots=True)
class AssetFacts:
    """What is known of an asset before it is opened."""

    item_id: str
    asset: str
    nodata: int
    outline: Geometry | None
    """Where the item says that its rasters lie; none: it does not say."""


class ExactDriver(RioDriver):  # type: ignore[misc]
    """Driver for odc-stac: nodata becomes NaN, DNs become float32, coordinates are exact."""

    def __init__(self, facts: Mapping[str, AssetFacts]) -> None:
        super().__init__()
        self._facts = facts

    def open(self, src: RasterSource, ctx: object) -> ExactReader:
        """Return a reader for one asset; nothing is opened yet."""
        del ctx
        return ExactReader(src, self._facts[src.uri])


class ExactReader:
    """Reads windows of one asset."""

    def __init__(self, src: RasterSource, facts: AssetFacts) -> None:
        self._src = src
        self._facts = facts

    def read(
        self,
        cfg: RasterLoadParams,
        dst_geobox: GeoBox,
        *,
        dst: NDArray[np.float32] | None = None,
        selection: object = None,
    ) -> tuple[tuple[slice, slice], NDArray[np.float32]]:
        """Read a geobox.

        Reflectance is averaged over whole blocks, or taken from an overview, where the geobox is
        coarser than the asset by two or more, and interpolated bilinearly where grids differ.

        Returns
        -------
        The (y, x) slices of the whole geobox, and its DNs as float32, NaN = no data.

        Raises
        ------
        AssetError
            The asset cannot be read.
        """
        del cfg, selection
        try:
            pixels = self._read(dst_geobox)
        except (RasterioError, OSError, ValueError, TypeError) as error:
            raise self._translated(error) from error
        everywhere = (slice(0, dst_geobox.shape.y), slice(0, dst_geobox.shape.x))
        if dst is not None:
            dst[:] = pixels
        return everywhere, pixels

    def _read(self, geobox: GeoBox) -> NDArray[np.float32]:
        with rasterio.open(self._src.uri, sharing=False) as raster:
            self._check(raster)
            shrink = shrink_factor(_geobox(raster), geobox)
            fitting = [
                (factor, level)
                for level, factor in enumerate(raster.overviews(self._src.band))
                if factor <= shrink
            ]
            if not fitting:
                return self._averaged(raster, geobox, shrink)
        factor, level = max(fitting)
        with rasterio.open(self._src.uri, sharing=False, overview_level=level) as raster:
            return self._averaged(raster, geobox, shrink // factor)

    def _check(self, raster: Any) -> None:  # noqa: ANN401  (rasterio has no types)
        if raster.crs is None:
            raise ValueError("it has no CRS")
        if raster.width * raster.height > MAX_RASTER_PX:
            raise ValueError(
                f"it has {raster.width} × {raster.height} pixels; at most {MAX_RASTER_PX} are read"
            )
        stated = self._facts.outline
        if stated is not None:
            found = _geobox(raster).extent.to_crs(stated.crs)  # type: ignore[arg-type]
            if not found.intersects(stated):
                raise ValueError(
                    f"it lies at {_bounds(found)} in {stated.crs}, the item says {_bounds(stated)}"
                )
        if self._src.band > raster.count:
            raise ValueError(
                f"it has {raster.count} bands, band {self._src.band} was asked for"
            )

    def _averaged(
        self,
        raster: Any,  # noqa: ANN401  (rasterio has no types)
        geobox: GeoBox,
        shrink: int,
    ) -> NDArray[np.float32]:
        """Resample to pixels `shrink` times finer and average them, a few rows at a time."""
        height = geobox.shape.y
        rows = max(1, STRIP_PX // (geobox.shape.x * shrink * shrink))
        strips = [
            geobox[start : min(start + rows, height), :] for start in range(0, height, rows)
        ]
        return np.concatenate(
            [
                block_mean(self._resampled(raster, finer(strip, shrink)), shrink)
                for strip in strips
            ]
        )

    def _resampled(
        self,
        raster: Any,  # noqa: ANN401  (rasterio has no types)
        geobox: GeoBox,
    ) -> NDArray[np.float32]:
        source = _geobox(raster)
        start = aligned_offset(source, geobox)
        if start is not None:
            return self._window(
                raster, start, (start[0] + geobox.shape.y, start[1] + geobox.shape.x)
            )
        assert source.crs is not None
        rows, cols = source_coordinates(source.crs, source.transform, geobox)
        inside = (rows > -1) & (rows < source.shape.y) & (cols > -1) & (cols < source.shape.x)
        if not inside.any():
            return np.full(rows.shape, np.nan, np.float32)
        start = (math.floor(rows[inside].min()), math.floor(cols[inside].min()))
        stop = (math.floor(rows[inside].max()) + 2, math.floor(cols[inside].max()) + 2)
        pixels = self._window(raster, start, stop)
        return bilinear(pixels, rows - start[0], cols - start[1])

    def _window(
        self,
        raster: Any,  # noqa: ANN401  (rasterio has no types)
        start: tuple[int, int],
        stop: tuple[int, int],
    ) -> NDArray[np.float32]:
        """Read rows and columns from start to stop; NaN outside the raster."""
        pixels = np.full((stop[0] - start[0], stop[1] - start[1]), np.nan, np.float32)
        held = [
            (max(first, 0), min(last, edge))
            for first, last, edge in zip(
                start, stop, (raster.height, raster.width), strict=True
            )
        ]
        if any(first >= last for first, last in held):
            return pixels
        numbers = raster.read(self._src.band, window=tuple(held))
        METER.add(numbers.nbytes)
        inner = tuple(
            slice(low - first, high - first)
            for (low, high), first in zip(held, start, strict=True)
        )
        pixels[inner] = np.where(numbers == self._facts.nodata, np.nan, numbers)
        return pixels

    def _translated(self, error: Exception) -> AssetError:
        # GDAL's own words are in the cause; rasterio's wrapper often says only "Read failed".
        said = "; ".join(str(each) for each in (error, error.__cause__) if each is not None)
        kind = AssetUnavailableError if PASSING.search(said) else AssetError
        return kind(self._facts.item_id, self._facts.asset, f"cannot be read: {said}")


def _bounds(outline: Geometry) -> str:
    return ", ".join(f"{edge:.0f}" for edge in outline.boundingbox)


def _geobox(raster: Any) -> GeoBox:  # noqa: ANN401  (rasterio has no types)
    geobox = rio_geobox(raster)
    if isinstance(geobox, GCPGeoBox):
        raise TypeError("it is placed by ground control points, not by a transform")
    return geobox
