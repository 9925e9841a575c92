"""What is answered of an AOI: how clear it was, and what the archive does not know of it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Literal

from pipeline.types.job import Period
from pipeline.types.legend import USABLE, Code

CLEAR_PERCENT = 80.0
"""From this share of an AOI on, a date counts as clear."""

State = Literal["scenes", "no scene", "partly searched", "never searched"]
"""What is known of some dates. ``no scene``: a run looked for scenes of all of the AOI and found none.
``partly searched``: of a part of the AOI, and found none. ``never searched``: there may be scenes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneShares:
    """What an AOI looked like in one scene."""

    sensor: str
    time: datetime
    platform: str
    pixels: int
    """Pixels of the AOI, by the rule that a pixel belongs to it when its centre does."""
    counts: Mapping[Code, int]
    """Pixels by class; with `unread` they add up to `pixels`."""
    unread: int
    """Pixels of cells that were never masked or whose assets could not be read."""
    never: int = 0
    """Those of them that were never masked, beyond the archive's region included."""

    def percent(self, *codes: Code) -> float:
        """Return the share of some classes in the AOI, 0 to 100."""
        return 100.0 * sum(self.counts.get(code, 0) for code in codes) / self.pixels

    @property
    def seen(self) -> int:
        """Pixels of which the scene shows anything."""
        return sum(n for code, n in self.counts.items() if code != Code.NO_DATA)

    @property
    def is_there(self) -> bool:
        """Whether the scene reaches the AOI and was masked there, or should have been."""
        return self.seen > 0 or self.unread > self.never


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Dates of which the same is known."""

    sensor: str
    start: datetime
    end: datetime
    """First instant after."""
    state: State
    scenes: int = 0
    searched: float = 0.0
    """Share of the AOI that runs looked for scenes of, 0 to 1."""
    filtered: bool = False
    """Whether a query or filter of a job may have kept scenes out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A series in a line."""

    scenes: int
    """Scenes that show anything of the AOI."""
    dates: int
    """Days that they are of, UTC."""
    clear_dates: int
    """Days with a scene in which `CLEAR_PERCENT` of the AOI or more is usable."""
    median_clear: float | None
    """Of the usable share of the AOI over these scenes, per cent; none: there are none."""
    gap_days: int
    """Length of the longest stretch without a clear date, the ends of the dates asked for included."""
    gap: tuple[date, date] | None
    """Its first and last day; none: every day is clear, or no dates were asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Clear-sky statistics of an AOI: one row a scene, by time."""

    scenes: tuple[SceneShares, ...]
    asked: Period | None = None
    """The dates asked for, or else those that the archive has anything of; none: there are none."""
    stretches: tuple[Stretch, ...] = ()
    """What is known of these dates: of each sensor all of them, by time."""
    archived: Period | None = None
    """From the first to the last date that a run searched or that has a scene; none: there is none."""
    outside: float = 0.0
    """Share of the AOI beyond the archive's region, 0 to 1."""
    unmasked: float = 0.0
    """Share of the AOI inside the region that was masked in no scene of these dates, 0 to 1."""

    @property
    def is_archived(self) -> bool:
        """Whether the archive knows anything of the AOI on these dates, be it that there was no scene."""
        return any(each.state != "never searched" for each in self.stretches)

    @property
    def summary(self) -> Summary:
        """The series in a line."""
        shown = [scene for scene in self.scenes if scene.seen]
        clear = [(scene.time.astimezone(UTC).date(), scene.percent(*USABLE)) for scene in shown]
        days = sorted({day for day, percent in clear if percent >= CLEAR_PERCENT})
        gap = None if self.asked is None else _longest_gap(days, self.asked)
        return Summary(
            scenes=len(shown),
            dates=len({day for day, _ in clear}),
            clear_dates=len(days),
            median_clear=statistics.median(p for _, p in clear) if clear else None,
            gap_days=(gap[1] - gap[0]).days + 1 if gap else 0,
            gap=gap,
        )


def _longest_gap(clear: list[date], asked: Period) -> tuple[date, date] | None:
    """Return the first and last day of the longest stretch of days none of which is clear."""
    one = timedelta(days=1)
    first = asked.start.astimezone(UTC).date()
    last = (asked.end - timedelta(microseconds=1)).astimezone(UTC).date()
    edges = [first - one, *clear, last + one]
    gaps = [(a + one, b - one) for a, b in pairwise(edges) if b - a > one]
    return max(gaps, key=lambda gap: (gap[1] - gap[0], -gap[0].toordinal()), default=None)
