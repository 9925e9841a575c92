"""Areas of interest in any form, as polygons in longitude and latitude."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from shapely.errors import GEOSException, ShapelyError
from shapely.geometry import MultiPolygon, Point, Polygon, box, shape
from shapely.geometry.base import BaseGeometry

from pipeline.types.lonlat import cut, wrapped

AOI_FORMS = (
    "a bbox [west, south, east, north], GeoJSON, WKT, or the path of a vector file; "
    "polygons, in longitude and latitude unless a file says otherwise"
)

_WKT = re.compile(
    r"\s*(MULTI)?(POLYGON|POINT|LINESTRING|LINEARRING)\b|\s*GEOMETRYCOLLECTION\b", re.IGNORECASE
)
_NUMBER = r"\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\s*"
_BBOX_TEXT = re.compile(rf"\[?{_NUMBER}(?:,{_NUMBER}){{3}}\]?")

_EDGE_M = 5_000.0
"""Longest edge that is reprojected by its ends alone. A straight edge of 100 km in UTM, drawn
straight again in degrees, is 230 m off at 50° N; one of 5 km is off by half a metre."""


def read_aoi(value: object, base: Path) -> BaseGeometry:
    """Read an area of interest.

    Several features become their union, and invalid polygons are repaired.

    Parameters
    ----------
    value
        A bbox as numbers or as text, a GeoJSON mapping or text, WKT, a path, or a geometry. A
        bbox whose west is larger than its east crosses the antimeridian and is split there, as are
        polygons whose longitudes run on past ±180 and files in a projection that crosses it.
    base
        Directory that paths are relative to.

    Returns
    -------
    A valid polygon or multipolygon in degrees, longitude first.

    Raises
    ------
    ValueError
        It is none of these, is empty, has lines or points, or lies outside ±180°, ±90°.
    """
    if isinstance(value, str):
        return _from_text(value, base)
    if isinstance(value, BaseGeometry):
        return _polygons([value])
    if isinstance(value, Mapping):
        return _polygons(_from_geojson(value))
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return _from_bbox(value)
    raise ValueError("it is none of these")


def write_aoi(aoi: BaseGeometry) -> dict[str, Any]:
    """Write an area as a GeoJSON geometry, so that reading it gives the same area."""
    geojson: dict[str, Any] = json.loads(shapely.to_geojson(aoi))
    return geojson


def _from_text(text: str, base: Path) -> BaseGeometry:
    if _BBOX_TEXT.fullmatch(text.strip()):
        return _from_bbox([float(each) for each in text.strip().strip("[]").split(",")])
    if text.lstrip().startswith("{"):
        return _polygons(_from_geojson(_json(text)))
    if _WKT.match(text):
        return _polygons([_from_wkt(text)])
    return _polygons(_from_file(text, base))


def _json(text: str) -> Mapping[str, Any]:
    try:
        value: Mapping[str, Any] = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"its JSON cannot be read: {error}") from None
    return value


def _from_wkt(text: str) -> BaseGeometry:
    try:
        return shapely.from_wkt(text)
    except (GEOSException, ShapelyError) as error:
        raise ValueError(f"its WKT cannot be read: {error}") from None


def _from_bbox(numbers: Sequence[Any]) -> BaseGeometry:
    if len(numbers) != 4 or not all(_is_number(each) for each in numbers):
        raise ValueError("a bbox is four numbers: west, south, east, north")
    west, south, east, north = (float(each) for each in numbers)
    # Before the split: what lies beyond ±180 would vanish in it.
    _check_bounds(west, south, east, north)
    if south >= north:
        raise ValueError(f"a bbox has its south ({south:g}) below its north ({north:g})")
    if west == east:
        raise ValueError(f"a bbox has some width: west and east are both {west:g}")
    if west < east:
        return box(west, south, east, north)
    sides = [(west, 180.0), (-180.0, east)]
    parts = [box(w, south, e, north) for w, e in sides if w < e]
    if not parts:
        raise ValueError(f"a bbox has some width: {west:g} and {east:g} are one meridian")
    return MultiPolygon(parts) if len(parts) > 1 else parts[0]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _from_geojson(value: Mapping[str, Any]) -> list[BaseGeometry]:
    kind = value.get("type")
    if kind == "FeatureCollection":
        return [_shape(each.get("geometry")) for each in value.get("features") or ()]
    return [_shape(value.get("geometry") if kind == "Feature" else value)]


def _shape(geometry: Any) -> BaseGeometry:  # noqa: ANN401 -- it comes from outside
    if geometry is None:
        return Polygon()
    try:
        return shape(geometry)
    # Whatever is wrong inside a mapping, shapely meets it in its own way.
    except Exception as error:  # noqa: BLE001
        raise ValueError(f"its GeoJSON cannot be read: {error}") from None


def _from_file(text: str, base: Path) -> list[BaseGeometry]:
    path = base / Path(text).expanduser()
    if not exists(path):
        raise ValueError(f"there is no file {path}")
    # geopandas takes half a second to import and few jobs need it.
    import geopandas  # noqa: PLC0415
    from pyogrio.errors import DataSourceError  # noqa: PLC0415

    try:
        frame = geopandas.read_file(path)
    except (DataSourceError, ValueError, OSError) as error:
        raise ValueError(f"{path} cannot be read as a vector file: {error}") from None
    shapes = getattr(frame, "geometry", None)
    if not isinstance(frame, geopandas.GeoDataFrame) or shapes is None:
        raise ValueError(f"{path} has no geometries")
    if shapes.crs is None:
        raise ValueError(f"{path} does not say its CRS")
    return _to_lonlat(shapes)


def exists(path: Path) -> bool:
    """Say whether there is such a file, also of texts that can be no path at all."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _to_lonlat(shapes: Any) -> list[BaseGeometry]:  # noqa: ANN401 -- a geopandas.GeoSeries
    shapes = shapes[shapes.notna()]
    if shapes.crs.is_geographic:
        return list(shapes.to_crs(4326))
    found = list(shapes.segmentize(_EDGE_M / _metres_per_unit(shapes.crs)).to_crs(4326))
    inner = shapes.representative_point().to_crs(4326)
    return [_cut(each, point) for each, point in zip(found, inner, strict=True)]


