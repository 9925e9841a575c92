"""Job -> Plan: search, draw the grid, compare with the store; only what is in doubt is read."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import psutil
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from pipeline import cube, grid
from pipeline.cube.metadata.roles import corner_m, outlines_in
from pipeline.errors import MemoryBudgetError
from pipeline.run.common.cells import CellTable, group_by_cell
from pipeline.run.common.fingerprint import item_text, mask_fingerprint_of, model_text
from pipeline.run.common.postprocess import reach_px
from pipeline.run.common.scenes import Passes, find_passes, of_period
from pipeline.run.plan.dropped_coverage import missed_in
from pipeline.run.plan.plan import Plan
from pipeline.run.plan.selection import choose_models, placed, with_roles
from pipeline.run.plan.steps import steps_of, with_begun, with_composites
from pipeline.run.plan.stored_state import Stored, corner_before, settled_before
from pipeline.run.plan.tile_index import read_boxes, touching
from pipeline.run.record.cost import measured
from pipeline.search import search
from pipeline.types import (
    UNCOVERED,
    Cost,
    Dropped,
    Grid,
    Items,
    Job,
    MaskSettings,
    ModelCard,
    Scene,
    Tile,
)

Said = Callable[[str], None]
"""Hears what is worth a line."""


def plan_job(job: Job, said: Said = lambda _: None) -> Plan:
    """Search, draw the grid and compare with the store.

    No pixel is read, but overviews of items whose metadata leave their offset in doubt, and headers
    of those that do not say where they lie.

    Parameters
    ----------
    job
        What is asked.
    said
        Hears which catalogue is asked, and when it is tried again.

    Raises
    ------
    CloudmaskError
        As `pipeline.errors` says.
    """
    stages: dict[str, Cost] = {}
    with measured(stages, "plan"):
        plan = _planned(job, said)
    return dataclasses.replace(plan, cost=stages["plan"])


def _planned(job: Job, said: Said) -> Plan:
    # A grid that cannot be drawn is known before anything is searched.
    grid.make_grid(job)
    found = cube.settled(
        search(job, said=said), hosts=job.cube.hosts, known=settled_before(job)
    )
    drawn = _drawn(job, found)
    cards = choose_models(job, found)
    before = Stored.look(job, drawn)
    items = of_period(placed(job, with_roles(job, found, cards)), before.scenes, job.period)
    passes = find_passes(items, before.scenes, job.period)
    scenes = passes.scenes
    tiles = tuple(grid.tiles(drawn, job.aoi))
    plan = Plan(
        job=job,
        items=items,
        grid=drawn,
        tiles=tiles,
        scenes=scenes,
        pass_of_missed=passes.missed,
        cards=cards,
        periods=steps_of(job, scenes, before.composites),
        cells=_cells(_Region(drawn, tiles, cards, job.mask), passes, items, before),
        composed=before.composed | cards.keys(),
        gone=_gone(job, scenes, before),
    )
    plan = with_composites(with_begun(plan), before)
    _check_memory(plan)
    return plan


# -- parts -------------------------------------------------------------------------------------


def _drawn(job: Job, items: Items) -> Grid:
    """Draw the grid; on which corners, the items say where neither the job nor the store does."""
    if job.grid.anchor != "auto":
        return grid.make_grid(job)
    known = corner_before(job)
    corners = {corner_m(item) for item in items}
    return grid.make_grid(job, known or grid.anchor_of(corners))


# -- cells -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Region:
    """Where a plan is made."""

    grid: Grid
    tiles: tuple[Tile, ...]
    cards: Mapping[str, ModelCard]
    settings: MaskSettings

    @property
    def reach_px(self) -> int:
        """How far beyond a tile its mask must be known."""
        return reach_px(self.settings, self.grid.geobox.resolution.x)

    def touched(
        self, sensor: str, outlines: Sequence[BaseGeometry | None]
    ) -> NDArray[np.int64]:
        """Return (outline, tile) pairs of what must be read for a sensor's masks."""
        return touching(outlines, self.boxes(sensor))

    def boxes(self, sensor: str) -> NDArray[np.object_]:
        """Return what must be read of each tile for a sensor's masks."""
        card = self.cards.get(sensor)
        if card is None:
            return np.array([tile.geobox.extent.geom for tile in self.tiles])
        return read_boxes(card.lattice, self.tiles, self.reach_px)


def _cells(region: _Region, passes: Passes, items: Items, before: Stored) -> CellTable:
    scenes = passes.scenes
    shape = (len(region.tiles), len(scenes))
    scene_of = np.empty(len(items), np.int64)
    for column, scene in enumerate(scenes):
        scene_of[list(scene.items)] = column
    found = outlines_in(items.items, str(region.grid.geobox.crs))
    sensor_of = [scenes[column].sensor for column in scene_of]
    pairs = []
    for sensor in region.cards:
        members = np.array([p for p, name in enumerate(sensor_of) if name == sensor], np.int64)
        positions, tiles = region.touched(sensor, [found[p] for p in members])
        pairs.append(np.array([members[positions], tiles]))
    sets, chosen = group_by_cell(np.concatenate(pairs, axis=1), scene_of, shape)
    fingerprints = _mask_fingerprints(sets, sensor_of, items, region)
    states = np.empty(shape, np.uint8)
    for column, scene in enumerate(scenes):
        stored = before.masks.get(scene.sensor, {}).get(scene.time)
        states[:, column] = before.states(stored, region.tiles, fingerprints[chosen[:, column]])
    incomplete, lost = _missed(region, passes, items)
    return CellTable(
        tiles=region.tiles,
        scenes=scenes,
        sets=tuple(sets),
        fingerprints=fingerprints,
        chosen=chosen,
        states=states,
        incomplete=incomplete,
        lost=lost,
    )


def _mask_fingerprints(
    sets: Sequence[tuple[int, ...]],
    sensor_of: Sequence[str],
    items: Items,
    region: _Region,
) -> NDArray[np.uint64]:
    texts = [item_text(item, region.settings) for item in items]
    model = {sensor: model_text(card, region.settings) for sensor, card in region.cards.items()}
    return np.array(
        [
            mask_fingerprint_of([texts[p] for p in each], model[sensor_of[each[0]]])
            if each
            else UNCOVERED
            for each in sets
        ],
        np.uint64,
    )


def _missed(region: _Region, passes: Passes, items: Items) -> tuple[NDArray[np.bool_], int]:
    """Find the cells that dropped items would have covered: of scenes, and how many of none."""
    count = len(passes.scenes)
    incomplete = np.zeros((len(region.tiles), count), np.bool_)
    lost: set[tuple[int, int]] = set()
    for position, tile in missed_in(items, str(region.grid.geobox.crs), region.boxes):
        number = passes.missed[position]
        if number < count:
            incomplete[tile, number] = True
        else:
            lost.add((number, tile))
    return incomplete, len(lost)


def _gone(job: Job, scenes: Sequence[Scene], before: Stored) -> tuple[Dropped, ...]:
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
