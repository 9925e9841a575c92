"""Job -> Plan: a table of what is new, changed or unchanged, made of items, grid and stored state."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pystac
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from pipeline import grid, models, sensors
from pipeline.cube.metadata.roles import outlines_in
from pipeline.errors import MemoryBudgetError, RadiometryError
from pipeline.run.common.block_cache import use_block_cache
from pipeline.run.common.cells import CellTable, group_by_cell
from pipeline.run.common.clock import measured
from pipeline.run.common.fingerprint import item_text, mask_fingerprint_of, model_text
from pipeline.run.common.mask_pixels import mask_pixels
from pipeline.run.common.scenes import Passes, find_passes
from pipeline.run.plan.memory import available_bytes
from pipeline.run.plan.neighbours import job_reach_m
from pipeline.run.plan.plan import Plan
from pipeline.run.plan.prepare import Inputs, Report, prepare
from pipeline.run.plan.steps import steps_of, with_begun, with_composites
from pipeline.run.plan.stored_state import Stored
from pipeline.run.plan.tile_index import read_boxes, rough_outlines, touching
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


def plan_job(job: Job, report: Report = lambda _: None, beyond_m: float = 0.0) -> Plan:
    """Search, draw the grid and compare with the store.

    Parameters
    ----------
    job
        The job.
    report
        Called with a line for each catalogue that is searched, and for each retry.
    beyond_m
        How far around the AOI tiles are masked, at least; the job's own composites may look farther.

    Raises
    ------
    CloudmaskError
        As `pipeline.errors` says.
    """
    stages: dict[str, Cost] = {}
    # Before libraries start threads: each would keep a heap of its own, and what it frees there nobody else could use.
    models.prepare_process()
    # Before any raster is read: what is kept must be of the version that its server tells first.
    use_block_cache()
    with measured(stages, "plan"):
        plan = with_begun(make_plan(job, prepare(job, report, beyond_m), beyond_m))
    _check_memory(plan)
    return dataclasses.replace(plan, cost=stages["plan"])


def make_plan(job: Job, inputs: Inputs, beyond_m: float = 0.0) -> Plan:
    """Compare every scene in every tile, and every step of the composite, with what the store has.

    Asks neither a catalogue nor a raster.
    """
    items, stored, cards = inputs.items, inputs.stored, inputs.cards
    passes = find_passes(items, stored.scenes, job.period)
    scenes = passes.scenes
    # What lies around the AOI is masked where composites look there.
    reach_m = max(job_reach_m(job), beyond_m)
    job, *more = job.for_each_composite()
    tiles = tuple(grid.tiles(inputs.grid, job.aoi, reach_m))
    region = _Region(inputs.grid, tiles, cards, job.mask)
    plan = Plan(
        job=job,
        items=items,
        grid=inputs.grid,
        tiles=tiles,
        scenes=scenes,
        cards=cards,
        periods=steps_of(job, scenes, stored.composites),
        cells=_cells(region, scenes, items, stored),
        missed=_missed(region, passes, items),
        composed=_composed(job, stored, cards),
        gone=_gone(job, scenes, stored),
    )
    others = [
        with_composites(
            dataclasses.replace(
                plan,
                job=each,
                periods=steps_of(each, scenes, known.composites),
                composed=_composed(each, known, cards),
            ),
            known,
        )
        for each, known in zip(more, inputs.others, strict=True)
    ]
    return dataclasses.replace(with_composites(plan, stored), others=tuple(others))


def _composed(job: Job, stored: Stored, cards: Mapping[str, ModelCard]) -> frozenset[str]:
    """Return the sensors that a job's composite is made of: those that it names, or all that it has seen."""
    named = job.composite.sensors if job.composite else ()
    return frozenset(named) or stored.composed | cards.keys()


@dataclass(frozen=True, slots=True)
class _Region:
    """Grid, tiles and models: they decide which pixels are read for a tile."""

    grid: Grid
    tiles: tuple[Tile, ...]
    cards: Mapping[str, ModelCard]
    settings: MaskSettings

    def touched(
        self, sensor: str, outlines: Sequence[BaseGeometry | None]
    ) -> NDArray[np.int64]:
        """Return (2, N) pairs (outline, tile) where an outline meets what is read for a sensor's masks."""
        card = self.cards.get(sensor)
        if card is None:
            return touching(
                outlines, np.array([tile.geobox.extent.geom for tile in self.tiles])
            )
        wide = [mask_pixels(tile.geobox, card, self.settings).wide for tile in self.tiles]
        return touching(outlines, read_boxes(card.lattice, wide))


def _cells(
    region: _Region, scenes: tuple[Scene, ...], items: Items, stored: Stored
) -> CellTable:
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
        masks = stored.masks.get(scene.sensor, {}).get(scene.time)
        states[:, column] = Stored.states(masks, region.tiles, fingerprints[chosen[:, column]])
    return CellTable(
        tiles=region.tiles,
        scenes=scenes,
        sets=tuple(sets),
        fingerprints=fingerprints,
        chosen=chosen,
        states=states,
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


def _missed(region: _Region, passes: Passes, items: Items) -> NDArray[np.int64]:
    """Find the tiles that dropped items would have covered; see `Plan.missed`.

    An item that tells nowhere where it lies may have covered any of them, and counts in all.
    """
    by_sensor: defaultdict[str, list[int]] = defaultdict(list)
    for position, item in enumerate(items.missed):
        by_sensor[_sensor_of(item)].append(position)
    crs, found = str(region.grid.geobox.crs), [np.zeros((3, 0), np.int64)]
    for sensor, members in by_sensor.items():
        outlines = rough_outlines([items.missed[position] for position in members], crs)
        outline, tile = region.touched(sensor, outlines)
        position = np.array(members, np.int64)[outline]
        found.append(np.array([position, np.array(passes.missed, np.int64)[position], tile]))
    return np.concatenate(found, axis=1)


def _sensor_of(item: pystac.Item) -> str:
    """Return an item's sensor, or its collection where the sensor is unknown."""
    try:
        return sensors.profile(item).sensor
    except RadiometryError:
        return item.collection_id or "unknown"


def _gone(job: Job, scenes: Sequence[Scene], stored: Stored) -> tuple[Dropped, ...]:
    present = {(scene.sensor, scene.time) for scene in scenes}
    return tuple(
        Dropped(
            item_id=f"{sensor} {time.isoformat()}",
            reason="the store has this scene, the catalogue does not any more; it is kept",
        )
        for sensor, masks in stored.masks.items()
        for time in masks
        if time in job.period and (sensor, time) not in present
    )


def _check_memory(plan: Plan) -> None:
    limit = plan.job.run.memory_bytes
    budget = available_bytes(plan.job)
    if plan.bytes_needed > budget:
        allowed = "run.memory_bytes allows" if limit else "this machine has free"
        apart = ", or jobs of fewer composites" if plan.others else ""
        raise MemoryBudgetError(
            f"the run needs about {plan.bytes_needed / 2**30:.1f} GiB, {allowed} "
            f"{budget / 2**30:.1f} GiB; take a smaller grid.tile_px (now {plan.grid.tile_px}) or "
            f"fewer run.workers (now {plan.job.run.workers}){apart}"
        )
