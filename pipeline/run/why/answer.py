"""The answer of `why`, as values, as rows of a table, and as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pipeline.types import Dropped, Period

Verdict = Literal[
    "taken",
    "composed",
    "too few",
    "put aside",
    "not needed",
    "not usable",
    "no data",
    "history",
    "not known",
]
"""``taken``: the pixel's day and source are its. ``composed``: stands, and another is taken. ``too few``: stands,
and `composite.min_observations` asks for more. ``put aside``: by
evidence from time. ``not needed``: usable, and of a scene less clear than `composite.max_observations` others. ``not usable``: its mask shows no ground. ``no data``: usable by its mask, and without a value.
``history``: outside of the period. ``not known``: usable by its mask, and its rasters cannot be read."""

Pixel = Mapping[str, float | int | str | None]
"""Bands, layers, ``count``, ``day`` (ISO date) and ``source`` (id of an item) of a pixel; None = no data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One observation of the pixel."""

    time: datetime
    """UTC, of its scene."""
    sensor: str
    platform: str
    item: str | None
    """Id of the item that the pixel comes from, or of the scene's only one; none: no item has the pixel, or several
    may."""
    others: tuple[str, ...]
    """Further items of the same pass whose outline holds the pixel: of several the first with data is taken."""
    mask: str
    """Class of the stored mask."""
    usable: bool
    """Whether mask and guard take it for ground."""
    values: Mapping[str, float | None] | None
    """Band -> reflectance, none = no data; of history, the bands that screen. None: its rasters were not read."""
    score: float | None
    """What the method scores it by itself, where it scores observations."""
    off: float | None
    """Root of the mean squared difference from the pixel's value over the bands, reflectance."""
    verdict: Verdict
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """What a pixel of a composite was made of."""

    lonlat: tuple[float, float]
    pixel: tuple[int, int]
    """(y, x) in the store's arrays."""
    tile: str
    composite: str
    method: str
    period: Period
    stored: Pixel
    made_again: Pixel | None
    """The same, composed now from the rasters; None: they could not be read."""
    agrees: bool | None
    """Whether both are equal, to the stored bit; None: not made again."""
    as_made: bool
    """Whether masks, items and settings are those of which the stored cell was made, by its fingerprint."""
    seen: tuple[Seen, ...]
    """Of the period and, where it is screened, of its history, by time."""
    dropped: tuple[Dropped, ...]
    """Items of the period that runs should have used in this tile and did not, and why."""
    notes: tuple[str, ...]

    @property
    def taken(self) -> Seen | None:
        """The observation that `day` and `source` name; none: the pixel has no data."""
        return next((each for each in self.seen if each.verdict == "taken"), None)

    def rows(self) -> list[dict[str, Any]]:
        """Return the observations as rows of a table."""
        bands = list(dict.fromkeys(b for each in self.seen for b in each.values or ()))
        scored = any(each.score is not None for each in self.seen)
        return [
            {
                "time": f"{each.time:%Y-%m-%d %H:%M}",
                "item": each.item or f"{each.sensor}: none",
                "mask": each.mask,
                **{band: (each.values or {}).get(band) for band in bands},
                **({"score": each.score} if scored else {}),
                "verdict": each.verdict,
                "why": each.why,
            }
            for each in self.seen
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        plain = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        seen = [
            {**dataclasses.asdict(each), "time": each.time.isoformat()} for each in self.seen
        ]
        dropped = [
            {"item": each.item_id, "reason": each.reason, "tile": each.tile}
            for each in self.dropped
        ]
        return {**plain, "period": str(self.period), "seen": seen, "dropped": dropped}
