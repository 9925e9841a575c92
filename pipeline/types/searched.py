"""A span of time; and where and when a run searched for scenes, whether or not it found any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

MANY_VERTICES = 1000
"""Outlines with more are simplified: every record has one."""
ROUGHLY_DEGREES = 1e-4
"""About 10 m."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A half-open span of time, UTC."""

    start: datetime
    """First instant inside; timezone-aware, UTC."""
    end: datetime
    """First instant after; timezone-aware, UTC."""

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError(f"a period is in UTC: {self.start} to {self.end} has no time zone")
        if self.start >= self.end:
            raise ValueError(f"a period ends after its start: {self.start} to {self.end}")

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%dT%H:%M:%SZ}/{self.end:%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """Area, dates and sensors that a run searched. What lies outside is unknown, not empty."""

    start: datetime
    """First instant searched, UTC."""
    end: datetime
    """First instant after; never later than the run itself, which cannot find future scenes."""
    sensors: tuple[str, ...]
    """Empty: all that its catalogues have."""
    aoi: Mapping[str, Any]
    """GeoJSON geometry in degrees."""
    filtered: bool = False
    """Whether the job had a query or filter, such as one on cloud cover, that may exclude scenes."""

    @classmethod
    def read(cls, plain: Mapping[str, Any]) -> Searched:
        """Make it of what `Record.to_dict` wrote."""
        return cls(
            start=datetime.fromisoformat(plain["start"]),
            end=datetime.fromisoformat(plain["end"]),
            sensors=tuple(plain["sensors"]),
            aoi=plain["aoi"],
            filtered=plain["filtered"],
        )

    @property
    def period(self) -> Period:
        """The dates."""
        return Period(start=self.start, end=self.end)

    @property
    def area(self) -> BaseGeometry:
        """The AOI as a geometry."""
        return shapely.geometry.shape(dict(self.aoi))

    def has(self, sensor: str) -> bool:
        """Tell whether scenes of a sensor were searched for."""
        return not self.sensors or sensor in self.sensors


def searched_by(record: Mapping[str, Any], region: Mapping[str, Any]) -> list[Searched]:
    """Return what a run searched, by its record; of an old record, the dates of its manifest.

    Parameters
    ----------
    record
        `Record.to_dict`, of any age.
    region
        GeoJSON geometry that runs with an old record count as having searched.
    """
    if record.get("searched") is not None:
        return [Searched.read(record["searched"])]
    periods = sorted({row["period"] for row in record.get("manifest", ())})
    spans = [[datetime.fromisoformat(day) for day in each.split("/")] for each in periods]
    return [
        Searched(
            start=start.replace(tzinfo=UTC), end=end.replace(tzinfo=UTC), sensors=(), aoi=region
        )
        for start, end in spans
    ]


def outline_of(aoi: BaseGeometry) -> dict[str, Any]:
    """Return an AOI as GeoJSON; one with many vertices is simplified, by some ten metres."""
    many = shapely.get_num_coordinates(aoi) > MANY_VERTICES
    simple = shapely.simplify(aoi, ROUGHLY_DEGREES) if many else aoi
    outline: dict[str, Any] = shapely.geometry.mapping(simple)
    return outline
