"""The steps of a composite that a job touches, and whether each is new, changed or unchanged."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from pipeline import composite, store
from pipeline.mask import history_of
from pipeline.run.common.cells import STATES, CompositeCell
from pipeline.run.common.fingerprint import (
    beyond_text,
    composite_fingerprint_of,
    scene_text,
    settings_text,
)
from pipeline.run.common.method import reach_of, window_of
from pipeline.run.plan.earlier import EarlierScenes, Wanted, find_earlier, no_scenes
from pipeline.run.plan.neighbours import Neighbours
from pipeline.run.plan.plan import Plan
from pipeline.run.plan.stored_state import Stored
from pipeline.types import (
    UNREADABLE,
    CompositeSettings,
    Job,
    Period,
    Scene,
    Tile,
)


def steps_of(
    job: Job, scenes: Sequence[Scene], stored: Iterable[datetime]
) -> tuple[Period, ...]:
    """Return the calendar periods that a job composes.

    Parameters
    ----------
    job
        Its dates choose the periods.
    scenes
        Its scenes; the store may know one by a time just outside of the dates.
    stored
        Starts of the periods in the store. Those before and after the job's dates are included where scenes
        of the job's dates screen them, or the guard counts their masks for them.
    """
    settings = job.composite
    if settings is None:
        return ()
    times = [scene.time for scene in scenes]
    span = Period(
        start=min([job.period.start, *times]),
        end=max([job.period.end, *(time + timedelta(microseconds=1) for time in times)]),
    )
    own = composite.periods(span, settings.period)
    others = [
        _step_at(start, settings)
        for start in sorted(stored)
        if not own[0].start <= start < own[-1].end
    ]
    touched = [each for each in others if _is_touched(each, job, span)]
    return tuple(sorted([*own, *touched], key=lambda each: each.start))


def _is_touched(step: Period, job: Job, span: Period) -> bool:
    """Return whether scenes of a job's span of time decide pixels of a step beside it."""
    assert job.composite is not None
    window, guard = window_of(step, job.composite), job.mask.guard
    screened = window.start < span.end and span.start < window.end
    later = job.period.end <= step.start
    return screened or bool(guard and later and history_of(step, guard).start < job.period.end)


def _step_at(start: datetime, settings: CompositeSettings) -> Period:
    instant = Period(start=start, end=start + timedelta(microseconds=1))
    return composite.periods(instant, settings.period)[0]


def wanted_scenes(plan: Plan) -> Wanted:
    """Return which scenes of the store a plan's composite uses beside the job's."""
    assert plan.job.composite is not None
    guard = plan.job.mask.guard
    return Wanted(
        found=frozenset((scene.sensor, scene.time) for scene in plan.scenes),
        sensors=plan.composed,
        periods=tuple(window_of(each, plan.job.composite) for each in plan.periods),
        histories=tuple(history_of(each, guard) for each in plan.periods) if guard else (),
        settings=plan.job.composite,
    )


def with_composites(plan: Plan, stored: Stored) -> Plan:
    """Compare each step of the composite in each tile with what the store has."""
    if plan.job.composite is None:
        return plan
    earlier = no_scenes(len(plan.tiles))
    if stored.archive is not None:
        earlier = find_earlier(stored.archive, wanted_scenes(plan), plan.grid, plan.tiles)
    fingerprints = _earlier_masks(earlier, plan.tiles, stored)
    masks = _Masks.of(plan, earlier, fingerprints, stored)
    return dataclasses.replace(
        plan,
        earlier=earlier,
        earlier_masks=fingerprints,
        composites=_composite_cells(plan, masks, stored),
    )


def with_begun(plan: Plan) -> Plan:
    """Mark the cells that a killed run of the same plan has left on its branch: they are not done again."""
    unfinished = store.find_unfinished(plan.job.store, plan.key)
    if unfinished is None:
        return plan
    cells = plan.cells
    begun = np.zeros(cells.states.shape, np.bool_)
    rows, cols = ([getattr(tile, name) for tile in plan.tiles] for name in ("row", "col"))
    known = {sensor: unfinished.mask_fingerprints(sensor) for sensor in unfinished.sensors}
    for column, scene in enumerate(plan.scenes):
        stored = known.get(scene.sensor, {}).get(scene.time)
        if stored is not None:
            begun[:, column] = stored[rows, cols] == cells.fingerprints[cells.chosen[:, column]]
    return dataclasses.replace(plan, begun=begun & cells.covered & ~cells.unchanged)


