"""Job -> Plan: search, draw the grid, compare with the store; no pixel is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import psutil
import pystac
from numpy.typing import NDArray

from pipeline import composite, cube, grid, models, sensors, store
from pipeline.errors import ConfigError, EmptySearchError, MemoryBudgetError, ModelError
from pipeline.mask import read_geobox
from pipeline.run.fingerprint import composite_fingerprint, mask_fingerprint
from pipeline.run.plan import Cell, CompositeCell, Plan, State
from pipeline.run.scenes import scenes_of
from pipeline.search import search
from pipeline.types import Dropped, Grid, Items, Job, ModelCard, Period, Scene, Tile

OFFERED_SHARE = 0.5
"""A role counts as offered by a sensor when this share of its items has it: one item without a
band is dropped, and does not choose a weaker model for all the others."""


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
        name = job.composite.name if job.composite else ""
        return cls(
            masks={sensor: archive.mask_fingerprints(sensor) for sensor in archive.sensors},
            composites=archive.composite_fingerprints(name)
            if name in archive.composite_names
            else {},
        )

    @staticmethod
    def state(stored: NDArray[np.uint64] | None, tile: Tile, expected: int) -> State:
        value = 0 if stored is None else int(stored[tile.row, tile.col])
        if value == expected:
            return "unchanged"
        return "changed" if value else "new"


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
        reason = (
            f"it has no asset for {', '.join(missing)}" if missing else cube.misplaced(item)
        )
        if reason is not None:
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
    asked = plan.job.run.memory_bytes
    budget = asked or psutil.virtual_memory().available
    if plan.bytes_needed > budget:
        allowed = "run.memory_bytes allows" if asked else "this machine has free"
        raise MemoryBudgetError(
            f"the run needs about {plan.bytes_needed / 2**30:.1f} GiB, {allowed} "
            f"{budget / 2**30:.1f} GiB; take a smaller grid.tile_px (now {plan.grid.tile_px}) or "
            f"fewer run.workers (now {plan.job.run.workers})"
        )
