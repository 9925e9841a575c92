"""One window of one asset: the same pixels, bit for bit, however a region is cut into windows.

odc-stac asks a driver for pixels. This one resamples every pixel for itself (`resample` says why),
counts what it reads, and says which item and asset could not be read. `opening` has the patience.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from odc.geo.converters import rio_geobox
from odc.geo.gcp import GCPGeoBox
from odc.geo.geobox import GeoBox
from odc.geo.geom import Geometry
from odc.loader import RioDriver
from odc.loader.types import RasterLoadParams, RasterSource
from rasterio.io import DatasetReader

from pipeline.cube import datasets
from pipeline.cube.meter import METER
from pipeline.cube.opening import Place, read_asset
from pipeline.cube.resample import (
    Places,
    aligned_offset,
    bilinear,
    block_mean,
    finer,
    nearest,
    shrink_factor,
    source_places,
)
from pipeline.types import Cost

STRIP_PX = 2**22
"""Finer pixels that are held at once while coarse ones are averaged."""

NOISE = 6
"""Decimals of a source pixel to which places are known."""


@dataclass(frozen=True, slots=True)
class AssetFacts:
    """What is known of an asset before it is opened."""

    item_id: str
    asset: str
    nodata: int
    outline: Geometry | None
    """Where the item says that its rasters lie; none: it does not say."""
    remote: bool = False
    """Whether the item came from elsewhere, not from a file of this machine."""
    hosts: tuple[str, ...] = ()
    """Hosts of private addresses that may be read all the same."""
    nearest: bool = False
    """Codes, which are neither averaged nor interpolated."""


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
        coarser than the asset by two or more, and interpolated bilinearly where grids differ. Of
        codes the pixel is taken in which the centre lies.

        Returns
        -------
        The (y, x) slices of the whole geobox, and its DNs as float32, NaN = no data.

        Raises
        ------
        AssetError, AssetUnavailableError
            The asset cannot be read: see `opening.read_asset`.
        """
        del cfg, selection
        pixels = self.pixels(dst_geobox)
        everywhere = (slice(0, dst_geobox.shape.y), slice(0, dst_geobox.shape.x))
        if dst is not None:
            dst[:] = pixels
        return everywhere, pixels

    def pixels(self, geobox: GeoBox) -> NDArray[np.float32]:
        """Read a geobox: (y, x) float32 DNs; see `read`."""
        facts = self._facts
        place = Place(
            item_id=facts.item_id,
            asset=facts.asset,
            href=self._src.uri,
            remote=facts.remote,
            hosts=facts.hosts,
        )
        read = read_asset(place, partial(self._read, geobox=geobox))
        if isinstance(read, _Overview):
            averaged = partial(self._averaged, geobox=geobox, shrink=read.shrink)
            return read_asset(place, averaged, overview_level=read.level)
        return read

    def _read(self, raster: DatasetReader, geobox: GeoBox) -> NDArray[np.float32] | _Overview:
        """Read a geobox, or say from which overview to read it."""
        self._check(raster)
        shrink = shrink_factor(_geobox(raster), geobox)
        if self._facts.nearest:
            return self._nearest(raster, geobox, shrink)
        # Where none can fit they are not looked for: that may cost requests.
        factors = datasets.overviews(raster, self._src.band) if shrink > 1 else []
        fitting = [(factor, level) for level, factor in enumerate(factors) if factor <= shrink]
        if not fitting:
            return self._averaged(raster, geobox, shrink)
        factor, level = max(fitting)
        return _Overview(level, shrink // factor)

    def _check(self, raster: DatasetReader) -> None:
        if raster.crs is None:
            raise ValueError("it has no CRS")
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
        self, raster: DatasetReader, geobox: GeoBox, shrink: int
    ) -> NDArray[np.float32]:
        """Resample to pixels `shrink` times finer and average them, a few rows at a time."""
        return np.concatenate(
            [
                block_mean(self._resampled(raster, finer(strip, shrink), bilinear), shrink)
                for strip in _strips(geobox, shrink)
            ]
        )

    def _nearest(
        self, raster: DatasetReader, geobox: GeoBox, shrink: int
    ) -> NDArray[np.float32]:
        """Take the pixel in which each centre lies, a few rows at a time.

        Never from an overview: whoever made it may have averaged codes.
        """
        return np.concatenate(
            [self._resampled(raster, strip, _nearest) for strip in _strips(geobox, shrink)]
        )

    def _resampled(
        self,
        raster: DatasetReader,
        geobox: GeoBox,
        resample: Callable[[NDArray[np.float32], Places], NDArray[np.float32]],
    ) -> NDArray[np.float32]:
        source = _geobox(raster)
        start = aligned_offset(source, geobox)
        if start is not None:
            return self._window(
                raster, start, (start[0] + geobox.shape.y, start[1] + geobox.shape.x)
            )
        assert source.crs is not None
        places = source_places(source.crs, source.transform, geobox)
        window = places.window(source.shape.y, source.shape.x)
        if window is None:
            return np.full(tuple(geobox.shape), np.nan, np.float32)
        return resample(self._window(raster, *window), places.within(window[0]))

    def _window(
        self,
        raster: DatasetReader,
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
        METER.add(Cost(bytes_read=numbers.nbytes, reads=1))
        inner = tuple(
            slice(low - first, high - first)
            for (low, high), first in zip(held, start, strict=True)
        )
        pixels[inner] = numbers
        pixels[inner][numbers == self._facts.nodata] = np.nan
        return pixels


@dataclass(frozen=True, slots=True)
class _Overview:
    """Where to read from instead of the raster itself."""

    level: int
    shrink: int
    """Pixels of the overview that make one along an edge."""


def _strips(geobox: GeoBox, shrink: int) -> list[GeoBox]:
    """Cut a geobox into a few rows each, of at most `STRIP_PX` finer pixels or one row."""
    height = geobox.shape.y
    rows = max(1, STRIP_PX // (geobox.shape.x * shrink * shrink))
    return [geobox[start : min(start + rows, height), :] for start in range(0, height, rows)]


def _nearest(pixels: NDArray[np.float32], places: Places) -> NDArray[np.float32]:
    """Take the pixel in which each place lies; of a place between two, the lower or right one.

    Where grids are multiples of each other all places lie between pixels, but for noise that
    depends on the window.
    """
    return nearest(
        pixels, Places(places.rows.round(NOISE), places.cols.round(NOISE), places.parallel)
    )


def _bounds(outline: Geometry) -> str:
    return ", ".join(f"{edge:.0f}" for edge in outline.boundingbox)


def _geobox(raster: DatasetReader) -> GeoBox:
    geobox = rio_geobox(raster)
    if isinstance(geobox, GCPGeoBox):
        raise TypeError("it is placed by ground control points, not by a transform")
    return geobox
