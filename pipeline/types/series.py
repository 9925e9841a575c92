"""How clear an AOI was, scene by scene, what that is computed from, and which dates the archive does not know."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.types.legend import USABLE, Code
from pipeline.types.searched import Period, Searched

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

CLEAR_PERCENT = 80.0
"""A date counts as clear if at least this share of the AOI is usable."""

State = Literal["scenes", "no scene", "partly searched", "never searched"]
"""What the archive knows of some dates. ``scenes``: it has some. ``no scene``: runs searched the whole AOI and found
none. ``partly searched``: runs searched a part of the AOI and found none. ``never searched``: there may be scenes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneShares:
    """Classes of an AOI in one scene."""

    sensor: str
    time: datetime
    platform: str
    pixels: int
    """Pixels of the AOI: those whose centre is inside."""
    counts: Mapping[Code, int]
    """Pixels by class; with `unread` they add up to `pixels`."""
    unread: int
    """Pixels of cells that were never masked or whose assets could not be read."""
    never: int = 0
    """Of `unread`, those that were never masked, also because the archive's region ends."""
    screened: Mapping[str, int] | None = None
    """What evidence from time makes of the pixels that the mask calls ground, in pixels as of `ScreenedScene`; none: it
    was not asked, or does not look at this scene."""

    def percent(self, *codes: Code) -> float:
        """Return the share of some classes in the AOI, 0 to 100."""
        return 100.0 * sum(self.counts.get(code, 0) for code in codes) / self.pixels

    @property
    def standing(self) -> int | None:
        """Pixels that the mask calls ground and that evidence from time does not put aside."""
        kinds = self.screened
        return None if kinds is None else kinds["usable"] - kinds["cloud"] - kinds["shadow"]

    @property
    def seen(self) -> int:
        """Pixels with any class but no data."""
        return sum(n for code, n in self.counts.items() if code != Code.NO_DATA)

    @property
    def is_there(self) -> bool:
        """Whether the scene reaches the AOI: it has data there, or was to be masked there."""
        return self.seen > 0 or self.unread > self.never


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Successive dates with the same `State`."""

    sensor: str
    start: datetime
    end: datetime
    """First instant after."""
    state: State
    scenes: int = 0
    searched: float = 0.0
    """Share of the AOI that runs searched, 0 to 1."""
    filtered: bool = False
    """Whether a query or filter of a job may have excluded scenes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A series in a few numbers."""

    scenes: int
    """Scenes with data in the AOI."""
    dates: int
    """Days of these scenes, UTC."""
    clear_dates: int
    """Days with a scene in which `CLEAR_PERCENT` of the AOI or more is usable."""
    median_clear: float | None
    """Median over these scenes of the usable share of the AOI, per cent; none: there are no scenes."""
    gap_days: int
    """Days of the longest stretch without a clear date, within the dates of the query."""
    gap: tuple[date, date] | None
    """Its first and last day; none: every day is clear, or the query has no dates."""
    first_clear: date | None
    last_clear: date | None
    """First and last clear day; none: there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Clear-sky statistics of an AOI: one row a scene, by time."""

    scenes: tuple[SceneShares, ...]
    asked: Period | None = None
    """Dates of the query, or else all dates of the archive; none: it has none."""
    stretches: tuple[Stretch, ...] = ()
    """What is known of these dates: for each sensor all of them, by time."""
    archived: Period | None = None
    """From the first to the last date that a run searched or that has a scene; none: there are none."""
    outside: float = 0.0
    """Share of the AOI beyond the archive's region, 0 to 1."""
    unmasked: float = 0.0
    """Share of the AOI inside the region that was masked in no scene of these dates, 0 to 1."""
    notes: tuple[str, ...] = ()
    """What else is to be known, a sentence each."""

    @property
    def is_archived(self) -> bool:
        """Whether runs searched any of these dates in the AOI, also if they found no scene."""
        return any(each.state != "never searched" for each in self.stretches)

    @property
    def summary(self) -> Summary:
        """The series in a few numbers."""
        return self.summary_of(USABLE)

    def summary_of(self, classes: Sequence[Code]) -> Summary:
        """Return the series in a few numbers, with some classes as what is clear."""
        shown = [scene for scene in self.scenes if scene.seen]
        clear = [
            (scene.time.astimezone(UTC).date(), scene.percent(*classes)) for scene in shown
        ]
        days = sorted({day for day, percent in clear if percent >= CLEAR_PERCENT})
        gap = None if self.asked is None else _longest_gap(days, self.asked)
        return Summary(
            scenes=len(shown),
            dates=len({day for day, _ in clear}),
            clear_dates=len(days),
            median_clear=statistics.median(p for _, p in clear) if clear else None,
            gap_days=(gap[1] - gap[0]).days + 1 if gap else 0,
            gap=gap,
            first_clear=min(days, default=None),
            last_clear=max(days, default=None),
        )


