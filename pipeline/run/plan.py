"""What a run would do, cell by cell, found out without reading a pixel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pystac
import xarray as xr
from numpy.typing import NDArray

from pipeline import composite, cube, grid, models, sensors, store
from pipeline.errors import ConfigError, EmptySearchError, MemoryBudgetError, ModelError
from pipeline.mask import read_geobox
from pipeline.run.fingerprint import UNCOVERED, composite_fingerprint, mask_fingerprint
from pipeline.run.memory import bytes_needed
from pipeline.run.scenes import scenes_of
from pipeline.search import search
from pipeline.types import (
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

OFFERED_SHARE = 0.5
"""A role counts as offered by a sensor when this share of its items has it: one item without a
band is dropped, and does not choose a weaker model for all the others."""


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


def plan_job(job: Job) -> Plan:
    """Search, draw the grid and compare with the store; no pixel is read.

    Raises
    ------
    CloudmaskError
        As `pipeline.errors` says.
    """
    found = search(job)
    drawn = grid.make_grid(job)
    tiles = tuple(grid.tiles(drawn, job.aoi))
    cards = _cards(job, found)
    items = _with_roles(job, found, cards)
    before = _Stored.look(job, drawn)
    scenes = scenes_of(
        items, job.aoi, {name: list(each) for name, each in before.masks.items()}
    )
    periods = _periods(job)
    cells = tuple(
        _cell(scene, tile, items, cards[scene.sensor], before)
        for tile in tiles
        for scene in scenes
    )
    plan = Plan(
        job=job,
        items=items,
        grid=drawn,
        tiles=tiles,
        scenes=scenes,
        cards=cards,
        periods=periods,
        cells=cells,
        composites=_composites(job, items, cells, periods, before),
        gone=_gone(job, scenes, before),
    )
    _check_memory(plan)
    return plan


# -- what the store has ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """Fingerprints of what is published."""

    masks: Mapping[str, Mapping[datetime, NDArray[np.uint64]]]
    composites: Mapping[datetime, NDArray[np.uint64]]

    @classmethod
    def look(cls, job: Job, drawn: Grid) -> _Stored:
        archive = store.find_archive(job.store)
        if archive is None:
            return cls(masks={}, composites={})
        archive.require_grid(drawn)
        name = job.composite.name if job.composite else None
        return cls(
            masks={sensor: _by_time(archive.masks(sensor)) for sensor in archive.sensors},
            composites=_by_time(archive.composite(name))
            if name in archive.composite_names
            else {},
        )

    @staticmethod
    def state(stored: NDArray[np.uint64] | None, tile: Tile, expected: int) -> State:
        value = 0 if stored is None else int(stored[tile.row, tile.col])
        if value == expected:
            return "unchanged"
        return "changed" if value else "new"


def _by_time(dataset: xr.Dataset) -> dict[datetime, NDArray[np.uint64]]:
    instants = dataset["time"].to_numpy().astype("datetime64[us]").tolist()
    cells = dataset["fingerprint"].to_numpy()
    return {instant.replace(tzinfo=UTC): cells[index] for index, instant in enumerate(instants)}


# -- parts -------------------------------------------------------------------------------------


def _periods(job: Job) -> tuple[Period, ...]:
    if job.composite is None:
        return ()
    return tuple(composite.periods(job.period, job.composite.period))


def _cards(job: Job, items: Items) -> dict[str, ModelCard]:
    """Choose the model of each sensor from what its items offer."""
    by_sensor: dict[str, list[pystac.Item]] = {}
    for item in items:
        by_sensor.setdefault(sensors.profile(item).sensor, []).append(item)
    cards = {}
    for sensor, members in by_sensor.items():
        levels = {sensors.profile(item).level for item in members}
        if len(levels) > 1:
            raise ConfigError(
                f"sources: {sensor} items of levels {' and '.join(sorted(levels))} cannot be "
                "mosaicked; name collections of one level"
            )
        card = models.resolve(
            job.mask.model,
            level=levels.pop(),
            roles=_offered(members),
            options=job.mask.options,
        )
        finest, coarsest = card.resolution_m
        if not finest <= job.grid.resolution_m <= coarsest:
            raise ModelError(
                f"model {card.name} is meant for pixels of {finest:g} to {coarsest:g} m, "
                f"grid.resolution_m is {job.grid.resolution_m:g}"
            )
        cards[sensor] = card
    return cards


def _offered(items: Sequence[pystac.Item]) -> list[str]:
    counter = Counter(role for item in items for role in sensors.profile(item).offered(item))
    return [role for role, count in counter.items() if count >= OFFERED_SHARE * len(items)]


def _with_roles(job: Job, items: Items, cards: Mapping[str, ModelCard]) -> Items:
    """Drop the items that lack a band which the model or the composite needs."""
    kept, dropped = [], []
    for item in items:
        needed = [*cards[sensors.profile(item).sensor].roles]
        if job.composite is not None:
            needed += job.composite.bands
        missing = sorted(set(cube.missing_roles(item, needed)))
        if missing:
            reason = f"it has no asset for {', '.join(missing)}"
            dropped.append(Dropped(item_id=item.id, reason=reason))
        else:
            kept.append(item)
    if not kept:
        raise EmptySearchError(
            f"none of the {len(items)} items can be used: {dropped[0].item_id}: {dropped[0].reason}"
        )
    return Items(items=tuple(kept), dropped=(*items.dropped, *dropped))


def _cell(scene: Scene, tile: Tile, items: Items, card: ModelCard, before: _Stored) -> Cell:
    reads = read_geobox(card.lattice, tile.geobox)
    covering = tuple(p for p in scene.items if cube.covers(items.items[p], reads))
    fingerprint = mask_fingerprint([items.items[p] for p in covering], card)
    stored = before.masks.get(scene.sensor, {}).get(scene.time)
    return Cell(
        scene=scene,
        tile=tile,
        items=covering,
        fingerprint=fingerprint,
        state=before.state(stored, tile, fingerprint),
    )


def _composites(
    job: Job,
    items: Items,
    cells: Sequence[Cell],
    periods: Sequence[Period],
    before: _Stored,
) -> tuple[CompositeCell, ...]:
    if job.composite is None:
        return ()
    by_tile: dict[str, list[Cell]] = {}
    for cell in cells:
        by_tile.setdefault(cell.tile.name, []).append(cell)
    found = []
    for members in by_tile.values():
        tile = members[0].tile
        for period in periods:
            inputs = [
                (
                    cell.scene.time.isoformat(),
                    cell.fingerprint,
                    [items.items[p].id for p in cell.items],
                )
                for cell in members
                if cell.covered and cell.scene.time in period
            ]
            expected = composite_fingerprint(job.composite, inputs)
            state = before.state(before.composites.get(period.start), tile, expected)
            found.append(CompositeCell(period=period, tile=tile, state=state))
    return tuple(found)


def _gone(job: Job, scenes: Sequence[Scene], before: _Stored) -> tuple[Dropped, ...]:
    present = {(scene.sensor, scene.time) for scene in scenes}
    return tuple(
        Dropped(
            item_id=f"{sensor} {time.isoformat()}",
            reason="the store has this scene, the catalogue does not any more; it is kept",
        )
        for sensor, stored in before.masks.items()
        for time in stored
        if time in job.period and (sensor, time) not in present
    )


def _check_memory(plan: Plan) -> None:
    budget = plan.job.run.memory_bytes
    if budget is not None and plan.bytes_needed > budget:
        raise MemoryBudgetError(
            f"the run needs about {plan.bytes_needed / 2**30:.1f} GiB, run.memory_bytes allows "
            f"{budget / 2**30:.1f} GiB; take a smaller grid.tile_px (now {plan.grid.tile_px}) or "
            f"fewer run.workers (now {plan.job.run.workers})"
        )


def _reason(cell: Cell) -> str:
    if cell.fingerprint == UNCOVERED:
        return "no item covers it"
    return {
        "new": "not in the store yet",
        "changed": "its items, their radiometry or the model have changed",
        "unchanged": "the store has it",
    }[cell.state]
