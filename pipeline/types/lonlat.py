"""Outlines in longitude and latitude: cut at the antimeridian, or unrolled across it."""

from __future__ import annotations

import math

import antimeridian
import numpy as np
import shapely
from shapely.affinity import translate
from shapely.geometry import MultiPolygon, Polygon, box
from shapely.geometry.base import BaseGeometry

WORLD = box(-180.0, -90.0, 180.0, 90.0)


def cut(outline: BaseGeometry) -> BaseGeometry:
    """Cut an outline at the antimeridian, as RFC 7946 (section 3.1.9) asks.

    Parameters
    ----------
    outline
        Polygons in degrees, also in the two ways in which catalogues cross the antimeridian:
        longitudes beyond ±180, and rings that jump from one side of the map to the other. An edge
        longer than 180° is such a jump, unless it runs along the whole parallel.

    Returns
    -------
    Polygons within ±180°; the outline itself if it needs no cut.
    """
    parts = [part for part in shapely.get_parts(outline) if isinstance(part, Polygon)]
    if not parts or not any(_needs_cut(part) for part in parts):
        return outline
    pieces = [piece for part in parts for piece in _cut_one(part)]
    return MultiPolygon(pieces) if len(pieces) > 1 else pieces[0]


def tidy(outline: BaseGeometry) -> BaseGeometry:
    """Return an outline as servers expect it: no repeated vertices, outer rings counter-clockwise."""
    return shapely.orient_polygons(shapely.remove_repeated_points(outline))


def wrapped(outline: BaseGeometry) -> BaseGeometry:
    """Return an outline whose longitudes go beyond ±180° cut there, all parts within ±180°."""
    west, _, east, _ = outline.bounds
    if west >= -180.0 and east <= 180.0:
        return outline
    turns = range(math.floor((west + 180.0) / 360.0), math.floor((east + 180.0) / 360.0) + 1)
    pieces = [translate(outline, xoff=-360.0 * turn).intersection(WORLD) for turn in turns]
    areas = [
        part
        for piece in pieces
        for part in shapely.get_parts(piece)
        if isinstance(part, Polygon)
    ]
    return shapely.union_all(areas)


def cut_box(west: float, south: float, east: float, north: float) -> BaseGeometry:
    """Return a bounding box; one whose west is larger than its east crosses the antimeridian.

    Raises
    ------
    ValueError
        It has no width: its edges are one meridian.
    """
    if west <= east:
        return cut(box(west, south, east, north))
    sides = ((west, 180.0), (-180.0, east))
    parts = [box(w, south, e, north) for w, e in sides if w < e]
    if not parts:
        raise ValueError(f"a box from {west:g} to {east:g} has no width")
    return MultiPolygon(parts) if len(parts) > 1 else parts[0]


def unrolled(outline: BaseGeometry) -> BaseGeometry:
    """Join an outline that was cut at the antimeridian, with longitudes beyond 180°.

    So its middle and width can be computed. An outline that this would not make narrower is returned
    as it is.

    Parameters
    ----------
    outline
        Polygons within ±180°.

    Returns
    -------
    Polygons whose western parts are moved east by 360° if that makes the whole narrower.
    """
    west, _, east, _ = outline.bounds
    if not east - west > 180.0:
        return outline
    parts = list(shapely.get_parts(outline))
    moved = [
        translate(part, xoff=360.0) if part.bounds[2] <= _gap(parts) else part for part in parts
    ]
    joined = shapely.union_all(moved)
    return joined if joined.bounds[2] - joined.bounds[0] < east - west else outline


def _gap(parts: list[BaseGeometry]) -> float:
    """Return the longitude where the widest gap between parts begins."""
    spans = sorted((part.bounds[0], part.bounds[2]) for part in parts)
    reach, widest, begins = spans[0][1], 0.0, -np.inf
    for west, east in spans[1:]:
        if west - reach > widest:
            widest, begins = west - reach, reach
        reach = max(reach, east)
    return begins


def _needs_cut(part: Polygon) -> bool:
    west, _, east, _ = part.bounds
    if west < -180.0 or east > 180.0:
        return True
    return _jumps(part)


def _jumps(part: Polygon) -> bool:
    """Tell whether a ring jumps from one side of the map to the other."""
    longitudes = shapely.get_coordinates(part.exterior)[:, 0]
    if not np.ptp(longitudes) > 180.0:
        return False
    steps = np.abs(np.diff(longitudes))
    return bool(((steps > 180.0) & (steps < 360.0)).any())


def _cut_one(part: Polygon) -> list[Polygon]:
    """Cut one polygon; one that cannot be cut is returned as it is."""
    if not _needs_cut(part):
        return [part]
    if not _jumps(part):
        return list(shapely.get_parts(wrapped(part)))
    north, south = _pole(part)
    try:
        # Straight edges in degrees are what GeoJSON means, not great circles.
        fixed = antimeridian.fix_polygon(
            part,
            fix_winding=True,
            great_circle=False,
            force_north_pole=north,
            force_south_pole=south,
        )
    except ValueError:
        return [part]
    return [piece for piece in shapely.get_parts(fixed) if isinstance(piece, Polygon)]


def _pole(part: Polygon) -> tuple[bool, bool]:
    """Tell whether a ring goes round the (north, south) pole: the nearer one, in either direction."""
    coordinates = shapely.get_coordinates(part.exterior)
    steps = (np.diff(coordinates[:, 0]) + 180.0) % 360.0 - 180.0
    round_it = abs(float(steps.sum())) > 180.0
    northern = float(coordinates[:, 1].mean()) > 0.0
    return round_it and northern, round_it and not northern
