"""Areas of interest in any form, as polygons in longitude and latitude."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import shapely
from shapely.errors import GEOSException, ShapelyError
from shapely.geometry import MultiPolygon, Polygon, box, shape
from shapely.geometry.base import BaseGeometry

from pipeline.config.vector_files import read_shapes
from pipeline.config.vector_layers import parts
from pipeline.types.lonlat import tidy, wrapped

log = logging.getLogger(__name__)

AOI_FORMS = (
    "a bbox [west, south, east, north], GeoJSON, WKT, or the path of a vector file; "
    "polygons, in longitude and latitude unless a file says otherwise"
)

_WKT = re.compile(
    r"\s*(MULTI)?(POLYGON|POINT|LINESTRING|LINEARRING)\b|\s*GEOMETRYCOLLECTION\b", re.IGNORECASE
)
_NUMBER = r"\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\s*"
_BBOX_TEXT = re.compile(rf"\[?{_NUMBER}(?:,{_NUMBER}){{3}}\]?")


def read_aoi(value: object, base: Path) -> BaseGeometry:
    """Read an area of interest.

    All features of all layers become their union. Invalid polygons are repaired, rings that are not
    closed are closed, repeated vertices go, and outer rings turn counter-clockwise, as GeoJSON asks.

    Parameters
    ----------
    value
        A bbox as numbers or as text, a GeoJSON mapping or text, WKT, a path, or a geometry. A
        bbox whose west is larger than its east crosses the antimeridian and is split there, as are
        polygons whose longitudes run on past ±180 and files in a projection that crosses it. Such
        a bbox spans at most half the world: a wider one has its west and east swapped.
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
    try:
        return _read(value, base)
    except (GEOSException, ShapelyError) as error:
        raise ValueError(f"its shapes cannot be used: {error}") from None


def _read(value: object, base: Path) -> BaseGeometry:
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
    return _polygons(read_shapes(text, base))


def _json(text: str) -> Mapping[str, Any]:
    try:
        value: Mapping[str, Any] = json.loads(text, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its JSON cannot be read: {error}") from None
    return value


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key that occurs twice: JSON would silently use the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"a key occurs twice in {[name for name, _ in pairs]}")
    return found


def _from_wkt(text: str) -> BaseGeometry:
    try:
        # Closes open rings; returns none, instead of an error with a reason, for what is no WKT.
        found: BaseGeometry | None = shapely.from_wkt(text, on_invalid="fix")
        return shapely.from_wkt(text) if found is None else found
    except (GEOSException, ShapelyError) as error:
        raise ValueError(f"its WKT cannot be read: {error}") from None


def _from_bbox(numbers: Sequence[Any]) -> BaseGeometry:
    if len(numbers) != 4 or not all(_is_number(each) for each in numbers):
        raise ValueError("a bbox is four numbers: west, south, east, north")
    west, south, east, north = (float(each) for each in numbers)
    # Before the split: what lies beyond ±180 would vanish in it.
    _check_bounds(west, south, east, north)
    if south >= north:
        raise ValueError(
            f"a bbox has its south ({south:g}) below its north ({north:g}): swapped?"
        )
    if west == east:
        raise ValueError(f"a bbox has some width: west and east are both {west:g}")
    if west < east:
        return box(west, south, east, north)
    # Over the antimeridian, by the shorter way round the world.
    if (width := east - west + 360.0) > 180.0:
        raise ValueError(
            f"its west ({west:g}) is east of its east ({east:g}): swapped? (A bbox over the "
            f"antimeridian is written so, and this one would be {width:g}° wide)"
        )
    sides = [box(w, south, e, north) for w, e in ((west, 180.0), (-180.0, east)) if w < e]
    if not sides:
        raise ValueError(f"a bbox has some width: {west:g} and {east:g} are one meridian")
    return MultiPolygon(sides) if len(sides) > 1 else sides[0]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _from_geojson(value: Mapping[str, Any]) -> list[BaseGeometry]:
    _refuse_other_crs(value.get("crs"))
    kind = value.get("type")
    if kind == "FeatureCollection":
        return _from_features(value.get("features"))
    return [_shape(value.get("geometry") if kind == "Feature" else value)]


