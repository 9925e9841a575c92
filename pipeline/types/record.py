"""The record of a run: receipts of cells and tiles, the manifest, costs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

from pipeline.cost import Cost
from pipeline.shown import seen
from pipeline.types.items import Dropped
from pipeline.types.manifest import Screened
from pipeline.types.searched import Searched

Stage = Literal["mask", "composite"]
"""The two halves of a tile's work."""

Outcome = Literal["published", "unchanged", "failed"]
CellStatus = Literal["masked", "unchanged", "uncovered", "unreadable"]
DONE: frozenset[CellStatus] = frozenset({"masked", "unreadable"})
"""States of a cell that the run tried to make."""


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
    data: int = 0
    """Pixels with data, if this run masked the cell."""
    cloud: int = 0
    """Of them, cloud, thin or thick."""
    shadow: int = 0
    """Of them, cloud shadow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubtful:
    """A scene in which more was called shadow than its clouds can throw (`pipeline.mask.too_much_shadow`)."""

    sensor: str
    time: datetime
    data: int
    """Pixels with data in the cells that the run masked."""
    cloud: int
    shadow: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfit:
    """Pixels of one scene in one tile whose numbers are no reflectance."""

    sensor: str
    time: datetime
    tile: str
    stage: Stage
    """Who read them: ``mask``, the bands of the model; ``composite``, those of the composite, clear pixels only."""
    pixels: Mapping[str, int]
    """Kind, of `UNFIT` -> pixels. To a model saturated pixels have the largest reflectance there is; all others are
    no data, and in composites saturated ones, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TileReceipt:
    """What was done in one tile."""

    tile: str
    cells: tuple[CellReceipt, ...]
    composites: tuple[str, ...] = ()
    """Starts of the periods that were composed again, ISO dates; of several composites each after its name."""
    dropped: tuple[Dropped, ...] = ()
    unfit: tuple[Unfit, ...] = ()
    """Scenes with numbers that are no reflectance."""
    screened: tuple[Screened, ...] = ()
    stages: Mapping[str, Cost] = field(default_factory=dict)
    """Cost by stage: ``mask``, ``composite``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What one tile should have of one period, and what it has: a row of the manifest."""

    tile: str
    period: str
    """``2023-06-01/2023-07-01``: the first day inside, and the first after."""
    expected: tuple[int, ...]
    """Positions of the items that should be used, in `Record.items` followed by `Record.missed`."""
    dropped: tuple[int, ...] = ()
    """Those of them that are not; `Record.dropped` has the reasons."""
    cells: int
    """Scenes that should be there."""
    complete: int
    """Of `cells`, how many have every item that should cover them."""
    unreadable: int = 0
    """Of `cells`, how many have no item at all, because none could be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One calendar period of a composite, and which scenes it is made of."""

    period: str
    """``2023-06-01/2023-07-01``: the first day inside, and the first after."""
    asked: str | None
    """The days of it that the job searched; none: the period is made again because the history of its guard
    changed."""
    scenes: int
    """Scenes of it that the search found."""
    from_store: int
    """Further scenes of it that the store had, from other dates or searches; the composite is made of both."""
    composite: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What a run cost in money, by the price table of its time."""

    currency: str
    parts: Mapping[str, float]
    """Part -> amount, of the parts that have a price: ``cpu``, ``gpu``, ``read``, ``requests``."""
    total: float
    per_1000_km2: float | None
    """Per 1000 km² of the tiles that were worked on; none: there were none."""
    per_1000_scene_km2: float | None
    """Per 1000 km² × scenes masked."""
    stored_a_month: float | None = None
    """What storage of the whole store costs a month; none: its size or price is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a run searched, used, dropped, made and cost."""

    job: str
    run_id: str
    started: datetime
    finished: datetime
    snapshot: str | None
    """Id of the published snapshot; none: nothing had changed, or the run failed."""
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
    ``licence``, ``source`` and ``limits`` of its card."""
    tiles: tuple[TileReceipt, ...]
    stages: Mapping[str, Cost]
    missed: tuple[str, ...] = ()
    """Ids of the items that belong to the job, that nothing replaces, and that were dropped before
    a pixel was read; `dropped` has the reasons. With `items` they are what was expected."""
    manifest: tuple[Holding, ...] = ()
    """Every tile and period of the job, those of earlier runs included."""
    searched: Searched | None = None
    """Where, when and for which sensors the run searched; none: a record of an old version."""
    steps: tuple[Step, ...] = ()
    """The periods of the composite that the job touches, whole, whatever its dates."""
    failure: str | None = None
    """Why nothing was published; none: the run came to its end."""
    doubtful: tuple[Doubtful, ...] = ()
    """Scenes masked by this run whose shadows are more than their clouds can throw."""
    area_km2: float = 0.0
    """Area of the tiles that were worked on: whole tiles, in the plane of the grid."""
    scene_km2: float = 0.0
    """Area of the tiles of each scene masked, summed over the scenes: km² × scenes."""
    bytes_stored: int | None = None
    """Chunks of the store, older snapshots that can still be read included; none: not measured."""
    bill: Bill | None = None
    """None: no prices were set."""

    @property
    def outcome(self) -> Outcome:
        """How the run ended."""
        if self.failure is not None:
            return "failed"
        return "unchanged" if self.snapshot is None else "published"

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON values; datetimes as ISO 8601 strings.

        Cells that this run did not make are left out: most nights they would be nearly all of the record,
        and the manifest counts them.
        """
        done = [
            dataclasses.replace(
                tile, cells=tuple(cell for cell in tile.cells if cell.status in DONE)
            )
            for tile in self.tiles
        ]
        plain = seen(_plain(dataclasses.asdict(dataclasses.replace(self, tiles=tuple(done)))))
        assert isinstance(plain, dict)
        return plain


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(each) for each in value]
    return value
