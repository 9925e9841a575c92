"""Job -> Grid -> Tiles: the only place that chooses CRS, snapping, tile and chunk size.

One grid serves a region and all its sensors. It is anchored on the origin of its CRS, so that two
regions in one CRS share pixels, or on the corners of one sensor's pixels, so that these are not
resampled; its edges lie on whole stored chunks, so that tiles never share a stored object.
"""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np
import shapely
from affine import Affine
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox
from odc.geo.geom import Geometry
from shapely.affinity import translate
from shapely.geometry import box
from shapely.geometry.base import BaseGeometry

from pipeline.errors import GridError
from pipeline.types import Grid, Job, Tile
from pipeline.types.grid import CELL_PX, beside
from pipeline.types.lonlat import cut_box, unrolled

SNAP_PX = 512
"""Edges of a region lie on multiples of this (and of the chunk), so that inference windows, whose
cores are of this size or divide it, are not cut by the region's edge."""

FIELD_PX = CELL_PX
"""Those of a field: no smaller, so that none cuts the cells in which composites compare scenes."""

UTM_REACH_DEG = 6.0
"""How far from the central meridian a UTM zone may be stretched: scale is off by 0.4 % there."""

UTM_SOUTH_DEG, UTM_NORTH_DEG = -80.0, 84.0
"""Where UTM ends, and with it the tiles of Sentinel-2 (MGRS)."""

POLAR_DEG = 60.0
"""Beyond it a polar grid may be drawn for ``utm``."""

SOUTH_POLAR, NORTH_POLAR = "EPSG:3031", "EPSG:3413"
"""Polar stereographic grids of the field: Landsat Collection 2 delivers Antarctica in EPSG:3031 (USGS
LSDS-1619, section 2), as REMA does; ArcticDEM and NSIDC's sea ice are in EPSG:3413."""

LANDSAT_CORNER_M = 15.0
"""Landsat's pixels have their middles on multiples of 30 m (USGS LSDS-1619, section 2)."""

FALSE_NORTHING_M = 10_000_000.0
"""Of southern UTM zones. Landsat counts northern ones on, and these metres are no multiple of 30."""

CRS_REACH_DEG = 15.0
"""How far from its area of use a CRS may be taken: regions reach over borders, not over oceans."""


def make_grid(job: Job, auto: str | tuple[float, float] = "crs") -> Grid:
    """Draw the grid of a job.

    Parameters
    ----------
    job
        The job.
    auto
        What the anchor ``auto`` stands for: another value of `GridSettings.anchor`.

    Raises
    ------
    GridError
        The AOI is too wide for one UTM zone, is far from where the CRS is meant for, or does not
        project.
    """
    settings = job.grid
    crs = _crs(settings.crs, job.aoi)
    outline = _project(job.aoi, crs)
    asked = auto if settings.anchor == "auto" else settings.anchor
    step_px = settings.chunk_px * math.ceil(SNAP_PX / settings.chunk_px)
    corner = _corner(asked, crs, settings.resolution_m)
    return Grid(
        geobox=_snapped(outline, crs, settings.resolution_m, corner, step_px),
        tile_px=settings.tile_px,
        chunk_px=settings.chunk_px,
    )


def field_grid(job: Job, usual: Grid) -> Grid:
    """Draw the grid of a field: of an AOI no wider and no higher than a chunk, one tile that is no larger than it must be.

    Its pixels are some of the usual grid's, and have the same masks and composites; what lies round them is neither
    masked, composed nor stored.

    Parameters
    ----------
    job
        The job.
    usual
        As of `make_grid`.

    Returns
    -------
    The grid, its edges on multiples of `FIELD_PX`; or the usual one, where the AOI is wider.
    """
    crs = usual.geobox.crs
    assert crs is not None
    outline = _project(job.aoi, crs)
    bounds, edge = outline.boundingbox, usual.chunk_px * usual.resolution_m
    if max(bounds.span_x, bounds.span_y) > edge or usual.chunk_px % FIELD_PX:
        return usual
    geobox = _snapped(outline, crs, usual.resolution_m, usual.corner, FIELD_PX)
    return Grid(geobox=geobox, tile_px=max(geobox.shape), chunk_px=FIELD_PX)


def holds(grid: Grid, aoi: BaseGeometry) -> bool:
    """Return whether a grid has a pixel for every point of an AOI."""
    assert grid.geobox.crs is not None
    outline = _project(aoi, grid.geobox.crs)
    return bool(grid.geobox.extent.geom.covers(outline.geom))


def tiles(grid: Grid, aoi: BaseGeometry, reach_m: float = 0.0) -> list[Tile]:
    """Return the tiles that the AOI touches, or that have a pixel within reach of one that it touches, row by row."""
    assert grid.geobox.crs is not None
    outline = _project(aoi, grid.geobox.crs).geom
    shapely.prepare(outline)
    # From the middle of a pixel that the AOI touches to the AOI it is less than a pixel.
    beyond = reach_m + grid.resolution_m if reach_m else 0.0
    rows, cols = grid.shape_in_tiles
    bounds, edge = grid.geobox.boundingbox, grid.tile_px * grid.resolution_m
    wests = bounds.left + np.arange(cols) * edge
    norths = bounds.top - np.arange(rows) * edge
    # One row of boxes at a time: a grid of the world has millions.
    found = []
    for row, north in enumerate(norths):
        south = max(north - edge, bounds.bottom)
        boxes = shapely.box(wests, south, np.minimum(wests + edge, bounds.right), north)
        near = (
            shapely.dwithin(outline, boxes, beyond)
            if beyond
            else shapely.intersects(outline, boxes)
        )
        found += [grid.tile(row, int(col)) for col in np.flatnonzero(near)]
    return found


