"""The plan: what a run would do, as a table of cells."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import composite
from pipeline.run.common.cells import DOES, STATES, Cell, CellTable, CompositeCell
from pipeline.run.common.method import window_of
from pipeline.run.common.together import ToCompose, most_together
from pipeline.run.plan.earlier import EarlierScenes, no_scenes
from pipeline.run.plan.memory import Memory, bytes_to_mask, composing_bytes, memory_of
from pipeline.types import (
    Cost,
    Dropped,
    Grid,
    Items,
    Job,
    ModelCard,
    Period,
    Scene,
    Tile,
)

UNFINISHED = "on the unfinished branch of this job"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that a run needs: carrying it out needs no catalogue."""

    job: Job
    items: Items
    grid: Grid
    tiles: tuple[Tile, ...]
    scenes: tuple[Scene, ...]
    cards: Mapping[str, ModelCard]
    """Sensor -> the model that masks it."""
    periods: tuple[Period, ...]
    """Whole calendar periods that are composed."""
    cells: CellTable
    """Every scene in every tile."""
    missed: NDArray[np.int64]
    """(3, N), what dropped items would have covered: position in `Items.missed`, number of its pass (see
    `pipeline.run.common.scenes.Passes`), row of the tile."""
    composed: frozenset[str]
    """Sensors that the composite is made of: the job's, and those of earlier jobs."""
    composites: tuple[CompositeCell, ...] = ()
    """Every one of `periods` in every tile, tile by tile."""
    earlier: EarlierScenes = field(default_factory=no_scenes)
    """Scenes of the store that composites use beside `scenes`."""
    earlier_masks: NDArray[np.uint64] = field(
        default_factory=lambda: np.zeros((0, 0), np.uint64)
    )
    """(tile, earlier scene) -> fingerprint of the mask that the store has, 0 = none."""
    begun: NDArray[np.bool_] | None = None
    """(tile, scene) -> whether a killed run of this plan has left the cell on its branch: it is not done
    again, and is published with this run. None: there is no such branch."""
    gone: tuple[Dropped, ...] = field(default=())
    """Scenes that the store has and the catalogue no longer has: reported, never erased."""
    others: tuple[Plan, ...] = ()
    """The same plan for each further composite of the job: its `job` has that composite alone, as `job` has the first."""
    cost: Cost = field(default_factory=Cost)
    """What planning cost: requests to catalogues, reads of headers and overviews."""

    @property
    def views(self) -> tuple[Plan, ...]:
        """Return the plan itself, of the job's first composite, and those of the others."""
        return (self, *self.others)

    @property
    def n_steps(self) -> int:
        """Number of steps of all composites."""
        return sum(len(each.periods) for each in self.views)

    @cached_property
    def tiles_to_do(self) -> tuple[Tile, ...]:
        """Tiles with anything new or changed, row by row."""
        rows = np.flatnonzero(~self.cells.unchanged.all(axis=1))
        names = {self.tiles[row].name for row in rows}
        cells = (cell for view in self.views for cell in view.composites)
        names |= {cell.tile.name for cell in cells if cell.state != "unchanged"}
        return tuple(tile for tile in self.tiles if tile.name in names)

    @property
    def cells_to_mask(self) -> int:
        """Cells that an item covers and that are new or changed."""
        return int((self.cells.covered & ~self.cells.unchanged).sum())

    @cached_property
    def key(self) -> str:
        """Name of this work: a run continues where a killed run with the same key stopped.

        Not the job's name alone: what a run of other dates or items has left unfinished must not be
        published by this one.
        """
        scenes = [(scene.sensor, scene.time.isoformat()) for scene in self.scenes]
        periods = [period.start.isoformat() for period in self.periods]
        tiles = [tile.name for tile in self.tiles]
        digest = hashlib.sha256(repr((scenes, tiles, periods, self.job.composite)).encode())
        digest.update(self.cells.fingerprints[self.cells.chosen].tobytes())
        for other in self.others:
            digest.update(other.key.encode())
        return f"{self.job.name}-{digest.hexdigest()[:12]}"

    @property
    def dropped(self) -> tuple[Dropped, ...]:
        """Items that are not used, and scenes that the catalogues no longer have."""
        return (*self.items.dropped, *self.gone)

    @property
    def nothing_to_do(self) -> bool:
        """Whether the store is up to date."""
        return not self.tiles_to_do

    def cells_of(self, tile: Tile) -> tuple[Cell, ...]:
        """Return a tile's cells, by time."""
        return self.cells.row(self.row_of(tile))

    def row_of(self, tile: Tile) -> int:
        """Return the position of a tile in `tiles`."""
        return self._rows[tile.name]

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {tile.name: row for row, tile in enumerate(self.tiles)}

    @property
    def bytes_needed(self) -> int:
        """Peak memory of the run, in bytes."""
        return self.memory.needed

    @cached_property
    def memory(self) -> Memory:
        """What the run needs, and what it does with it."""
        return memory_of(
            self.job,
            self.cards.values(),
            self.grid,
            self.items,
            composing=most_together(
                (view._to_compose(period) for view in self.views for period in view.periods),
                lambda steps: composing_bytes(steps, self.grid, self.job.run.workers),
            ),
        )

    def _to_compose(self, period: Period) -> ToCompose:
        settings = self.job.composed[0]
        scenes = self._composed_scenes(window_of(period, settings))
        return ToCompose(settings, period, int(scenes.max(initial=0)))

    def scenes_in(self, period: Period) -> NDArray[np.int64]:
        """Return the positions of the job's scenes of a period, of the sensors that the composite takes."""
        own = (p for p, each in enumerate(self.scenes) if each.sensor in self.composed)
        return np.array([p for p in own if self.scenes[p].time in period], np.int64)

    def earlier_in(self, period: Period) -> NDArray[np.int64]:
        """Return the positions in `earlier` of the scenes of a period."""
        found = (p for p, each in enumerate(self.earlier.scenes) if each.time in period)
        return np.fromiter(found, np.int64)

    def _composed_scenes(self, period: Period) -> NDArray[np.int64]:
        """Count the scenes of a period in each tile."""
        own = self.cells.covered[:, self.scenes_in(period)].sum(axis=1)
        if self.earlier.scenes:
            own = own + (self.earlier_masks[:, self.earlier_in(period)] > 0).sum(axis=1)
        return np.asarray(own)

    @property
    def bytes_to_read(self) -> int:
        """Upper bound of the source bytes to decode, at native resolution, for masks and composites."""
        items = np.where(self._states == STATES.index("unchanged"), 0, self.cells.sizes)
        masks = bytes_to_mask(self.job, self.cards, self.tiles, self.scenes, items)
        return masks + sum(each._bytes_to_compose for each in self.views)

    @property
    def _bytes_to_compose(self) -> int:
        if self.job.composite is None:
            return 0
        pixels = np.array([np.prod(tile.geobox.shape) for tile in self.tiles], np.int64)
        made = self.composite_states != STATES.index("unchanged")
        total = 0
        for column, period in enumerate(self.periods):
            window = window_of(period, self.job.composite)
            own, more = self._items_in(period), self._items_in(window)
            # Scenes beside the period are read for what screens it.
            bands = own * len(self.job.composite.bands) + (more - own) * len(composite.EVIDENCE)
            total += int((bands * pixels)[made[:, column]].sum())
        return total * 2

    def _items_in(self, period: Period) -> NDArray[np.int64]:
        """Count the items of the scenes of a period in each tile."""
        items = self.cells.sizes[:, self.scenes_in(period)].sum(axis=1)
        if self.earlier.scenes:
            items = items + self.earlier.sizes[:, self.earlier_in(period)].sum(axis=1)
        return np.asarray(items)

    @property
    def composite_states(self) -> NDArray[np.uint8]:
        """(tile, period) -> position in `STATES`."""
        found = [STATES.index(each.state) for each in self.composites]
        return np.array(found, np.uint8).reshape(len(self.tiles), len(self.periods))

    def composite_rows(self) -> list[dict[str, Any]]:
        """Return a row for each step: dates, counts of tiles to make, replace and leave, counts of scenes."""
        return [
            {
                "start": period.start.date().isoformat(),
                "end": period.end.date().isoformat(),
                **{
                    word: int((found == STATES.index(state)).sum())
                    for state, word in DOES.items()
                },
                "scenes": len(self.scenes_in(period)),
                "from_store": len(self.earlier_in(period)),
            }
            for period, found in zip(self.periods, self.composite_states.T, strict=True)
        ]

    def counts(self) -> dict[str, dict[str, int]]:
        """Count cells by sensor and state; cells that no item covers are counted as ``uncovered``."""
        table: dict[str, Counter[str]] = {}
        states = np.where(self.cells.covered, self._states, len(STATES))
        for column, scene in enumerate(self.scenes):
            found = np.bincount(states[:, column], minlength=len(STATES) + 1)
            table.setdefault(scene.sensor, Counter()).update(
                dict(zip((*STATES, "uncovered"), found.tolist(), strict=True))
            )
        return {sensor: dict(+counter) for sensor, counter in table.items()}

    @property
    def n_begun(self) -> int:
        """Number of cells that a killed run of this plan has left on its branch."""
        return int(self._begun.sum())

    @property
    def _states(self) -> NDArray[np.uint8]:
        """(tile, scene) -> position in `STATES`; cells on the branch of a killed run count as unchanged."""
        return np.where(self._begun, np.uint8(STATES.index("unchanged")), self.cells.states)

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each cell: sensor, time, tile, state, reason."""
        return [
            {
                "sensor": cell.scene.sensor,
                "time": cell.scene.time.isoformat(),
                "tile": cell.tile.name,
                "state": STATES[state] if cell.covered else "uncovered",
                "reason": UNFINISHED if begun else cell.reason,
            }
            for cell, state, begun in zip(
                self.cells, self._states.flat, self._begun.flat, strict=True
            )
        ]

    @property
    def _begun(self) -> NDArray[np.bool_]:
        return np.zeros(self.cells.states.shape, bool) if self.begun is None else self.begun

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain JSON values."""
        return {
            "job": self.job.name,
            "store": self.job.store,
            "crs": str(self.grid.geobox.crs),
            "resolution_m": self.grid.resolution_m,
            "anchor": list(self.grid.corner),
            "shape": list(self.grid.geobox.shape),
            "tiles": [tile.name for tile in self.tiles],
            "items": [item.id for item in self.items],
            "dropped": [{"item": each.item_id, "reason": each.reason} for each in self.dropped],
            "models": {sensor: card.name for sensor, card in self.cards.items()},
            "cells": self.rows(),
            "composites": [
                {
                    "name": view.job.composed[0].name,
                    "period": each.period.start.date().isoformat(),
                    "end": each.period.end.date().isoformat(),
                    "tile": each.tile.name,
                    "state": each.state,
                    "does": DOES[each.state],
                }
                for view in self.views
                for each in view.composites
            ],
            "unfinished": self.n_begun,
            "bytes_needed": self.bytes_needed,
            "bytes_to_read": self.bytes_to_read,
        }
