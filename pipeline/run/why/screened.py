"""What evidence from time makes of the scenes of an area: their pixels read again, and judged by the code of runs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import dask
import numpy as np
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from pipeline import composite
from pipeline.errors import QueryError
from pipeline.query.area import Part, area_on, parts
from pipeline.run.common.block_cache import use_block_cache
from pipeline.run.common.threads import IN_THREADS
from pipeline.run.plan.earlier import EarlierScenes
from pipeline.run.tile.composing import Composing
from pipeline.run.tile.drop_unreadable import Losses
from pipeline.run.tile.observed import CellsOf, cells_made
from pipeline.run.tile.put_aside import KINDS, screened_counts
from pipeline.run.why.asked import chunks_around, settings_of, the_composite
from pipeline.run.why.stored import PublishedCells, Step
from pipeline.store import Archive
from pipeline.types import NEVER, Period, Scene, ScreenSettings, Series, Tile
from pipeline.types.series import NOT_LOOKED_AT, WorkBounds
from pipeline.wording import counted

Key = tuple[str, datetime]
"""Sensor and time of a scene."""


def screened(
    archive: Archive,
    series: Series,
    aoi: BaseGeometry | None,
    name: str | None = None,
    bounds: WorkBounds | None = None,
) -> Series:
    """Add to a series what evidence from time makes of each scene's clear pixels.

    The masks of an archive keep what the model said; what stands beside is decided anew from them and from the items'
    rasters, by the rule and the settings of a composite, as a run composing it would.

    Parameters
    ----------
    archive, series, aoi
        An open store, and how clear an area of it was, as `pipeline.query.clear_sky` says.
    name
        Of the composite; none: the store's only one. One that is not screened is judged by the defaults.
    bounds
        None: as much is read as it takes.

    Returns
    -------
    The series with `SceneShares.screened`, none for scenes that the composite does not take, and `Series.notes`.

    Raises
    ------
    QueryError
        Not exactly one composite is meant, or it lacks the bands that are judged.
    AssetError, AccessError
        A raster cannot be read for now. One that is missing or broken is left out, with a note.
    """
    use_block_cache()
    chosen = the_composite(archive, name)
    settings, guard, _ = settings_of(archive, chosen)
    is_screened = settings.screen is not None
    if missing := [each for each in composite.EVIDENCE if each not in settings.bands]:
        raise QueryError(
            f"evidence from time looks at {', '.join(composite.EVIDENCE)}, and composite {chosen} has no "
            f"{', '.join(missing)}: name a composite that has them"
        )
    settings = settings.replace(screen=settings.screen or ScreenSettings())
    wanted = {(each.sensor, each.time) for each in series.scenes}
    looked = _Looked(archive, aoi, is_screened=is_screened)
    looked.count(
        [
            Step(archive=archive, period=period, settings=settings, guard=guard)
            for period in _periods([time for _, time in wanted], settings.period)
        ],
        bounds,
    )
    rows = [
        dataclasses.replace(each, screened=looked.pixels_of((each.sensor, each.time)))
        for each in series.scenes
    ]
    title = f"evidence from time, as composite {chosen} " + (
        "uses it" if is_screened else "would use it by default (it is not screened)"
    )
    shown = [looked.counts[key] for key in wanted & {*looked.counts}]
    sums = np.sum([np.zeros(len(KINDS), np.int64), *shown], axis=0)
    return dataclasses.replace(
        series, scenes=tuple(rows), notes=(f"{title}: {_in_words(sums)}", *looked.notes())
    )


def _periods(times: Sequence[datetime], kind: composite.Kind) -> list[Period]:
    """Return the calendar periods that hold any of these instants."""
    if not times:
        return []
    span = Period(start=min(times), end=max(times) + datetime.resolution)
    held = composite.periods(span, kind)
    return [each for each in held if any(time in each for time in times)]


def _in_words(sums: NDArray[np.int64]) -> str:
    usable, cloud, shadow, restored = sums.tolist()
    if not usable:
        return "no usable pixel was looked at"
    return (
        f"of the usable pixels {cloud / usable:.1%} are put aside for cloud, {shadow / usable:.1%} for shadow; "
        f"{restored / usable:.1%} stand because their period has nothing else"
    )


@dataclass
class _Looked:
    """Counts of an area's pixels, step by step."""

    archive: Archive
    aoi: BaseGeometry | None
    _: dataclasses.KW_ONLY
    is_screened: bool
    """Whether the store's composite is: only then its cells tell whether they were made of the same."""
    counts: dict[Key, NDArray[np.int64]] = field(default_factory=dict)
    """Scene -> pixels of each of `KINDS`."""
    _dropped: dict[str, str] = field(default_factory=dict)
    _cells: int = 0
    _differ: int = 0

    def __post_init__(self) -> None:
        grid = self.archive.grid
        self._store = PublishedCells(self.archive)
        self._parts = list(parts(area_on(grid.geobox, self.aoi), grid.geobox, grid.tile_px))
        self._tiles = [grid.tile(each.row, each.col) for each in self._parts]

    def count(self, steps: Iterable[Step], bounds: WorkBounds | None) -> None:
        """Count the pixels of some periods."""
        read = []
        for step in steps:
            if bounds is not None:
                bounds.require_time()
            read.append((step, step.scenes(self._tiles)))
        if bounds is not None:
            bounds.require_few(
                sum(
                    len(scenes.in_tile(row)) * math.prod(self._block(row).geobox.shape)
                    for _, scenes in read
                    for row in range(len(self._parts))
                )
            )
        for step, scenes in read:
            for row in range(len(self._parts)):
                if bounds is not None:
                    bounds.require_time()
                for scene, counts in self._judged(step, scenes, row):
                    known = self.counts.setdefault(
                        (scene.sensor, scene.time), np.zeros(len(KINDS), np.int64)
                    )
                    known += counts

    def pixels_of(self, key: Key) -> Mapping[str, int] | None:
        """Return pixels of each of `KINDS`; none: the composite is not made of the scene."""
        found = self.counts.get(key)
        return None if found is None else dict(zip(KINDS, found.tolist(), strict=True))

    def notes(self) -> Iterator[str]:
        """Say what may differ from what runs did."""
        for item_id, reason in self._dropped.items():
            yield f"{NOT_LOOKED_AT}{item_id}: {reason}"
        if self._differ:
            yield (
                f"{self._differ} of {counted(self._cells, 'cell')} of the composite in this area were made of "
                "other masks, items or settings than the store has now, or not at all: what was put aside then may differ"
            )

    def _block(self, row: int) -> Tile:
        return chunks_around(self.archive.grid, self._tiles[row], self._parts[row].window)

    def _judged(
        self, step: Step, scenes: EarlierScenes, row: int
    ) -> Iterator[tuple[Scene, NDArray[np.int64]]]:
        part, block = self._parts[row], self._block(row)
        task = step.task(block, self._store, scenes, row)
        losses = Losses(task, "composite")
        # All usable pixels are judged, and not just those that a limit leaves to compose.
        all_of_them = step.settings.replace(max_observations=None)
        composing = Composing.of(task, all_of_them, self._store, losses)
        cells = composing.cells(step.period, cells_made(task, ()))
        used = composing.used(cells)
        inside = _inside(part, block.window)
        usable = {scene: shown & inside for scene, shown in composing.usable(cells).items()}
        yield from losses.without_unreadable(
            used, lambda: _states(step.period, composing, usable, used)
        )
        # A scene without a usable pixel here was looked at as well.
        for scene, _ in cells.inside:
            if used[scene]:
                yield scene, np.zeros(len(KINDS), np.int64)
        self._dropped |= {each.item_id: each.reason for each in losses.dropped}
        if self.is_screened:
            self._compare(step, composing, cells, used)

    def _compare(
        self,
        step: Step,
        composing: Composing,
        cells: CellsOf,
        used: Mapping[Scene, Sequence[int]],
    ) -> None:
        tile = composing.task.tile
        stored = self._store.composite_fingerprint(step.settings.name, step.period.start, tile)
        if cells.inside or stored != NEVER:
            self._cells += 1
            made = dataclasses.replace(composing, settings=step.settings)
            self._differ += stored != made.fingerprint(cells, used)


def _states(
    period: Period,
    composing: Composing,
    usable: Mapping[Scene, NDArray[np.bool_]],
    used: Mapping[Scene, Sequence[int]],
) -> list[tuple[Scene, NDArray[np.int64]]]:
    """Return the scenes of a period with what became of their usable pixels."""
    ground = composing.ground(period, usable, used)
    if not ground.shows:
        return []
    seen = composing.observed(ground, used)
    judged = seen.screened()
    assert judged is not None
    in_blocks = screened_counts(judged["state"].data)
    (counts,) = dask.compute(in_blocks.sum(axis=(2, 3)), scheduler=IN_THREADS)
    return list(zip(seen.scenes, counts, strict=True))


def _inside(part: Part, window: tuple[slice, slice]) -> NDArray[np.bool_]:
    """Return which pixels of a window around a part belong to it, (y, x)."""
    found = np.zeros([each.stop - each.start for each in window], np.bool_)
    at = tuple(
        slice(each.start - whole.start, each.stop - whole.start)
        for each, whole in zip(part.window, window, strict=True)
    )
    found[at] = True if part.inside is None else part.inside
    return found
