"""An AOI on a pixel grid: which pixels belong to it, tile by tile.

A pixel belongs to an AOI when its centre does. Edges of the AOI are straight in longitude and
latitude, as in GeoJSON.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from shapely.geometry.base import BaseGeometry

from pipeline.errors import QueryError
from pipeline.query.rasterize import Window, draw

STEP_DEGREES = 0.01
"""Edges are projected in steps of this; between them, less than 0.1 m is lost."""
BLOCK_PX = 1024
"""Edge of the largest block that is drawn at once outside the region."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The pixels of an area within one tile."""

    row: int
    col: int
    window: Window
    """(y, x) pixels of the grid that hold all of the part."""
    inside: NDArray[np.bool_] | None
    """Which pixels of `window` belong to the area; none: the whole tile does."""

    @property
    def pixels(self) -> int:
        """How many pixels belong to the area."""
        if self.inside is not None:
            return int(np.count_nonzero(self.inside))
        ys, xs = self.window
        return int((ys.stop - ys.start) * (xs.stop - xs.start))


def area_on(geobox: GeoBox, aoi: BaseGeometry | None) -> BaseGeometry:
    """Project an AOI to the CRS of a grid.

    Parameters
    ----------
    geobox
        The region.
    aoi
        Polygon or multipolygon in degrees; none: the region itself.

    Raises
    ------
    QueryError
        The AOI has no area, does not touch the region, or cannot be projected to its CRS.
    """
    region = shapely.box(*geobox.boundingbox)
    if aoi is None:
        return region
    projected = _project(_polygonal(aoi), geobox)
    if not projected.intersects(region):
        raise QueryError(
            f"the AOI ({_extent(aoi)}) lies outside the region of the archive "
            f"({_extent(geobox.geographic_extent.geom)})"
        )
    return projected


def _polygonal(geometry: BaseGeometry) -> BaseGeometry:
    valid = geometry if geometry.is_valid else shapely.make_valid(geometry)
    polygons = [each for each in shapely.get_parts([valid]) if each.area > 0]
    polygons = [each for part in polygons for each in _polygons(part)]
    if not polygons:
        raise QueryError(f"the AOI must be a polygon with an area, not {geometry.geom_type}")
    return shapely.union_all(polygons)


def _polygons(geometry: BaseGeometry) -> Iterator[BaseGeometry]:
    for part in shapely.get_parts([geometry]):
        if part.geom_type == "Polygon":
            yield part
        elif part.geom_type in ("MultiPolygon", "GeometryCollection"):
            yield from _polygons(part)


