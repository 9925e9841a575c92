"""The pixels of an item: a window of the grid, its tiles, its outline in degrees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import antimeridian
import numpy as np
import pyproj
import shapely
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from shapely.geometry.base import BaseGeometry

from pipeline.errors import QueryError
from pipeline.publish.words import Json
from pipeline.query.area import area_on, bounding_window
from pipeline.types import LEGEND, UNREADABLE, Grid
from pipeline.types.lonlat import cut

STEPS = 64
"""Segments of the longer side of an outline, which is projected to degrees."""
STRAIGHT = 1e-6
"""Degrees, 0.1 m: the outline is simplified with this tolerance."""
DECIMALS = 7
"""Of degrees: 1 cm."""

Window = tuple[slice, slice]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The pixels of a region within one tile."""

    row: int
    col: int
    window: Window
    """(y, x) pixels of the grid."""
    whole: bool
    """Whether the region covers the whole tile."""

    @property
    def pixels(self) -> int:
        """How many there are."""
        ys, xs = self.window
        return int((ys.stop - ys.start) * (xs.stop - xs.start))


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A rectangle of a grid, of whole chunks."""

    grid: Grid
    window: Window
    """(y, x) pixels of the grid, half-open."""

    @property
    def geobox(self) -> GeoBox:
        """Its pixels."""
        return self.grid.geobox[self.window]

    @property
    def edges(self) -> list[int]:
        """``[top, bottom, left, right]`` in pixels of the grid."""
        ys, xs = self.window
        return [ys.start, ys.stop, xs.start, xs.stop]

    def parts(self) -> Iterator[Part]:
        """Yield its pixels tile by tile, row by row."""
        edge, (ys, xs) = self.grid.tile_px, self.window
        for row in range(ys.start // edge, -(-ys.stop // edge)):
            for col in range(xs.start // edge, -(-xs.stop // edge)):
                tile = self.grid.tile(row, col)
                window = (_common(tile.window[0], ys), _common(tile.window[1], xs))
                yield Part(row=row, col=col, window=window, whole=window == tile.window)

    def made(self, fingerprints: NDArray[np.uint64]) -> list[Part]:
        """Return the parts with results: those whose fingerprint in (tile_y, tile_x) is not 0."""
        return [part for part in self.parts() if fingerprints[part.row, part.col] > UNREADABLE]


def region_of(grid: Grid, aoi: BaseGeometry | None) -> Region:
    """Return the smallest region of whole chunks that contains an AOI; for None, the whole grid.

    Raises
    ------
    QueryError
        The AOI lies outside the grid, or only touches it.
    """
    ny, nx = grid.geobox.shape
    if aoi is None:
        return Region(grid=grid, window=(slice(0, ny), slice(0, nx)))
    ys, xs = bounding_window(area_on(grid.geobox, aoi), grid.geobox)
    if ys.start >= ys.stop or xs.start >= xs.stop:
        raise QueryError("the AOI only touches the region of the archive: no pixel is in it")
    return Region(
        grid=grid, window=(_rounded(ys, grid.chunk_px, ny), _rounded(xs, grid.chunk_px, nx))
    )


def _rounded(pixels: slice, chunk: int, end: int) -> slice:
    return slice(pixels.start // chunk * chunk, min(-(-pixels.stop // chunk) * chunk, end))


def _common(one: slice, other: slice) -> slice:
    return slice(max(one.start, other.start), min(one.stop, other.stop))


def class_counts(scene: xr.Dataset, region: Region) -> NDArray[np.int64]:
    """Count the pixels of a region by class.

    Parameters
    ----------
    scene
        Masks of one time: ``mask`` (y, x) and ``histogram`` (tile_y, tile_x, class). Pixels are read only in tiles
        that the region covers in part.
    region
        The region.

    Returns
    -------
    (class,) pixels; those never masked, or unreadable, count as no data.
    """
    counts = np.zeros(len(LEGEND), np.int64)
    histogram = scene["histogram"].to_numpy()
    for part in region.made(scene["fingerprint"].to_numpy()):
        if part.whole:
            counts += histogram[part.row, part.col]
        else:
            ys, xs = part.window
            codes = scene["mask"].isel(y=ys, x=xs).to_numpy()
            counts += np.bincount(codes.ravel(), minlength=len(LEGEND))
    ny, nx = region.geobox.shape
    counts[0] = ny * nx - counts[1:].sum()
    return counts


# -- outlines ----------------------------------------------------------------------------------


def outline(region: Region, parts: list[Part]) -> BaseGeometry:
    """Return the outline of parts in degrees, cut at the antimeridian, rings counterclockwise."""
    boxes = [shapely.box(*region.grid.geobox[part.window].boundingbox) for part in parts]
    joined = shapely.union_all(boxes)
    west, south, east, north = joined.bounds
    bent = shapely.transform(
        shapely.segmentize(joined, max(east - west, north - south) / STEPS),
        lambda points: _degrees(region.grid, points),
    )
    placed = shapely.transform(
        cut(bent).simplify(STRAIGHT), lambda points: np.round(points, DECIMALS)
    )
    turned: BaseGeometry = shapely.orient_polygons(placed)
    return turned


def _degrees(grid: Grid, points: NDArray[np.float64]) -> NDArray[np.float64]:
    crs = grid.geobox.crs
    assert crs is not None, "a grid has a CRS"
    transformer = pyproj.Transformer.from_crs(crs.proj, "EPSG:4326", always_xy=True)
    return np.column_stack(transformer.transform(points[:, 0], points[:, 1]))


def bounds(geometry: BaseGeometry) -> list[float]:
    """Return ``[west, south, east, north]``; west is the larger across the antimeridian."""
    return [float(edge) for edge in antimeridian.bbox(geometry)]


def projection(geobox: GeoBox) -> Json:
    """Return the fields of the projection extension for a raster."""
    crs = geobox.crs
    assert crs is not None, "a grid has a CRS"
    fields: Json = {"proj:code": f"EPSG:{crs.epsg}" if crs.epsg else None}
    if not crs.epsg:
        fields["proj:wkt2"] = crs.to_wkt()
    return fields | {
        "proj:shape": list(geobox.shape),
        "proj:transform": list(geobox.affine)[:6],
        "proj:bbox": list(geobox.boundingbox),
    }
