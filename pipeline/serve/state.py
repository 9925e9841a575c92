"""One snapshot of one archive, and what of it is kept in memory while it is served."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import Any, ParamSpec, TypeVar

from numpy.typing import NDArray

from pipeline.serve.patience import require_time
from pipeline.serve.problems import Refused
from pipeline.store import Archive
from pipeline.types import Grid, Period, StoredMasks, StoredScene
from pipeline.types.series import Reader

Composite = Mapping[str, Any]
P = ParamSpec("P")
R = TypeVar("R")


class State:
    """One snapshot of an archive; what is looked up often is read once."""

    def __init__(self, name: str, archive: Archive) -> None:
        self.name = name
        self.archive = archive
        self.snapshot = archive.snapshot
        self.reader = lru_cache(maxsize=None)(self._reader)
        self.levels = lru_cache(maxsize=None)(archive.levels)
        self.masks = lru_cache(maxsize=None)(self._masks)
        self.attributes = lru_cache(maxsize=None)(archive.attributes)

    @cached_property
    def grid(self) -> Grid:
        """The grid of all pixels."""
        return self.archive.grid

    @cached_property
    def sensors(self) -> tuple[str, ...]:
        """Sensors that have masks."""
        return self.archive.sensors

    @cached_property
    def composites(self) -> dict[str, list[Period]]:
        """Names of the composites, each with its periods in stored order."""
        return {name: self.archive.periods(name) for name in self.archive.composite_names}

    @cached_property
    def item_ids(self) -> list[str]:
        """Ids of the items that pixels come from."""
        return self.archive.item_ids

    @cached_property
    def items_of(self) -> dict[str, dict[datetime, list[str]]]:
        """Sensor -> time of a scene -> ids of its items."""
        rows = self.archive.scene_rows()
        return {
            sensor: {time: list(ids) for time, _, ids in each} for sensor, each in rows.items()
        }

    @cached_property
    def _hrefs(self) -> dict[str, str | None]:
        return {}

    def item_href(self, item: str) -> str | None:
        """Return the link to an item in its catalogue; none: its document has none on the web."""
        if item not in self._hrefs:
            found = self.archive.known_items([item]).get(item)
            links = [] if found is None else found[1].get("links", [])
            self._hrefs[item] = next(
                (
                    str(each["href"])
                    for each in links
                    if each.get("rel") == "self" and str(each.get("href")).startswith("http")
                ),
                None,
            )
        return self._hrefs[item]

    @cached_property
    def _confident(self) -> dict[str, bool]:
        return {
            each: "confidence" in self.archive.arrays("masks", each) for each in self.sensors
        }

    def has_confidence(self, sensor: str) -> bool:
        """Say whether the masks of a sensor tell how sure the model was."""
        return self._confident[sensor]

    def _masks(self, sensor: str) -> StoredMasks:
        stored = self.archive.stored_masks(sensor)
        return replace(stored, reader=_patient(stored.reader), runs=_patient(stored.runs))

    def _reader(self, kind: str, name: str, level: int = 1) -> Reader:
        return _patient(self.archive.reader(kind, name, level=level))

    def pixels(
        self, kind: str, name: str, level: int, array: str, where: tuple[int | slice, ...]
    ) -> NDArray[Any]:
        """Read a part of an array, as it is stored."""
        return self.reader(kind, name, level)(array, where)

    def chosen_sensors(self, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Return the wanted sensors, or all; refuse those that the archive has not."""
        if unknown := sorted({*wanted} - {*self.sensors}):
            raise Refused(
                422,
                f"sensor: found {', '.join(unknown):.80}, expected {' | '.join(self.sensors)}",
            )
        return wanted or self.sensors

    def scene(self, when: datetime, sensor: str | None) -> tuple[str, StoredScene]:
        """Return the sensor and the scene of a time; whole seconds will do where they are unique."""
        sensors = self.chosen_sensors(() if sensor is None else (sensor,))
        found = [
            (each, scene)
            for each in sensors
            for scene in self.masks(each).scenes
            if scene.time == when
        ] or [
            (each, scene)
            for each in sensors
            for scene in self.masks(each).scenes
            if scene.time.replace(microsecond=0) == when.replace(microsecond=0)
        ]
        if len(found) != 1:
            what = "no scene" if not found else "several scenes"
            raise Refused(
                404,
                f"time: there is {what} at {when.isoformat()}: /archives/{self.name} lists the times",
            )
        return found[0]

    def composite(self, name: str) -> list[Period]:
        """Return the periods of a composite; refuse one that the archive has not."""
        if name not in self.composites:
            there = " | ".join(self.composites) or "none: the archive has masks alone"
            raise Refused(404, f"composite: found {name:.60}, expected {there}")
        return self.composites[name]

    def period(self, name: str, wanted: str) -> int:
        """Return the stored position of a composite's period, by its name or start."""
        periods = self.composite(name)
        for at, each in enumerate(periods):
            if wanted == period_name(each) or _is_instant(wanted, each.start):
                return at
        there = ", ".join(sorted(period_name(each) for each in periods))
        raise Refused(
            404, f"time: found {wanted:.60}, expected one of the periods {there:.300}"
        )


def _patient(reader: Callable[P, R]) -> Callable[P, R]:
    """Return a reader that gives up with its request."""

    def read(*args: P.args, **kwargs: P.kwargs) -> R:
        require_time()
        return reader(*args, **kwargs)

    return read


def period_name(period: Period) -> str:
    """Return the shortest name of a calendar period: ``2023-06``, ``2023``, ``2022-12/2023-02``, ``all``."""
    start, end = (each.astimezone(UTC) for each in (period.start, period.end))
    months = 12 * (end.year - start.year) + end.month - start.month
    if months == 1:
        return f"{start:%Y-%m}"
    if months == 12 and start.month == 1:
        return f"{start:%Y}"
    if months > 1200:
        return "all"
    last = end.month - 1 or 12
    return f"{start:%Y-%m}/{end.year - (end.month == 1)}-{last:02d}"


def _is_instant(text: str, instant: datetime) -> bool:
    try:
        found = datetime.fromisoformat(text.upper())
    except ValueError:
        return False
    return found.replace(tzinfo=found.tzinfo or UTC) == instant
