"""The second half of a tile's work: compose the periods whose masks or items changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pipeline import composite
from pipeline.errors import AssetError
from pipeline.run.common.cellstore import CellStore
from pipeline.run.common.method import layers_of
from pipeline.run.common.threads import in_blocks
from pipeline.run.common.together import Step, grouped
from pipeline.run.tile.composing import Composing, Due
from pipeline.run.tile.drop_unreadable import Losses, unfit_counts
from pipeline.run.tile.ground import Ground
from pipeline.run.tile.observed import Observed, cells_made
from pipeline.run.tile.put_aside import screened_counts, screened_in
from pipeline.run.tile.second_opinion import without_opinion
from pipeline.run.tile.task import TileTask
from pipeline.types import CellReceipt, Scene, Screened


def compose_periods(
    task: TileTask,
    cells: Sequence[CellReceipt],
    store: CellStore,
    losses: Losses,
    on_period: Callable[[], None],
) -> tuple[str, ...]:
    """Compose the periods of a tile whose inputs have changed.

    Steps of several composites that lie in one period are computed at once: what they read alike is read once.

    Parameters
    ----------
    task, store, losses
        The work, the store of its cells, and the items that it drops.
    cells
        What became of the task's cells, in their order.
    on_period
        Called after each period, including those that are unchanged.

    Returns
    -------
    Starts of the periods that were written, ISO dates; of several composites each with its name before.
    """
    by_name = {
        settings.name: (Composing.of(view, settings, store, losses), cells_made(view, cells))
        for view in task.views
        for settings in view.job.composed
    }
    steps: list[Step] = [
        (settings, period)
        for view in task.views
        for settings in view.job.composed
        for period in view.periods
    ]
    written: list[str] = []
    for group in grouped(steps):
        due = []
        for settings, period in group:
            composing, made = by_name[settings.name]
            due.append(composing.due(period, made))
        for step in _compose([each for each in due if each is not None], store, losses):
            start = f"{step.period.start:%Y-%m-%d}"
            written.append(f"{step.composing.settings.name} {start}" if task.others else start)
        for _ in group:
            on_period()
    return tuple(written)


def _compose(steps: Sequence[Due], store: CellStore, losses: Losses) -> list[Due]:
    """Compose and write some steps; return those that have changed."""
    if not steps:
        return []
    used = {
        scene: positions
        for step in steps
        for scene, positions in step.composing.used(step.cells).items()
    }
    if len(steps) == 1:
        composed = losses.without_unreadable(used, lambda: _computed(steps, used, losses))
    else:
        try:
            composed = _computed(steps, used, losses)
        except AssetError as error:
            if not losses.may_drop(error):
                raise
            # What one of them cannot read the others keep: each drops items as in a job of its own.
            return [each for step in steps for each in _compose([step], store, losses)]
    written = []
    for step, made in zip(steps, composed, strict=True):
        own = {scene: used[scene] for scene, _ in step.cells.read}
        fingerprint = step.composing.fingerprint(step.cells, own)
        if fingerprint != step.stored:
            name, tile = step.composing.settings.name, step.composing.task.tile
            store.write_composite(name, step.period.start, tile, made, fingerprint)
            written.append(step)
    return written


@dataclass(frozen=True, kw_only=True)
class _Lazy:
    """A step, laid out and not computed yet."""

    step: Due
    seen: Observed
    made: xr.Dataset
    """The composite."""
    unfit: da.Array
    """Counts of unfit pixels in each block."""
    aside: da.Array | None
    """Counts of observations put aside in each block; None: it is not screened."""

    @classmethod
    def of(
        cls, step: Due, ground: Ground, used: Mapping[Scene, Sequence[int]], chunk_px: int
    ) -> _Lazy:
        ground.count_not_needed(step.composing.settings, chunk_px)
        seen = step.composing.observed(ground, used, step.beside, chunk_px=chunk_px)
        screened = seen.screened()
        return cls(
            step=step,
            seen=seen,
            made=step.composing.composed(step.period, seen, screened),
            unfit=unfit_counts(seen.cube["unfit"].data, seen.shown.values),
            aside=None if screened is None else screened_counts(screened["state"].data),
        )

    @property
    def arrays(self) -> list[da.Array]:
        """Return what is to be computed."""
        layers = [each.data for each in self.made.data_vars.values()]
        return [*layers, self.unfit, *([] if self.aside is None else [self.aside])]

    def finished(self, arrays: Iterator[NDArray[Any]], losses: Losses) -> xr.Dataset:
        """Return the computed step, of its next `arrays`, with the store's positions of items; count what it lost."""
        layers = {name: each.copy(data=next(arrays)) for name, each in self.made.items()}
        made = self.made.assign(layers)
        task, scenes = self.step.composing.task, self.seen.scenes
        losses.count_unfit(scenes, next(arrays).sum(axis=(2, 3)))
        if self.aside is not None:
            losses.screened.append(self._screened(next(arrays).sum(axis=(2, 3)), made))
        source = made["source"].values
        made["source"].values = np.where(source >= 0, task.positions[source], np.int32(-1))
        return made

    def _screened(self, counts: NDArray[np.int64], made: xr.Dataset) -> Screened:
        step, scenes = self.step, self.seen.scenes
        task, name = step.composing.task, step.composing.settings.name
        counted = screened_in(name, step.period, task.tile.name, scenes, counts, made)
        second = self.seen.screen and self.seen.screen.second_opinion
        lacking = without_opinion(task, scenes, second) if second else ()
        return replace(counted, no_opinion=lacking)


def _computed(
    steps: Sequence[Due], used: Mapping[Scene, Sequence[int]], losses: Losses
) -> list[xr.Dataset]:
    """Compute all steps block by block, in one graph: what several want alike of a scene is read once."""
    grounds = [step.composing.ground(step.period, step.usable, used) for step in steps]
    edges = [
        step.composing.chunk_px(each.held) for step, each in zip(steps, grounds, strict=True)
    ]
    lazy = [
        _Lazy.of(step, each, used, min(edges)) if each.shows else None
        for step, each in zip(steps, grounds, strict=True)
    ]
    arrays = [array for each in lazy if each is not None for array in each.arrays]
    computed = iter(in_blocks(arrays, steps[0].composing.task.job.run.workers))
    return [
        _nothing(step) if each is None else each.finished(computed, losses)
        for step, each in zip(steps, lazy, strict=True)
    ]


def _nothing(step: Due) -> xr.Dataset:
    shape = step.composing.task.tile.geobox.shape
    settings = step.composing.settings
    return composite.nothing((shape.y, shape.x), settings.bands, layers_of(settings))