def _cut(outline: BaseGeometry, inner: Point) -> BaseGeometry:
    """Cut an outline that its projection let pass from one side of the map to the other."""
    # Vertices are close together here: a step of half the world is no edge.
    done = cut(outline) if _jumps(outline) else outline
    if not done.buffer(1e-6).covers(inner):
        raise ValueError("it goes round a pole or the antimeridian: cut it in two there")
    return done


def _metres_per_unit(crs: Any) -> float:  # noqa: ANN401 -- a pyproj.CRS
    return float(crs.axis_info[0].unit_conversion_factor) or 1.0


def _jumps(geometry: BaseGeometry) -> bool:
    """Say whether an outline passes from one side of the world to the other."""
    rings = (part.exterior for part in _parts([geometry]) if isinstance(part, Polygon))
    return any(
        np.abs(np.diff(shapely.get_coordinates(ring)[:, 0])).max(initial=0) > 180
        for ring in rings
    )


def _polygons(shapes: Iterable[BaseGeometry]) -> BaseGeometry:
    """Return one valid polygon or multipolygon of everything that was given."""
    given = [shapely.force_2d(each) for each in shapes]
    parts = [part for part in _parts(given) if not part.is_empty]
    if not parts:
        raise ValueError("it is empty")
    wrong = sorted({part.geom_type for part in parts if not isinstance(part, Polygon)})
    if wrong:
        raise ValueError(f"it has {' and '.join(wrong)}, which cover no area")
    # One valid shape stays as it is, vertex by vertex, so that a dumped job reads back the same.
    one = given[0] if len(given) == 1 else None
    if isinstance(one, Polygon | MultiPolygon) and one.is_valid:
        return _checked_position(one)
    return _checked_position(_union(parts))


def _parts(shapes: Iterable[BaseGeometry]) -> Iterator[BaseGeometry]:
    for each in shapes:
        inner = getattr(each, "geoms", None)
        if inner is None:
            yield each
        else:
            yield from _parts(inner)


def _union(parts: Iterable[BaseGeometry]) -> BaseGeometry:
    _refuse_infinite(parts := list(parts))
    joined = shapely.union_all([shapely.make_valid(part) for part in parts])
    # Repair leaves lines and points where an outline touches itself; they cover nothing.
    areas = [part for part in _parts([joined]) if isinstance(part, Polygon)]
    if not areas:
        raise ValueError("it covers no area")
    return MultiPolygon(areas) if len(areas) > 1 else areas[0]


def _refuse_infinite(shapes: Iterable[BaseGeometry]) -> None:
    if not all(np.isfinite(shapely.get_coordinates(each)).all() for each in shapes):
        raise ValueError("it has coordinates that are not finite")


def _checked_position(aoi: BaseGeometry) -> BaseGeometry:
    _refuse_infinite([aoi])
    west, _, east, _ = aoi.bounds
    # Drawn on a map that goes on past 180°, as web maps do.
    if (west < -180 or east > 180) and west >= -360 and east <= 360 and east - west <= 360:
        aoi = wrapped(aoi)
    _check_bounds(*aoi.bounds)
    return aoi


def _check_bounds(west: float, south: float, east: float, north: float) -> None:
    # Written so that what is not a number fails as well.
    inside = all(-180 <= each <= 180 for each in (west, east))
    if not inside or not all(-90 <= each <= 90 for each in (south, north)):
        bounds = f"[{west:g}, {south:g}, {east:g}, {north:g}]"
        raise ValueError(f"its bounds {bounds} are not longitudes and latitudes in degrees")
