"""The work on one tile, without anything of the rest of the region.

A plan grows with the region; what is sent to a worker process must not. A task has the items of its own
tile alone, numbered anew.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pystac
from numcodecs.zstd import Zstd
from numpy.typing import NDArray

from pipeline import access
from pipeline.run.common.cells import Cell
from pipeline.run.common.cellstore import CellReader
from pipeline.run.plan.earlier import EarlierScenes
from pipeline.run.plan.neighbours import job_reach_m, tiles_near
from pipeline.run.plan.plan import Plan
from pipeline.types import UNREADABLE, Items, Job, ModelCard, Period, Tile, TileReceipt

ZSTD = Zstd()


@dataclass(frozen=True, kw_only=True)
class Composition:
    """A tile's part of one further composite; fields as of `TileTask`."""

    job: Job
    """With this composite alone."""
    earlier: tuple[Cell, ...]
    periods: tuple[Period, ...]
    stored_composites: Mapping[datetime, int]


@dataclass(frozen=True, kw_only=True)
class TileTask:
    """The work on one tile; small to send."""

    job: Job
    tile: Tile
    items: Items
    """The items of the tile's cells, both `cells` and `earlier`."""
    positions: NDArray[np.int32]
    """Position in `items` -> position in the store's list."""
    cells: tuple[Cell, ...]
    """Every scene in this tile, by time; their items are positions in `items`."""
    earlier: tuple[Cell, ...]
    """Cells of scenes of the store that the job did not find: composed, or counted by the guard, as they are."""
    cards: Mapping[str, ModelCard]
    """Sensor -> the model that masks it."""
    periods: tuple[Period, ...]
    stored_masks: Mapping[tuple[str, datetime], int]
    """(sensor, time) -> fingerprint of the mask that the store has."""
    stored_composites: Mapping[datetime, int]
    """Start of a period -> fingerprint of the composite that the store has."""
    others: tuple[Composition, ...] = ()
    """What the job's further composites are made of; `job`, `earlier`, `periods` and `stored_composites` are the first's."""
    near: tuple[Tile, ...] = ()
    """Of `tiles_near`: the tile itself, whole, and those whose masks its composites need. None: they need no other's, and
    the tile is masked and composed at once."""
    masked: TileReceipt | None = None
    """What became of its masks, where others had to be made before it is composed; None: it is not masked yet."""
    last_try: bool
    """Whether an asset that cannot be read for now is dropped instead of tried again later."""

    def __getstate__(self) -> dict[str, Any]:
        """Send items as compressed JSON: pickled, an item takes its whole catalogue along.

        Items repeat each other, further apart than the 32 kB that zlib looks back.
        """
        documents = f"[{','.join(map(_document, self.items))}]"
        # Signatures are no part of an item's JSON, because that is also stored; a worker reads with them.
        links = [access.signatures(item) for item in self.items]
        packed = [ZSTD.encode(each.encode()) for each in (documents, json.dumps(links))]
        return {**vars(self), "items": tuple(packed)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Undo `__getstate__`."""
        documents, links = (json.loads(ZSTD.decode(each)) for each in state["items"])
        items = tuple(
            access.signed(
                pystac.Item.from_dict(each, migrate=False, preserve_dict=False), found
            )
            for each, found in zip(documents, links, strict=True)
        )
        vars(self).update({**state, "items": Items(items=items)})

    @property
    def views(self) -> tuple[TileTask, ...]:
        """Return the task itself, of the first composite, and the same for each of the others."""
        return (
            self,
            *(dataclasses.replace(self, **vars(each), others=()) for each in self.others),
        )

    @property
    def waits(self) -> bool:
        """Return whether the tile is to be masked, and composed later, when those around it are masked."""
        return bool(self.near) and self.masked is None

    def item_id(self, position: int) -> str:
        """Return the id of an item."""
        return self.items.items[position].id


@functools.lru_cache(maxsize=1024)
def _document(item: pystac.Item) -> str:
    """Return an item as JSON; a batch of neighbours asks for the same ones again and again."""
    return json.dumps(item.to_dict(transform_hrefs=False))


@dataclass(frozen=True, kw_only=True)
class StoreSide:
    """What the store has of a plan's items and scenes when the run begins."""

    store: CellReader
    """Answers which fingerprints the store has."""
    positions: NDArray[np.int32]
    """Position in the plan's items -> position in the store's list."""
    earlier: tuple[EarlierScenes, ...]
    """Of each composite the scenes of the store that it takes beside the plan's."""


def reach_m_of_plan(plan: Plan) -> float:
    """Return how far beyond a tile its composites need masks, in metres; 0: nowhere."""
    return max(job_reach_m(view.job) for view in plan.views)


def make_task(
    plan: Plan,
    tile: Tile,
    side: StoreSide,
    *,
    last_try: bool,
    masked: TileReceipt | None = None,
) -> TileTask:
    """Take a tile's part of a plan.

    Parameters
    ----------
    plan, tile
        The plan, and one of its tiles.
    side
        What the store knows.
    last_try, masked
        See `TileTask`.
    """
    cells, used = plan.cells_of(tile), _positions(plan.cells_of(tile))
    gathered = _Gathered([plan.items.items[p] for p in used], side.positions[used].tolist())
    first, *others = [
        Composition(
            job=view.job,
            earlier=gathered.take(
                earlier_cells(side.store, found, tile, plan.row_of(tile)), found
            ),
            periods=view.periods,
            stored_composites={
                period.start: side.store.composite_fingerprint(each.name, period.start, tile)
                for each in view.job.composed
                for period in view.periods
            },
        )
        for view, found in zip(plan.views, side.earlier, strict=True)
    ]
    return TileTask(
        **vars(first),
        tile=tile,
        items=Items(items=tuple(gathered.items)),
        positions=np.array(gathered.positions, np.int32),
        cells=_renumbered(cells, used),
        cards={sensor: plan.cards[sensor] for sensor in {cell.scene.sensor for cell in cells}},
        stored_masks={
            (scene.sensor, scene.time): side.store.mask_fingerprint(
                scene.sensor, scene.time, tile
            )
            for scene in (cell.scene for cell in cells)
        },
        others=tuple(others),
        near=tiles_near(plan.grid, tile, reach_m_of_plan(plan)),
        masked=masked,
        last_try=last_try,
    )


@dataclass
class _Gathered:
    """The items of a task: those of the plan's cells, then those of earlier ones, each of these once."""

    items: list[pystac.Item]
    positions: list[int]
    """In the store's list."""
    _local: dict[int, int] = field(default_factory=dict)
    """Position of an earlier item in the store's list -> in `items`."""

    def take(self, cells: Sequence[Cell], scenes: EarlierScenes) -> tuple[Cell, ...]:
        """Add the items of some earlier cells, and return the cells with the positions of these here."""
        for position in _positions(cells):
            stored = int(scenes.positions[position])
            if stored not in self._local:
                self._local[stored] = len(self.items)
                self.items.append(scenes.items.items[position])
                self.positions.append(stored)
        return tuple(
            _with_items(cell, tuple(self._local[int(scenes.positions[p])] for p in cell.items))
            for cell in cells
        )


def earlier_cells(
    store: CellReader, earlier: EarlierScenes, tile: Tile, row: int
) -> list[Cell]:
    """Return the cells of a tile that the store has of scenes beside the plan's."""
    scenes = earlier.in_tile(row)
    fingerprints = [store.mask_fingerprint(each.sensor, each.time, tile) for each in scenes]
    return [
        Cell(
            scene=scene,
            tile=tile,
            items=scene.items,
            fingerprint=fingerprint,
            state="unchanged",
        )
        for scene, fingerprint in zip(scenes, fingerprints, strict=True)
        if fingerprint > UNREADABLE
    ]


def _positions(cells: Iterable[Cell]) -> list[int]:
    return sorted({position for cell in cells for position in cell.items})


def _renumbered(cells: Iterable[Cell], used: Sequence[int]) -> tuple[Cell, ...]:
    """Give cells the positions that their items have in a task."""
    local = {position: index for index, position in enumerate(used)}
    return tuple(_with_items(cell, tuple(local[p] for p in cell.items)) for cell in cells)


def _with_items(cell: Cell, items: tuple[int, ...]) -> Cell:
    return dataclasses.replace(
        cell, items=items, scene=dataclasses.replace(cell.scene, items=items)
    )
