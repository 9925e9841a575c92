"""What a request asks for: parameters and shapes, checked and bounded before anything is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyproj
import shapely
from pydantic import BaseModel, ConfigDict
from shapely.geometry.base import BaseGeometry

from pipeline.config import ServeSettings, read_aoi, read_period
from pipeline.serve.problems import Refused
from pipeline.types import LEGEND, USABLE, Code, Period

NAMES = {entry.meaning: entry.code for entry in LEGEND}
_GEOD = pyproj.Geod(ellps="WGS84")


class Parameters(BaseModel):
    """Of every request; a parameter that is not known is refused."""

    model_config = ConfigDict(extra="forbid")

    as_of: str | None = None
    """Id of a snapshot, or an instant: the archive as it was then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """An area that was asked for."""

    id: str | int | None
    aoi: BaseGeometry


def names_of(text: str | None) -> tuple[str, ...]:
    """Split a list at its commas."""
    return tuple(each.strip() for each in text.split(",") if each.strip()) if text else ()


def classes_of(text: str | None, default: tuple[Code, ...] = USABLE) -> tuple[Code, ...]:
    """Read classes by name or number: ``thin_cloud,5``."""
    return tuple(_class(each) for each in names_of(text)) or default


def _class(text: str) -> Code:
    code = NAMES.get(text) if not text.isdecimal() else int(text[:3])
    if code is None or code not in {*Code}:
        raise Refused(422, f"classes: found {text:.40}, expected some of {', '.join(NAMES)}")
    return Code(code)


def period_of(text: str | None, settings: ServeSettings) -> Period | None:
    """Read ``datetime``; none: all dates of the archive."""
    if text is None:
        return None
    try:
        period = read_period(text)
    except ValueError as error:
        raise Refused(
            422, f'datetime: expected "2023-04-01/2023-06-30", "2023-06" or "2023"; but {error}'
        ) from None
    if (days := (period.end - period.start).days) > settings.max_days:
        raise Refused(413, f"datetime: {days} days are more than {settings.max_days}, the most")
    return period


def instant_of(text: str) -> datetime:
    """Read the time of a scene."""
    try:
        found = datetime.fromisoformat(text.upper())
        return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Refused(
            422, f"time: found {text!r:.60}, expected the time of a scene in ISO 8601"
        ) from None


# -- areas -------------------------------------------------------------------------------------


def box_of(text: str, settings: ServeSettings) -> BaseGeometry:
    """Read ``bbox``: west, south, east, north in degrees."""
    try:
        numbers = [float(each) for each in text.split(",", 4)]
    except ValueError:
        raise Refused(422, "bbox: expected four numbers: west,south,east,north") from None
    return _area(numbers, "bbox", settings)


def features_of(body: bytes, settings: ServeSettings) -> tuple[list[Feature], bool]:
    """Read a GeoJSON body.

    Returns
    -------
    Its features, and whether it is a collection of them.

    Raises
    ------
    Refused
        It is no GeoJSON of polygons in degrees (400), or too large (413).
    """
    document = _json(body)
    several = document.get("type") == "FeatureCollection"
    given = document.get("features") if several else [document]
    if not isinstance(given, list) or not given:
        raise Refused(400, "the body: a FeatureCollection has a list of at least one feature")
    if len(given) > settings.max_features:
        raise Refused(
            413,
            f"the body: {len(given)} features are more than {settings.max_features}, the most",
        )
    found = [_feature(each, at, settings) for at, each in enumerate(given)]
    if (
        many := sum(shapely.get_num_coordinates(each.aoi) for each in found)
    ) > settings.max_vertices:
        raise Refused(
            413, f"the body: {many} vertices are more than {settings.max_vertices}, the most"
        )
    return found, several


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Refused(
            400, "the body: expected GeoJSON, a Feature or a FeatureCollection"
        ) from None
    if not isinstance(document, Mapping):
        raise Refused(400, "the body: expected a Feature or a FeatureCollection")
    return document


def _no_number(text: str) -> None:
    raise ValueError(text)


def _feature(given: object, at: int, settings: ServeSettings) -> Feature:
    where = f"features[{at}]"
    if not isinstance(given, Mapping):
        raise Refused(400, f"{where}: expected a Feature")
    geometry = given.get("geometry") if given.get("type") == "Feature" else given
    if not isinstance(geometry, Mapping):
        raise Refused(400, f"{where}: it has no geometry; expected a Polygon or MultiPolygon")
    if geometry.get("type") not in ("Polygon", "MultiPolygon"):
        raise Refused(
            400,
            f"{where}: found {geometry.get('type')!r:.40}, expected a Polygon or MultiPolygon",
        )
    if (many := _positions(geometry.get("coordinates"))) > settings.max_vertices:
        raise Refused(413, f"{where}: more than {settings.max_vertices} vertices: {many}")
    name = given.get("id")
    return Feature(
        id=name if isinstance(name, str | int) else None, aoi=_area(geometry, where, settings)
    )


def _positions(coordinates: object) -> int:
    """Count positions before a geometry is made of them."""
    stack, found = [coordinates], 0
    while stack:
        each = stack.pop()
        if isinstance(each, list):
            if each and not isinstance(each[0], list):
                found += 1
            else:
                stack.extend(each)
    return found


def _area(given: object, where: str, settings: ServeSettings) -> BaseGeometry:
    if isinstance(given, Mapping):
        _require_simple(given, where)
    try:
        # A mapping or numbers: text could be the path of a file.
        area = read_aoi(given, Path("/nowhere"))
    except ValueError as error:
        raise Refused(400, f"{where}: {error}") from None
    if (km2 := _square_km(area)) > settings.max_area_km2:
        raise Refused(
            413,
            f"{where}: its {km2:.0f} km² are more than {settings.max_area_km2:g} km², the most",
        )
    return area


def _require_simple(given: Mapping[str, Any], where: str) -> None:
    try:
        shape = shapely.geometry.shape(dict(given))
        wrong = "" if shape.is_valid else shapely.is_valid_reason(shape)
    # shapely raises errors of many kinds for wrong mappings.
    except Exception:  # noqa: BLE001
        raise Refused(
            400, f"{where}: its coordinates are no rings of [longitude, latitude]"
        ) from None
    if wrong:
        raise Refused(400, f"{where}: it is no valid polygon: {wrong:.120}")


def _square_km(area: BaseGeometry) -> float:
    return abs(_GEOD.geometry_area_perimeter(area)[0]) / 1e6
