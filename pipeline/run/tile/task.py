"""All that one tile's work needs to know, and nothing of the rest of the region.

A plan grows with the region; what is sent to a worker process must not. An order holds the items of
its own tile alone, under positions of its own.
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
from pipeline.run.common.cellstore import CellStore
from pipeline.run.plan.kept import Kept, of_tile
from pipeline.run.plan.plan import Plan
from pipeline.types import UNREADABLE, Items, Job, ModelCard, Period, Tile

ZSTD = Zstd()


@dataclass(frozen=True, kw_only=True)
class TileOrder:
    """The work on one tile; small to send."""

    job: Job
    tile: Tile
    items: Items
    """Those of the tile's cells, of `cells` and of `kept`."""
    positions: NDArray[np.int32]
    """Position in `items` -> position in the store's list."""
    cells: tuple[Cell, ...]
    """Every scene in this tile, by time; their items are positions in `items`."""
    kept: tuple[Cell, ...]
    """Cells of the store's own scenes that are composed, or counted by the guard, as they are."""
    cards: Mapping[str, ModelCard]
    """Sensor -> the model that masks it."""
    periods: tuple[Period, ...]
    masks: Mapping[tuple[str, datetime], int]
    """(sensor, time) -> fingerprint of the mask that the store has."""
    composites: Mapping[datetime, int]
    """Start of a period -> fingerprint of the composite that the store has."""
    last_try: bool
    """Whether an asset that cannot be read for now is dropped instead of tried again later."""

    def __getstate__(self) -> dict[str, Any]:
        """Send items as compressed JSON: pystac drags its catalogues along.

        Items repeat each other, further apart than the 32 kB that zlib looks back.
        """
        documents = f"[{','.join(map(_document, self.items))}]"
        # What the documents leave out, because they are also stored: a worker reads with it.
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
class Held:
    """What a run's store holds of a plan."""

    store: CellStore
    """What is asked for the fingerprints that it has."""
    positions: NDArray[np.int32]
    """Position in the plan's items -> position in the store's list."""
    kept: Kept
    """The scenes of the store that composites take beside the plan's."""


def make_order(plan: Plan, tile: Tile, held: Held, *, last_try: bool) -> TileOrder:
    """Take a tile's part of a plan.

    Parameters
    ----------
    plan, tile
        The plan, and one of its tiles.
    held
        What the store has.
    last_try
        See `TileOrder.last_try`.
    """
    cells, kept = plan.cells_of(tile), _kept(plan, tile, held)
    used, more = _positions(cells), _positions(kept)
    settings = plan.job.composite
    items = [plan.items.items[position] for position in used]
    items += [held.kept.items.items[position] for position in more]
    return TileOrder(
        job=plan.job,
        tile=tile,
        items=Items(items=tuple(items)),
        positions=np.concatenate([held.positions[used], held.kept.positions[more]]),
        cells=_moved(cells, used),
        kept=_moved(kept, more, len(used)),
        cards={sensor: plan.cards[sensor] for sensor in {cell.scene.sensor for cell in cells}},
        periods=plan.periods,
        masks={
            (cell.scene.sensor, cell.scene.time): held.store.mask_fingerprint(
                cell.scene.sensor, cell.scene.time, tile
            )
            for cell in cells
        },
        composites={
            period.start: held.store.composite_fingerprint(settings.name, period.start, tile)
            for period in plan.periods
        }
        if settings
        else {},
        last_try=last_try,
    )


def _kept(plan: Plan, tile: Tile, held: Held) -> list[Cell]:
    """Return the cells of a tile that the store has of scenes beside the plan's."""
    found = []
    for scene in of_tile(held.kept, plan.row_of(tile)):
        number = held.store.mask_fingerprint(scene.sensor, scene.time, tile)
        if number > UNREADABLE:
            found.append(
                Cell(
                    scene=scene,
                    tile=tile,
                    items=scene.items,
                    fingerprint=number,
                    state="unchanged",
                )
            )
    return found


def _positions(cells: Iterable[Cell]) -> list[int]:
    return sorted({position for cell in cells for position in cell.items})


def _moved(cells: Iterable[Cell], used: Sequence[int], first: int = 0) -> tuple[Cell, ...]:
    """Give cells the positions that their items have in an order, from `first` on."""
    local = {position: first + index for index, position in enumerate(used)}
    return tuple(_with_items(cell, tuple(local[p] for p in cell.items)) for cell in cells)


def _with_items(cell: Cell, items: tuple[int, ...]) -> Cell:
    return dataclasses.replace(
        cell, items=items, scene=dataclasses.replace(cell.scene, items=items)
    )
