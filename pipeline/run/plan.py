"""What a run would do, cell by cell."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from pipeline.mask import read_geobox
from pipeline.run.memory import bytes_needed
from pipeline.types import (
    UNCOVERED,
    Dropped,
    Grid,
    Items,
    Job,
    ModelCard,
    Period,
    Scene,
    Tile,
)

State = Literal["new", "changed", "unchanged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One scene in one tile."""

    scene: Scene
    tile: Tile
    items: tuple[int, ...]
    """Positions of the items that may have pixels in what is read for the tile, mosaic order."""
    fingerprint: int
    state: State

    @property
    def covered(self) -> bool:
        """Whether any item covers the cell."""
        return bool(self.items)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositeCell:
    """One period in one tile."""

    period: Period
    tile: Tile
    state: State


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that a run needs to know; the rest of it needs no catalogue."""

    job: Job
    items: Items
    grid: Grid
    tiles: tuple[Tile, ...]
    scenes: tuple[Scene, ...]
    cards: Mapping[str, ModelCard]
    """Sensor -> the model that masks it."""
    periods: tuple[Period, ...]
    cells: tuple[Cell, ...]
    composites: tuple[CompositeCell, ...]
    gone: tuple[Dropped, ...] = field(default=())
    """Scenes that the store has and the catalogue does not any more: reported, never erased."""

    @cached_property
    def tiles_to_do(self) -> tuple[Tile, ...]:
        """Tiles with anything new or changed, row by row."""
        cells: list[Cell | CompositeCell] = [*self.cells, *self.composites]
        names = {cell.tile.name for cell in cells if cell.state != "unchanged"}
        return tuple(tile for tile in self.tiles if tile.name in names)

    @cached_property
    def key(self) -> str:
        """Name of this work: a run goes on where a killed one of the same plan stopped.

        Not the job's name alone: what a run of other dates or items has left half done must not
        be published by this one.
        """
        cells = sorted(
            (cell.scene.sensor, cell.scene.time.isoformat(), cell.tile.name, cell.fingerprint)
            for cell in self.cells
        )
        periods = [period.start.isoformat() for period in self.periods]
        digest = hashlib.sha256(repr((cells, periods, self.job.composite)).encode())
        return f"{self.job.name}-{digest.hexdigest()[:12]}"

    @property
    def nothing_to_do(self) -> bool:
        """Whether the store is up to date."""
        return not self.tiles_to_do

    def cells_of(self, tile: Tile) -> tuple[Cell, ...]:
        """Return a tile's cells, by time."""
        return self._by_tile[tile.name]

    @cached_property
    def _by_tile(self) -> dict[str, tuple[Cell, ...]]:
        grouped: dict[str, list[Cell]] = {tile.name: [] for tile in self.tiles}
        for cell in self.cells:
            grouped[cell.tile.name].append(cell)
        return {name: tuple(cells) for name, cells in grouped.items()}

    @cached_property
    def bytes_needed(self) -> int:
        """Peak memory of the run, in bytes."""
        counts = [len(cell.items) for cell in self.cells]
        per_period = Counter(
            (cell.tile.name, index)
            for cell in self.cells
            for index, period in enumerate(self.periods)
            if cell.covered and cell.scene.time in period
        )
        return bytes_needed(
            self.job,
            self.cards.values(),
            self.grid,
            max_items=max(counts, default=0),
            max_scenes=max(per_period.values(), default=0),
        )

    @property
    def bytes_to_read(self) -> int:
        """Source bytes that masking will decode at most: native pixels of what is new."""
        total = 0.0
        for cell in self.cells:
            if cell.state == "unchanged":
                continue
            card = self.cards[cell.scene.sensor]
            pixels = np.prod(read_geobox(card.lattice, cell.tile.geobox).shape)
            total += float(pixels) * len(cell.items) * len(card.roles) * 2
        return round(total)

    def counts(self) -> dict[str, dict[str, int]]:
        """Count cells by sensor and state; cells that no item covers stand apart."""
        table: dict[str, Counter[str]] = {}
        for cell in self.cells:
            state = cell.state if cell.covered else "uncovered"
            table.setdefault(cell.scene.sensor, Counter())[state] += 1
        return {sensor: dict(counter) for sensor, counter in table.items()}

    def rows(self) -> list[dict[str, Any]]:
        """Return one row a cell: sensor, time, tile, state, reason."""
        return [
            {
                "sensor": cell.scene.sensor,
                "time": cell.scene.time.isoformat(),
                "tile": cell.tile.name,
                "state": cell.state if cell.covered else "uncovered",
                "reason": _reason(cell),
            }
            for cell in self.cells
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain JSON values."""
        return {
            "job": self.job.name,
            "store": self.job.store,
            "crs": str(self.grid.geobox.crs),
            "resolution_m": self.grid.resolution_m,
            "shape": list(self.grid.geobox.shape),
            "tiles": [tile.name for tile in self.tiles],
            "items": [item.id for item in self.items],
            "dropped": [
                {"item": each.item_id, "reason": each.reason}
                for each in (*self.items.dropped, *self.gone)
            ],
            "models": {sensor: card.name for sensor, card in self.cards.items()},
            "cells": self.rows(),
            "composites": [
                {
                    "period": each.period.start.date().isoformat(),
                    "tile": each.tile.name,
                    "state": each.state,
                }
                for each in self.composites
            ],
            "bytes_needed": self.bytes_needed,
            "bytes_to_read": self.bytes_to_read,
        }


def _reason(cell: Cell) -> str:
    if cell.fingerprint == UNCOVERED:
        return "no item covers it"
    return {
        "new": "not in the store yet",
        "changed": "its items, their radiometry or the model have changed",
        "unchanged": "the store has it",
    }[cell.state]
