"""Which items are meant: area, dates, ids and collections; in which order, and from where on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from pipeline.serve.problems import Refused
from pipeline.serve.stac.documents import Item

EARLIEST, LATEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
MAX_IDS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A search."""

    collections: Sequence[str] | None = None
    ids: Sequence[str] | None = None
    area: BaseGeometry | None = None
    start: datetime = EARLIEST
    end: datetime = LATEST
    order: Sequence[tuple[str, bool]] = ()
    """Names of fields, and whether they fall."""

    def of(self, items: Iterable[Item]) -> list[Item]:
        """Return the items that are meant, in order."""
        found = [each for each in items if self._means(each)]
        for field, falls in reversed(self.order):
            found.sort(key=lambda each: _key(each, field), reverse=falls)
        return found

    def _means(self, item: Item) -> bool:
        return (
            (self.collections is None or item.collection in self.collections)
            and (self.ids is None or item.id in self.ids)
            and item.start <= self.end
            and self.start <= item.end
            and (self.area is None or bool(self.area.intersects(item.outline)))
        )


def _key(item: Item, field: str) -> tuple[bool, str | float]:
    name = field.removeprefix("properties.")
    if name in ("id", "collection"):
        return (False, str(getattr(item, name)))
    if name == "datetime":
        return (False, item.start.timestamp())
    value = item.document["properties"].get(name)
    return (value is None, value if isinstance(value, int | float) else str(value))


def span_of(given: object) -> tuple[datetime, datetime]:
    """Return the first and last instant of what stac-fastapi read of ``datetime``."""
    if given is None:
        return EARLIEST, LATEST
    if isinstance(given, datetime):
        return _aware(given), _aware(given)
    assert isinstance(given, tuple), "an instant, or two"
    start, end = given
    return _aware(start or EARLIEST), _aware(end or LATEST)


def _aware(instant: datetime) -> datetime:
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def box_of(numbers: Sequence[float] | None) -> BaseGeometry | None:
    """Return a bbox of four or six numbers as an area; one across the antimeridian as two."""
    if numbers is None:
        return None
    west, south, east, north = numbers if len(numbers) == 4 else (*numbers[:2], *numbers[3:5])
    inside = abs(west) <= 180 and abs(east) <= 180 and -90 <= south <= north <= 90
    if not inside:
        raise Refused(400, "bbox: expected west,south,east,north in degrees")
    if west <= east:
        return shapely.box(west, south, east, north)
    return shapely.union_all(
        [shapely.box(west, south, 180, north), shapely.box(-180, south, east, north)]
    )


def shape_of(geometry: Any, most: int) -> BaseGeometry:  # noqa: ANN401 -- GeoJSON
    """Return a geometry of any kind; refuse what is none, or has too many vertices."""
    try:
        shape = shapely.geometry.shape(geometry)
        valid = shape if shape.is_valid else shapely.make_valid(shape)
    # shapely raises errors of many kinds for wrong mappings.
    except Exception:  # noqa: BLE001
        raise Refused(400, "intersects: expected a GeoJSON geometry in degrees") from None
    if shapely.get_num_coordinates(valid) > most:
        raise Refused(413, f"intersects: more than {most} vertices, the most")
    return valid
