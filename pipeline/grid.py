"""Job -> Grid -> Tiles: the only place that chooses CRS, snapping, tile and chunk size.

One grid serves a region and all its sensors. It is anchored on the origin of its CRS, so that two
regions in one CRS share pixels, and its edges lie on whole stored chunks, so that tiles never
share a stored object.
"""

from __future__ import annotations

import math

from affine import Affine
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox
from odc.geo.geom import Geometry
from pyproj.exceptions import CRSError
from shapely.geometry.base import BaseGeometry

from pipeline.errors import GridError
from pipeline.types import Grid, GridSettings, Job, Tile

SNAP_PX = 512
"""Edges of a region lie on multiples of this (and of the chunk), so that inference windows, whose
cores are of this size or divide it, are not cut by the region's edge."""

UTM_REACH_DEG = 6.0
"""How far from the central meridian a UTM zone may be stretched: scale is off by 0.4 % there."""


def make_grid(job: Job) -> Grid:
    """Draw the grid of a job.

    Raises
    ------
    GridError
        The CRS is unknown or not in metres, the AOI is too wide for one UTM zone or does not
        project, or the tile is not a whole number of chunks.
    """
    settings = job.grid
    _check(settings)
    crs = _crs(settings.crs, job.aoi)
    outline = _project(job.aoi, crs)
    return Grid(
        geobox=_snapped(outline, crs, settings),
        tile_px=settings.tile_px,
        chunk_px=settings.chunk_px,
    )


def tiles(grid: Grid, aoi: BaseGeometry) -> list[Tile]:
    """Return the tiles that the AOI touches, row by row."""
    assert grid.geobox.crs is not None
    outline = _project(aoi, grid.geobox.crs)
    return [tile for tile in grid.tiles() if tile.geobox.extent.intersects(outline)]


def _check(settings: GridSettings) -> None:
    if settings.resolution_m <= 0:
        raise GridError(f"grid.resolution_m is {settings.resolution_m}; expected more than 0")
    if settings.tile_px % settings.chunk_px:
        raise GridError(
            f"grid.tile_px {settings.tile_px} is not a multiple of grid.chunk_px {settings.chunk_px}"
        )


def _crs(name: str, aoi: BaseGeometry) -> CRS:
    if name.lower() == "utm":
        return _utm(aoi)
    try:
        crs = CRS(name)
    except CRSError as error:
        raise GridError(
            f"grid.crs {name!r} is not known to PROJ; expected 'utm' or e.g. EPSG:32632"
        ) from error
    # Not odc's `units`: it tells axes by their direction, and both of a polar CRS point north.
    units = {axis.unit_name for axis in crs.proj.axis_info}
    if not crs.projected or not units <= {"metre", "meter"}:
        raise GridError(
            f"grid.crs {name!r} is in {' and '.join(sorted(units))}; expected a projected CRS in "
            "metres, e.g. 'utm', EPSG:3035 (Europe) or EPSG:6933 (the world, equal area)"
        )
    return crs


def _utm(aoi: BaseGeometry) -> CRS:
    west, _, east, _ = aoi.bounds
    centre = aoi.representative_point() if aoi.geom_type != "Polygon" else aoi.centroid
    crs = CRS.utm(centre.x, centre.y)
    meridian = math.floor(centre.x / 6) * 6 + 3
    if max(meridian - west, east - meridian) > UTM_REACH_DEG:
        raise GridError(
            f"the AOI reaches from {west:.2f}° to {east:.2f}°, too wide for UTM zone {crs}; give "
            "grid.crs an equal-area CRS such as EPSG:3035 (Europe) or EPSG:6933 (the world)"
        )
    return crs


def _project(aoi: BaseGeometry, crs: CRS) -> Geometry:
    # Straight edges in degrees are curves on the grid: points at least every 0.01° keep them.
    projected = Geometry(aoi, "EPSG:4326").to_crs(crs, resolution=0.01)
    if projected.is_empty or not all(math.isfinite(edge) for edge in projected.boundingbox):
        raise GridError(f"the AOI {aoi.bounds} has no place in {crs}; give another grid.crs")
    return projected


def _snapped(outline: Geometry, crs: CRS, settings: GridSettings) -> GeoBox:
    step_px = settings.chunk_px * math.ceil(SNAP_PX / settings.chunk_px)
    step = step_px * settings.resolution_m
    bounds = outline.boundingbox
    left, bottom = math.floor(bounds.left / step), math.floor(bounds.bottom / step)
    right, top = math.ceil(bounds.right / step), math.ceil(bounds.top / step)
    shape = ((top - bottom) * step_px, (right - left) * step_px)
    resolution = settings.resolution_m
    return GeoBox(
        shape, Affine(resolution, 0.0, left * step, 0.0, -resolution, top * step), crs
    )