def _project(aoi: BaseGeometry, geobox: GeoBox) -> BaseGeometry:
    crs = geobox.crs
    assert crs is not None, "the masks of an archive have a CRS"
    transformer = pyproj.Transformer.from_crs("EPSG:4326", crs.proj, always_xy=True)

    def to_grid(lonlat: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(transformer.transform(lonlat[:, 0], lonlat[:, 1]))

    projected = shapely.transform(shapely.segmentize(aoi, STEP_DEGREES), to_grid)
    if not np.isfinite(projected.bounds).all():
        raise QueryError(
            f"the AOI ({_extent(aoi)}) reaches beyond where the archive's CRS {crs.epsg or ''} "
            "can be used: give longitude and latitude in degrees, near the region"
        )
    return _polygonal(projected)


def _extent(geometry: BaseGeometry) -> str:
    west, south, east, north = geometry.bounds
    return f"longitude {west:.4f} to {east:.4f}, latitude {south:.4f} to {north:.4f}"


# -- pixels ------------------------------------------------------------------------------------


def parts(area: BaseGeometry, geobox: GeoBox, tile_px: int) -> Iterator[Part]:
    """Yield the pixels of an area within a region, tile by tile.

    Parameters
    ----------
    area
        In the CRS of the region.
    geobox
        The region.
    tile_px
        Edge of its tiles.
    """
    shapely.prepare(area)
    rows, cols = bounding_window(area, geobox)
    for row in range(rows.start // tile_px, -(-rows.stop // tile_px)):
        for col in range(cols.start // tile_px, -(-cols.stop // tile_px)):
            tile = (
                _clip(row * tile_px, tile_px, geobox.shape[0]),
                _clip(col * tile_px, tile_px, geobox.shape[1]),
            )
            part = _part(area, geobox, (row, col), tile)
            if part is not None:
                yield part


def _clip(start: int, length: int, end: int) -> slice:
    return slice(start, min(start + length, end))


def _part(
    area: BaseGeometry, geobox: GeoBox, position: tuple[int, int], tile: Window
) -> Part | None:
    row, col = position
    box = shapely.box(*_boundingbox(geobox, tile))
    if area.covers(box):
        return Part(row=row, col=col, window=tile, inside=None)
    if not area.intersects(box):
        return None
    ys, xs = (
        slice(max(a.start, b.start), min(a.stop, b.stop))
        for a, b in zip(tile, bounding_window(area, geobox), strict=True)
    )
    inside = draw(area, geobox, (ys, xs))
    return Part(row=row, col=col, window=(ys, xs), inside=inside) if inside.any() else None


def bounding_window(area: BaseGeometry, geobox: GeoBox) -> Window:
    """Return the smallest window of a region that holds an area, cut at the region's edges."""
    (top, bottom), (left, right) = _reach(area, geobox)
    ny, nx = geobox.shape
    return (
        slice(min(max(top, 0), ny), max(min(bottom, ny), 0)),
        slice(min(max(left, 0), nx), max(min(right, nx), 0)),
    )


def _reach(area: BaseGeometry, geobox: GeoBox) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return rows and columns that hold an area, perhaps beyond the region: negative too."""
    west, south, east, north = area.bounds
    corners = [~geobox.affine @ (x, y) for x in (west, east) for y in (south, north)]
    cols, rows = np.array(corners).T
    return (
        (int(np.floor(rows.min())), int(np.ceil(rows.max()))),
        (int(np.floor(cols.min())), int(np.ceil(cols.max()))),
    )


def pixels_outside(area: BaseGeometry, geobox: GeoBox) -> int:
    """Count the pixels of an area beyond the region, on the same grid carried on."""
    shapely.prepare(area)
    ny, nx = geobox.shape
    (top, bottom), (left, right) = _reach(area, geobox)
    across, down = slice(left, right), slice(max(top, 0), min(bottom, ny))
    round_about = (
        (slice(top, min(bottom, 0)), across),
        (slice(max(top, ny), bottom), across),
        (down, slice(left, min(right, 0))),
        (down, slice(max(left, nx), right)),
    )
    return sum(_count(area, geobox, window) for window in round_about)


def _count(area: BaseGeometry, geobox: GeoBox, window: Window) -> int:
    """Count by halving: only blocks that the outline crosses are drawn."""
    ys, xs = window
    height, width = ys.stop - ys.start, xs.stop - xs.start
    if height <= 0 or width <= 0:
        return 0
    box = shapely.box(*_boundingbox(geobox, window))
    if not area.intersects(box):
        return 0
    if area.covers(box):
        return int(height * width)
    if max(height, width) <= BLOCK_PX:
        return int(np.count_nonzero(draw(area, geobox, window)))
    if height >= width:
        middle = ys.start + height // 2
        halves = (slice(ys.start, middle), xs), (slice(middle, ys.stop), xs)
    else:
        middle = xs.start + width // 2
        halves = (ys, slice(xs.start, middle)), (ys, slice(middle, xs.stop))
    return sum(_count(area, geobox, half) for half in halves)


def _boundingbox(geobox: GeoBox, window: Window) -> tuple[float, float, float, float]:
    ys, xs = window
    left, top = geobox.affine @ (xs.start, ys.start)
    right, bottom = geobox.affine @ (xs.stop, ys.stop)
    return min(left, right), min(top, bottom), max(left, right), max(top, bottom)