def anchor_of(corners_m: Collection[float]) -> str:
    """Return the anchor for sources whose pixel corners lie so many metres beyond multiples of their pixels."""
    return "landsat" if set(corners_m) == {LANDSAT_CORNER_M} else "crs"


def _corner(
    anchor: str | tuple[float, float], crs: CRS, resolution_m: float
) -> tuple[float, float]:
    """Return how far (x, y) corners of pixels lie beyond multiples of the pixel, in metres."""
    x, y = (0.0, 0.0) if isinstance(anchor, str) else anchor
    if anchor == "landsat":
        x = y = LANDSAT_CORNER_M
        if (crs.epsg or 0) // 100 == 327:
            y += FALSE_NORTHING_M
    return beside(x, resolution_m), beside(y, resolution_m)


def _crs(name: str, aoi: BaseGeometry) -> CRS:
    if name == "utm":
        return _utm(aoi)
    crs = CRS(name)
    _require_near(name, crs, aoi)
    return crs


def _require_near(name: str, crs: CRS, aoi: BaseGeometry) -> None:
    """Refuse a CRS of another part of the world: its metres are distorted here."""
    area = crs.proj.area_of_use
    if area is None:
        return
    used = cut_box(area.west, area.south, area.east, area.north)
    # Longitudes are on a circle: 360° apart is the same meridian.
    shifts = (-360.0, 0.0, 360.0)
    apart = min(used.distance(translate(aoi, xoff=shift)) for shift in shifts)
    if crs.proj.utm_zone is not None:
        # Scale does not depend on latitude: Landsat counts northern zones on to the south pole.
        belt = box(area.west, -90.0, area.east, 90.0)
        apart = min(belt.distance(translate(aoi, xoff=shift)) for shift in shifts)
    if apart > CRS_REACH_DEG:
        west, south, east, north = aoi.bounds
        raise GridError(
            f"grid.crs {name!r} ({crs.proj.name}) is meant for {area.west:g}° to {area.east:g}° "
            f"east and {area.south:g}° to {area.north:g}° north; the AOI, {west:.2f}° to "
            f"{east:.2f}° east and {south:.2f}° to {north:.2f}° north, is {apart:.0f}° away. Give "
            "grid.crs 'utm' or a CRS of the AOI's part of the world"
        )


def _utm(aoi: BaseGeometry) -> CRS:
    """Return the UTM zone of an AOI, or a polar grid where there is none."""
    outline = unrolled(aoi)
    west, south, east, north = outline.bounds
    if south < UTM_SOUTH_DEG or north > UTM_NORTH_DEG:
        return _polar(south, north)
    centre = (
        outline.representative_point() if outline.geom_type != "Polygon" else outline.centroid
    )
    # Not odc's `CRS.utm`: it searches PROJ's tables for a tenth of a second.
    zone = max(math.ceil((_on_the_circle(centre.x) + 180.0) / 6.0), 1)
    crs = CRS(f"EPSG:{(32600 if centre.y >= 0 else 32700) + zone}")
    meridian = round((centre.x - (zone * 6.0 - 183.0)) / 360.0) * 360.0 + zone * 6.0 - 183.0
    if max(meridian - west, east - meridian) > UTM_REACH_DEG:
        raise GridError(
            f"the AOI reaches from {west:.2f}° to {east:.2f}°, too wide for UTM zone {crs}; give "
            "grid.crs an equal-area CRS such as EPSG:3035 (Europe) or EPSG:6933 (the world), or "
            "near a pole EPSG:3413 (north) or EPSG:3031 (south)"
        )
    return crs


def _polar(south: float, north: float) -> CRS:
    if south > POLAR_DEG:
        return CRS(NORTH_POLAR)
    if north < -POLAR_DEG:
        return CRS(SOUTH_POLAR)
    raise GridError(
        f"the AOI reaches from {south:.2f}° to {north:.2f}° north: UTM ends at {UTM_SOUTH_DEG:g}° "
        f"and {UTM_NORTH_DEG:g}°, and polar grids are for what lies beyond ±{POLAR_DEG:g}° as a "
        "whole; cut the AOI, or give grid.crs an equal-area CRS such as EPSG:6933 (the world)"
    )


def _on_the_circle(longitude: float) -> float:
    return (longitude + 180.0) % 360.0 - 180.0


def _project(aoi: BaseGeometry, crs: CRS) -> Geometry:
    # Straight edges in degrees are curves on the grid: points at least every 0.01° keep them.
    projected = Geometry(aoi, "EPSG:4326").to_crs(crs, resolution=0.01)
    if projected.is_empty or not all(math.isfinite(edge) for edge in projected.boundingbox):
        raise GridError(
            f"the AOI {aoi.bounds} cannot be projected to {crs}; give another grid.crs"
        )
    if projected.is_valid:
        return projected
    # Round a pole both ends of an AOI meet: the slit between them closes.
    return Geometry(shapely.make_valid(projected.geom), crs)


def _snapped(
    outline: Geometry,
    crs: CRS,
    resolution_m: float,
    corner: tuple[float, float],
    step_px: int,
) -> GeoBox:
    """Return the pixels of an outline's box; its edges lie on multiples of a step from a corner."""
    step = step_px * resolution_m
    bounds, (x, y) = outline.boundingbox, corner
    left, bottom = math.floor((bounds.left - x) / step), math.floor((bounds.bottom - y) / step)
    right, top = math.ceil((bounds.right - x) / step), math.ceil((bounds.top - y) / step)
    return GeoBox(
        ((top - bottom) * step_px, (right - left) * step_px),
        Affine(resolution_m, 0.0, x + left * step, 0.0, -resolution_m, y + top * step),
        crs,
    )