def _longest_gap(clear: list[date], asked: Period) -> tuple[date, date] | None:
    """Return the first and last day of the longest stretch of days none of which is clear."""
    one = timedelta(days=1)
    first = asked.start.astimezone(UTC).date()
    last = (asked.end - timedelta(microseconds=1)).astimezone(UTC).date()
    edges = [first - one, *clear, last + one]
    gaps = [(a + one, b - one) for a, b in pairwise(edges) if b - a > one]
    return max(gaps, key=lambda gap: (gap[1] - gap[0], -gap[0].toordinal()), default=None)


NOT_LOOKED_AT = "not looked at: "
"""Begins a note of a series: the id of an item and the reason follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkBounds:
    """What may be read to look at the pixels of a series again; both raise whatever ends the work."""

    require_few: Callable[[int], None]
    """Called once, before anything is read, with how many pixels of scenes will be, at most."""
    require_time: Callable[[], None]
    """Called before each part of the work."""


# -- what statistics are made from ---------------------------------------------------------------

Reader = Callable[[str, tuple[int | slice, ...]], NDArray[Any]]
"""Name of an array of the sensor and the wanted part -> its values."""
RunReader = Callable[[Sequence[int], int, int], list[NDArray[np.uint32]]]
"""Stored positions of some scenes, row and column of a chunk -> its class codes in each scene, as `StoredMasks.runs_of`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredScene:
    """A scene, and its place on the stored time axis."""

    time: datetime
    """UTC."""
    platform: str
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMasks:
    """Cells and pixels of one sensor; each method reads what it returns."""

    geobox: GeoBox
    """The region."""
    tile_px: int
    scenes: tuple[StoredScene, ...]
    """Sorted by time."""
    searched: tuple[Searched, ...]
    """What runs looked for, whether or not they found it."""
    reader: Reader
    runs: RunReader
    chunk_px: int
    """Edge of a chunk of pixels."""
    has_blocks: bool = False
    """Whether `blocks` are stored: with the overviews."""

    def within(self, period: Period | None) -> StoredMasks:
        """Return the masks without the scenes outside of a period; none: all."""
        if period is None:
            return self
        return replace(self, scenes=tuple(each for each in self.scenes if each.time in period))

    def fingerprints(self, row: int, col: int) -> NDArray[np.uint64]:
        """Return the fingerprints (scene) of a tile."""
        return self._cells("fingerprint", row, col)

    def histograms(self, row: int, col: int) -> NDArray[np.uint32]:
        """Return the pixels by class (scene, class) of a tile."""
        return self._cells("histogram", row, col)

    def blocks(self, row: int, col: int) -> NDArray[np.uint16]:
        """Return the pixels by class (scene, y, x, class) of the squares of a tile, row by row; 0 = not counted."""
        counts = self._cells("blocks", row, col)
        edge = math.isqrt(counts.shape[1])
        return counts.reshape(len(counts), edge, edge, counts.shape[-1])

    def codes(self, at: int, window: tuple[slice, slice]) -> NDArray[np.uint8]:
        """Return the class codes (y, x) of the scene at a position in `scenes`."""
        return self.reader("mask", (self.scenes[at].position, *window))

    def confidence(self, at: int, window: tuple[slice, slice]) -> NDArray[np.uint8]:
        """Return the same of the masks' confidence in per cent, 0 = not recorded; only where it is stored."""
        return self.reader("confidence", (self.scenes[at].position, *window))

    def runs_of(self, scenes: Sequence[int], row: int, col: int) -> list[NDArray[np.uint32]]:
        """Return a chunk of class codes, in some scenes by their position in `scenes`, as runs, row by row.

        Returns
        -------
        For each scene uint32 (run): code << 24 | number of the run's first pixel in the flat chunk, which is whole also
        where the region ends.
        """
        return self.runs([self.scenes[at].position for at in scenes], row, col)

    def _cells(self, name: str, row: int, col: int) -> NDArray[Any]:
        values = self.reader(name, (slice(None), row, col))
        positions = [each.position for each in self.scenes]
        first = positions[0] if positions else 0
        if positions == list(range(first, first + len(positions))):
            # A slice copies nothing.
            return values[first : first + len(positions)]
        return values[positions]
