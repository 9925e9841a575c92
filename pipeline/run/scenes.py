"""Items -> scenes: one a sensor and solar day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta

from shapely.geometry.base import BaseGeometry

from pipeline import sensors
from pipeline.types import Items, Scene
from pipeline.types.lonlat import middle_longitude

HOURS_PER_DEGREE = 24 / 360


def solar_day(instant: datetime, longitude: float) -> date:
    """Return the day that it is by the sun at a longitude in degrees."""
    return (instant + timedelta(hours=longitude * HOURS_PER_DEGREE)).date()


def scene_key(sensor: str, instant: datetime, longitude: float) -> tuple[str, date]:
    """Return what makes a scene: the sensor, and the day by the sun at a longitude in degrees."""
    return sensor, solar_day(instant, longitude)


def scenes_of(
    items: Items, aoi: BaseGeometry, known: Mapping[str, Sequence[datetime]]
) -> tuple[Scene, ...]:
    """Group items into scenes, sorted by (time, sensor).

    Parameters
    ----------
    items
        Items in mosaic order: by (datetime, id).
    aoi
        Its middle gives the longitude of the solar day, one for the region, so that an item at
        the edge of a day belongs to the same scene in every tile. Of an AOI that is cut at the
        antimeridian it is near 180°, not near 0.
    known
        Sensor -> times of scenes that the store already has. A late item may be earlier than
        all others of its day; the scene keeps the time by which it is known.
    """
    longitude = middle_longitude(aoi)
    grouped: dict[tuple[str, date], list[int]] = {}
    for position, item in enumerate(items):
        assert item.datetime is not None
        key = scene_key(sensors.profile(item).sensor, item.datetime, longitude)
        grouped.setdefault(key, []).append(position)
    times = {
        scene_key(sensor, time, longitude): time
        for sensor, stored in known.items()
        for time in stored
    }
    scenes = [
        _scene(sensor, positions, items, times.get((sensor, day)))
        for (sensor, day), positions in grouped.items()
    ]
    return tuple(sorted(scenes, key=lambda scene: (scene.time, scene.sensor)))


def _scene(
    sensor: str, positions: Sequence[int], items: Items, known: datetime | None
) -> Scene:
    members = [items.items[position] for position in positions]
    earliest = min(item.datetime for item in members if item.datetime is not None)
    return Scene(
        sensor=sensor,
        time=known or earliest,
        items=tuple(positions),
        platform=_joined(
            str(item.properties.get("platform") or item.properties.get("eo:platform") or sensor)
            for item in members
        ),
    )


def _joined(names: Iterable[str]) -> str:
    return "/".join(sorted(set(names)))
