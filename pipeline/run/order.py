"""All that one tile's work needs to know, and nothing of the rest of the region.

A plan grows with the region; what is sent to a worker process must not. An order holds the items of
its own tile alone, under positions of its own.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pystac
from numcodecs.zstd import Zstd
from numpy.typing import NDArray

from pipeline.run.cells import Cell
from pipeline.run.cellstore import CellStore
from pipeline.run.plan import Plan
from pipeline.types import Items, Job, ModelCard, Period, Tile

ZSTD = Zstd()


@dataclass(frozen=True, kw_only=True)
class TileOrder:
    """The work on one tile; small to send."""

    job: Job
    tile: Tile
    items: Items
    """Those of the tile's cells."""
    positions: NDArray[np.int32]
    """Position in `items` -> position in the store's list."""
    cells: tuple[Cell, ...]
    """Every scene in this tile, by time; their items are positions in `items`."""
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
        return {**vars(self), "items": ZSTD.encode(documents.encode())}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Undo `__getstate__`."""
        documents = json.loads(ZSTD.decode(state["items"]))
        items = tuple(
            pystac.Item.from_dict(each, migrate=False, preserve_dict=False)
            for each in documents
        )
        vars(self).update({**state, "items": Items(items=items)})

    def item_id(self, position: int) -> str:
        """Return the id of an item."""
        return self.items.items[position].id


@functools.lru_cache(maxsize=1024)
def _document(item: pystac.Item) -> str:
    """Return an item as JSON; a batch of neighbours asks for the same ones again and again."""
    return json.dumps(item.to_dict(transform_hrefs=False))


def make_order(
    plan: Plan, tile: Tile, store: CellStore, positions: NDArray[np.int32], *, last_try: bool
) -> TileOrder:
    """Take a tile's part of a plan.

    Parameters
    ----------
    plan, tile
        The plan, and one of its tiles.
    store
        What is asked for the fingerprints that it has.
    positions
        Position in the plan's items -> position in the store's list.
    last_try
        See `TileOrder.last_try`.
    """
    cells = plan.cells_of(tile)
    used = sorted({position for cell in cells for position in cell.items})
    local = {position: index for index, position in enumerate(used)}
    settings = plan.job.composite
    sensors = {cell.scene.sensor for cell in cells}
    return TileOrder(
        job=plan.job,
        tile=tile,
        items=Items(items=tuple(plan.items.items[position] for position in used)),
        positions=positions[used],
        cells=tuple(_moved(cell, local) for cell in cells),
        cards={sensor: plan.cards[sensor] for sensor in sensors},
        periods=plan.periods,
        masks={
            (cell.scene.sensor, cell.scene.time): store.mask_fingerprint(
                cell.scene.sensor, cell.scene.time, tile
            )
            for cell in cells
        },
        composites={
            period.start: store.composite_fingerprint(settings.name, period.start, tile)
            for period in plan.periods
        }
        if settings
        else {},
        last_try=last_try,
    )


def _moved(cell: Cell, local: Mapping[int, int]) -> Cell:
    items = tuple(local[position] for position in cell.items)
    return dataclasses.replace(
        cell, items=items, scene=dataclasses.replace(cell.scene, items=items)
    )