def _from_features(features: object) -> list[BaseGeometry]:
    if not isinstance(features, Sequence) or not all(
        isinstance(each, Mapping) for each in features
    ):
        raise ValueError("its GeoJSON cannot be read: features must be a list of Features")
    found = [shape for each in features for shape in _from_geojson(each)]
    without = sum(each.is_empty for each in found)
    if 0 < without < len(found):
        log.warning(
            "%d of %d features of the area are left out: they have no geometry",
            without,
            len(found),
        )
    return found


def _refuse_other_crs(crs: object) -> None:
    """Refuse ``crs``, which GeoJSON had before RFC 7946, unless it is longitude and latitude."""
    name = str(crs["properties"].get("name")) if _names_crs(crs) else str(crs)
    if crs is not None and not re.search(r"CRS84$|EPSG:+4326$", name):
        raise ValueError(
            f"its GeoJSON names the CRS {name:.60}, and GeoJSON in a job is in longitude and latitude: "
            "write it to a file, and name that"
        )


def _names_crs(crs: object) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(crs, Mapping) and isinstance(crs.get("properties"), Mapping)


def _shape(geometry: Any) -> BaseGeometry:  # noqa: ANN401 -- it comes from outside
    if geometry is None:
        return Polygon()
    try:
        found = shape(geometry)
    # shapely raises errors of many kinds for wrong mappings.
    except Exception as error:  # noqa: BLE001
        raise ValueError(f"its GeoJSON cannot be read: {error}") from None
    return found


def _polygons(shapes: Iterable[BaseGeometry]) -> BaseGeometry:
    """Return the union of all shapes as one valid polygon or multipolygon."""
    given = [shapely.force_2d(each) for each in shapes]
    found = list(parts(given))
    if not found:
        raise ValueError("it is empty")
    wrong = sorted({each.geom_type for each in found if not isinstance(each, Polygon)})
    if wrong:
        raise ValueError(f"it has {' and '.join(wrong)}, which cover no area")
    # A single valid shape is used as it is, so that a dumped job reads back the same.
    one = given[0] if len(given) == 1 else None
    if isinstance(one, Polygon | MultiPolygon) and one.is_valid:
        return tidy(_checked_position(one))
    return tidy(_checked_position(_union(found)))


def _union(given: Sequence[BaseGeometry]) -> BaseGeometry:
    _refuse_infinite(given)
    mended = [shapely.make_valid(each) for each in given]
    flat = sum(each.area == 0 for each in mended)
    if flat == len(mended):
        raise ValueError("it covers no area")
    if flat:
        log.warning("%d of %d polygons of the area cover no area", flat, len(mended))
    # Repair may leave lines and points where an outline touches itself.
    joined = parts([shapely.union_all(mended)])
    areas = [each for each in joined if isinstance(each, Polygon)]
    return MultiPolygon(areas) if len(areas) > 1 else areas[0]


def _refuse_infinite(shapes: Iterable[BaseGeometry]) -> None:
    if not all(np.isfinite(shapely.get_coordinates(each)).all() for each in shapes):
        raise ValueError("it has coordinates that are not finite")


def _checked_position(aoi: BaseGeometry) -> BaseGeometry:
    _refuse_infinite([aoi])
    west, _, east, _ = aoi.bounds
    # Web maps go on beyond 180°.
    if (west < -180 or east > 180) and west >= -360 and east <= 360 and east - west <= 360:
        aoi = wrapped(aoi)
    _check_bounds(*aoi.bounds)
    return aoi


def _check_bounds(west: float, south: float, east: float, north: float) -> None:
    # NaN fails, too.
    inside = all(-180 <= each <= 180 for each in (west, east))
    if not inside or not all(-90 <= each <= 90 for each in (south, north)):
        bounds = f"[{west:g}, {south:g}, {east:g}, {north:g}]"
        # Wrong as they are, right the other way round.
        turned = all(-90 <= each <= 90 for each in (west, east)) and all(
            -180 <= each <= 180 for each in (south, north)
        )
        hint = ": longitude comes first; are longitude and latitude swapped?" if turned else ""
        raise ValueError(
            f"its bounds {bounds} are not longitudes and latitudes in degrees{hint}"
        )
