"""What was done, and what is answered."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

from pipeline.types.items import Dropped
from pipeline.types.legend import Code


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a stage of the work took."""

    seconds: float = 0.0
    """Wall time."""
    cpu_seconds: float = 0.0
    bytes_read: int = 0
    """Decoded bytes of source pixels that were handed out by the reader."""
    reads: int = 0
    """Windows read from source rasters."""

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            **{
                f.name: getattr(self, f.name) + getattr(other, f.name)
                for f in dataclasses.fields(self)
            }
        )


CellStatus = Literal["masked", "unchanged", "uncovered", "unreadable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellReceipt:
    """One scene in one tile."""

    sensor: str
    time: datetime
    tile: str
    status: CellStatus
    fingerprint: int
    items: tuple[str, ...]
    """Ids of the items used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TileReceipt:
    """What was done in one tile."""

    tile: str
    cells: tuple[CellReceipt, ...]
    composites: tuple[str, ...] = ()
    """Starts of the periods that were composed again, ISO dates."""
    dropped: tuple[Dropped, ...] = ()
    stages: Mapping[str, Cost] = field(default_factory=dict)
    """Cost by stage: ``mask``, ``composite``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a run was asked, used, dropped, made and cost."""

    job: str
    run_id: str
    started: datetime
    finished: datetime
    snapshot: str | None
    """Id of the published snapshot; none: nothing had changed."""
    expected: int
    """Cells (scene × tile) that the items of the job should cover, `missed` included."""
    complete: int
    """Of these, how many are in the store with every item that should cover them."""
    items: tuple[str, ...]
    """Ids of the items that were to be used."""
    dropped: tuple[Dropped, ...]
    radiometry: Mapping[str, str]
    """Item id -> which rule makes reflectance of its numbers, and why."""
    models: Mapping[str, Mapping[str, str]]
    """Sensor -> the model that masked it: ``name``, ``version``, ``weights``, ``weights_sha256``,
    ``licence`` and ``source`` of its card."""
    tiles: tuple[TileReceipt, ...]
    stages: Mapping[str, Cost]
    missed: tuple[str, ...] = ()
    """Ids of the items that belong to the job, that nothing replaces, and that were dropped before
    a pixel was read; `dropped` has the reasons. With `items` they are what was expected."""

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON values; datetimes as ISO 8601 strings."""
        plain = _plain(dataclasses.asdict(self))
        assert isinstance(plain, dict)
        return plain


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, str) or not isinstance(value, Sequence):
        return value
    return [_plain(each) for each in value]


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneShares:
    """What an AOI looked like in one scene."""

    sensor: str
    time: datetime
    platform: str
    pixels: int
    """Pixels of the AOI, by the rule that a pixel belongs to it when its centre does."""
    counts: Mapping[Code, int]
    """Pixels by class; they add up to `pixels`, `unread` included."""
    unread: int
    """Pixels of cells that were never masked or whose assets could not be read."""

    def percent(self, *codes: Code) -> float:
        """Return the share of some classes in the AOI, 0 to 100."""
        return 100.0 * sum(self.counts.get(code, 0) for code in codes) / self.pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Clear-sky statistics of an AOI: one row a scene, by time."""

    scenes: tuple[SceneShares, ...]