def _earlier_masks(
    earlier: EarlierScenes, tiles: Sequence[Tile], stored: Stored
) -> NDArray[np.uint64]:
    """Return the fingerprints (tile, scene) of masks that the store has, 0 where it has none."""
    fingerprints = np.zeros((len(tiles), len(earlier.scenes)), np.uint64)
    rows, cols = ([getattr(tile, name) for tile in tiles] for name in ("row", "col"))
    for column, scene in enumerate(earlier.scenes):
        found = stored.masks[scene.sensor][scene.time][rows, cols]
        fingerprints[:, column] = np.where(found > UNREADABLE, found, 0)
    return fingerprints


@dataclass(frozen=True, kw_only=True, eq=False)
class _Masks:
    """The masks that composites are made of: the job's and the earlier ones, sorted by (time, sensor)."""

    scenes: Sequence[Scene]
    fingerprints: NDArray[np.uint64]
    """(tile, scene), 0 where no item covers the cell."""
    neighbours: Neighbours
    """The same of the tiles around each, where the composite's method looks there."""

    @classmethod
    def of(
        cls,
        plan: Plan,
        earlier: EarlierScenes,
        earlier_masks: NDArray[np.uint64],
        stored: Stored,
    ) -> _Masks:
        """Join the cells of the job with the earlier ones, of the sensors that the composite takes."""
        assert plan.job.composite is not None
        cells = plan.cells
        own = np.where(cells.covered, cells.fingerprints[cells.chosen], np.uint64(0))
        scenes = [*cells.scenes, *earlier.scenes]
        order = sorted(
            (n for n, scene in enumerate(scenes) if scene.sensor in plan.composed),
            key=lambda each: (scenes[each].time, scenes[each].sensor),
        )
        sorted_scenes = [scenes[position] for position in order]
        fingerprints = np.concatenate([own, earlier_masks], axis=1)[:, order]
        reach_m = reach_of(plan.job.composite)
        return cls(
            scenes=sorted_scenes,
            fingerprints=fingerprints,
            neighbours=Neighbours.of(
                plan.grid, plan.tiles, sorted_scenes, fingerprints, stored.masks, reach_m
            ),
        )

    def within(self, period: Period | None) -> list[int]:
        """Return the positions of the scenes of a period; of None, none."""
        return [p for p, each in enumerate(self.scenes) if period and each.time in period]


def _composite_cells(plan: Plan, masks: _Masks, stored: Stored) -> tuple[CompositeCell, ...]:
    assert plan.job.composite is not None
    guard = plan.job.mask.guard
    settings = settings_text(plan.job.composite, guard)
    states = [
        Stored.states(
            stored.composites.get(step.start),
            plan.tiles,
            _expected(settings, masks, step, plan.job),
        )
        for step in plan.periods
    ]
    return tuple(
        CompositeCell(period=step, tile=tile, state=STATES[states[column][row]])
        for row, tile in enumerate(plan.tiles)
        for column, step in enumerate(plan.periods)
    )


def _expected(settings: str, masks: _Masks, step: Period, job: Job) -> NDArray[np.uint64]:
    """Return the fingerprint of one step in each tile; tiles with the same masks, and the same around them, share it."""
    assert job.composite is not None
    guard = job.mask.guard
    inside, past = masks.within(step), masks.within(history_of(step, guard) if guard else None)
    around = [
        each for each in masks.within(window_of(step, job.composite)) if each not in inside
    ]
    columns = [*inside, *past, *around]
    days = [masks.scenes[column].time.isoformat() for column in columns]
    beyond = masks.neighbours.around(inside)
    made: dict[bytes, int] = {}
    expected = np.empty(len(masks.fingerprints), np.uint64)
    for row, numbers in enumerate(masks.fingerprints[:, columns]):
        name = numbers.tobytes() + beyond[row].tobytes()
        if name not in made:
            texts = [
                scene_text(day, number) if number else ""
                for day, number in zip(days, numbers.tolist(), strict=True)
            ]
            ends = np.cumsum([len(inside), len(past)])
            parts = texts[: ends[0]], texts[ends[0] : ends[1]], texts[ends[1] :]
            own, counted, screening = (list(filter(None, part)) for part in parts)
            others = _beyond(masks.neighbours.offsets, beyond[row], numbers)
            made[name] = composite_fingerprint_of(settings, own, counted, screening, others)
        expected[row] = made[name]
    return expected


def _beyond(
    offsets: Sequence[tuple[int, int]],
    around: NDArray[np.uint64],
    own: NDArray[np.uint64],
) -> list[str]:
    """Return the texts of masks (offset, scene) around a tile, of those scenes that the tile has (`own`); none: there are none."""
    found = [
        [(*place, number) for place, number in zip(offsets, numbers, strict=True) if number]
        for numbers, there in zip(around.T.tolist(), own.tolist(), strict=False)
        if there
    ]
    return [beyond_text(each) for each in found] if any(found) else []
