"""The work on one tile, without anything of the rest of the region.

A plan grows with the region; what is sent to a worker process must not. A task has the items of its own
tile alone, numbered anew.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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
from pipeline.run.plan.plan import Plan
from pipeline.types import UNREADABLE, Items, Job, ModelCard, Period, Tile

ZSTD = Zstd()


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
    earlier: EarlierScenes
    """Scenes of the store that composites take beside the plan's."""


def make_task(plan: Plan, tile: Tile, side: StoreSide, *, last_try: bool) -> TileTask:
    """Take a tile's part of a plan.

    Parameters
    ----------
    plan, tile
        The plan, and one of its tiles.
    side
        What the store knows.
    last_try
        See `TileTask.last_try`.
    """
    cells, earlier = plan.cells_of(tile), earlier_cells(side, tile, plan.row_of(tile))
    used, more = _positions(cells), _positions(earlier)
    settings = plan.job.composite
    items = [plan.items.items[position] for position in used]
    items += [side.earlier.items.items[position] for position in more]
    return TileTask(
        job=plan.job,
        tile=tile,
        items=Items(items=tuple(items)),
        positions=np.concatenate([side.positions[used], side.earlier.positions[more]]),
        cells=_renumbered(cells, used),
        earlier=_renumbered(earlier, more, len(used)),
        cards={sensor: plan.cards[sensor] for sensor in {cell.scene.sensor for cell in cells}},
        periods=plan.periods,
        stored_masks={
            (scene.sensor, scene.time): side.store.mask_fingerprint(
                scene.sensor, scene.time, tile
            )
            for scene in (cell.scene for cell in cells)
        },
        stored_composites={
            period.start: side.store.composite_fingerprint(settings.name, period.start, tile)
            for period in plan.periods
        }
        if settings
        else {},
        last_try=last_try,
    )


def earlier_cells(side: StoreSide, tile: Tile, row: int) -> list[Cell]:
    """Return the cells of a tile that the store has of scenes beside the plan's."""
    scenes = side.earlier.in_tile(row)
    fingerprints = [
        side.store.mask_fingerprint(scene.sensor, scene.time, tile) for scene in scenes
    ]
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


def _renumbered(cells: Iterable[Cell], used: Sequence[int], first: int = 0) -> tuple[Cell, ...]:
    """Give cells the positions that their items have in a task, from `first` on."""
    local = {position: first + index for index, position in enumerate(used)}
    return tuple(_with_items(cell, tuple(local[p] for p in cell.items)) for cell in cells)


def _with_items(cell: Cell, items: tuple[int, ...]) -> Cell:
    return dataclasses.replace(
        cell, items=items, scene=dataclasses.replace(cell.scene, items=items)
    )
