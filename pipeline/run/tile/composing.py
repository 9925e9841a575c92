"""The second half of a tile's work: compose the periods whose masks or items changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import dask
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pipeline import composite, cube
from pipeline.mask import history_of
from pipeline.run.common.cells import Cell
from pipeline.run.common.cellstore import CellStore
from pipeline.run.common.fingerprint import composite_fingerprint
from pipeline.run.common.method import evidence_of, layers_of, method_of, window_of
from pipeline.run.tile.drop_unreadable import Losses, inner_threads, with_items
from pipeline.run.tile.guard_history import History
from pipeline.run.tile.task import TileTask
from pipeline.run.tile.unfit import unfit_counts
from pipeline.types import CellReceipt, CompositeSettings, Period, Scene, Tile, is_usable

Cells = Sequence[tuple[Scene, CellReceipt]]


def compose_periods(
    task: TileTask,
    cells: Sequence[CellReceipt],
    store: CellStore,
    losses: Losses,
    on_period: Callable[[], None],
) -> tuple[str, ...]:
    """Compose the periods of a tile whose inputs have changed.

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
    Starts of the periods that were written, ISO dates.
    """
    settings = task.job.composite
    if settings is None:
        return ()
    scenes = [cell.scene for cell in task.cells]
    made = [(s, r) for s, r in zip(scenes, cells, strict=True) if r.items]
    made += [(cell.scene, _receipt(task, cell)) for cell in task.earlier]
    made.sort(key=lambda each: (each[0].time, each[0].sensor))
    composing = _Composing(
        task, settings, method_of(settings), store, losses, _history(task, store)
    )
    written = []
    for period in task.periods:
        if composing.do(period, made):
            written.append(f"{period.start:%Y-%m-%d}")
        on_period()
    return tuple(written)


def _receipt(task: TileTask, cell: Cell) -> CellReceipt:
    """Return a receipt for an earlier cell, like those of the job's cells."""
    return CellReceipt(
        sensor=cell.scene.sensor,
        time=cell.scene.time,
        tile=task.tile.name,
        status="unchanged",
        fingerprint=cell.fingerprint,
        items=tuple(map(task.item_id, cell.items)),
    )


def _history(task: TileTask, store: CellStore) -> History | None:
    guard, tile = task.job.mask.guard, task.tile
    if guard is None:
        return None
    return History(
        settings=guard,
        shape=(tile.geobox.shape.y, tile.geobox.shape.x),
        read=lambda scene: _mask(store, scene, tile),
    )


def _mask(store: CellStore, scene: Scene, tile: Tile) -> NDArray[np.uint8]:
    mask: NDArray[np.uint8] = store.read_mask(scene.sensor, [scene.time], tile)[0]
    return mask


@dataclass(frozen=True)
class _CellsOf:
    """The cells of a tile that decide one period."""

    inside: Cells
    """Composed."""
    around: Cells
    """Read to screen what is composed."""
    past: Cells
    """Their masks are counted by the guard."""

    @classmethod
    def split(cls, period: Period, made: Cells, window: Period, past: Cells) -> _CellsOf:
        """Choose the cells of a period, and of the window of time that screens it."""
        read = [each for each in made if each[1].time in window]
        return cls(
            inside=[each for each in read if each[1].time in period],
            around=[each for each in read if each[1].time not in period],
            past=past,
        )


def _stacked(
    scenes: Iterable[Scene], usable: Mapping[Scene, NDArray[np.bool_]]
) -> xr.DataArray:
    """Return where scenes show the ground, (time, y, x)."""
    return xr.DataArray(np.stack([usable[each] for each in scenes]), dims=("time", "y", "x"))


@dataclass(frozen=True)
class _Composing:
    task: TileTask
    settings: CompositeSettings
    method: composite.Method
    store: CellStore
    losses: Losses
    history: History | None
    """Masks that the guard counts; None without a guard."""

    def do(self, period: Period, made: Cells) -> bool:
        """Compose one period if its inputs have changed; return whether it was written."""
        cells = _CellsOf.split(
            period, made, window_of(period, self.settings), self._past(period, made)
        )
        stored = self.task.stored_composites[period.start]
        if stored == self._fingerprint(cells, {}):
            return False
        read = (*cells.inside, *cells.around)
        usable = self._usable([scene for scene, _ in read], cells.past)
        seen = [scene for scene, shown in usable.items() if shown.any()]
        used = {
            scene: [p for p in scene.items if self.task.item_id(p) in receipt.items]
            for scene, receipt in read
        }
        composed = self.losses.without_unreadable(
            used, lambda: self._composed(period, seen, used, usable)
        )
        fingerprint = self._fingerprint(cells, used)
        if stored == fingerprint:
            return False
        self.store.write_composite(
            self.settings.name, period.start, self.task.tile, composed, fingerprint
        )
        return True

    def _composed(
        self,
        period: Period,
        scenes: Sequence[Scene],
        used: Mapping[Scene, Sequence[int]],
        usable: Mapping[Scene, NDArray[np.bool_]],
    ) -> xr.Dataset:
        task, roles = self.task, self.settings.bands
        read, geobox = with_items(scenes, used), task.tile.geobox
        chosen = {scene: each for scene, each in read.items() if scene.time in period}
        if not chosen:
            shape = geobox.shape.y, geobox.shape.x
            return composite.nothing(shape, roles, layers_of(self.settings))
        chunk_px = composite.block_px(
            len(read), len(roles), screened=self.settings.screen is not None
        )
        shown = _stacked(chosen, usable)
        opened = self._opened(chosen, shown.values, roles, chunk_px)
        around = {scene: each for scene, each in read.items() if scene not in chosen}
        kept, layers = self._screened(opened, shown, around, usable, chunk_px)
        with inner_threads(task.job):
            composed = composite.compose(
                opened, kept, self.method, evidence_of(self.method, period, list(chosen))
            ).assign(layers)
            made: xr.Dataset
            made, unfit = dask.compute(
                composed, unfit_counts(opened["unfit"].data, shown.values)
            )
        self.losses.count_unfit(chosen, unfit)
        source = made["source"].values
        made["source"].values = np.where(source >= 0, task.positions[source], np.int32(-1))
        return made

    def _opened(
        self,
        chosen: Mapping[Scene, Scene],
        shown: NDArray[np.bool_],
        roles: Sequence[str],
        chunk_px: int,
    ) -> xr.Dataset:
        task = self.task
        return cube.open_measured(
            list(chosen.values()),
            task.items,
            task.tile.geobox,
            roles,
            chunk_px=chunk_px,
            settings=task.job.cube,
            wanted=shown,
        )

    def _screened(
        self,
        opened: xr.Dataset,
        shown: xr.DataArray,
        around: Mapping[Scene, Scene],
        usable: Mapping[Scene, NDArray[np.bool_]],
        chunk_px: int,
    ) -> tuple[xr.DataArray, dict[str, xr.DataArray]]:
        """Return which observations are composed, and the layers that say how sure that is."""
        settings, history = self.settings.screen, None
        if settings is None:
            return shown, {}
        if around:
            seen = _stacked(around, usable)
            history = self._opened(around, seen.values, composite.EVIDENCE, chunk_px), seen
        screened = composite.screen(opened, shown, settings, history)
        return screened["kept"], {"suspect": screened["suspect"]}

    def _past(self, period: Period, made: Cells) -> Cells:
        """Return the cells whose masks the guard counts for a period."""
        if self.history is None:
            return ()
        window = history_of(period, self.history.settings)
        return [(scene, receipt) for scene, receipt in made if receipt.time in window]

    def _usable(self, scenes: Sequence[Scene], past: Cells) -> dict[Scene, NDArray[np.bool_]]:
        """Return where scenes show the ground, (y, x) each."""
        masks = ((scene, _mask(self.store, scene, self.task.tile)) for scene in scenes)
        if self.history is None:
            return {scene: is_usable(mask) for scene, mask in masks}
        guarded = self.history.guarded([scene for scene, _ in past])
        return {
            scene: self.history.usable(mask, guarded[scene.sensor]) for scene, mask in masks
        }

    def _fingerprint(self, cells: _CellsOf, used: Mapping[Scene, Sequence[int]]) -> int:
        """Return the fingerprint of a period made of these cells, without the items missing from `used`."""
        inside, around = (
            [
                (
                    receipt.time.isoformat(),
                    receipt.fingerprint,
                    self._unread(receipt, used, scene),
                )
                for scene, receipt in read
            ]
            for read in (cells.inside, cells.around)
        )
        return composite_fingerprint(
            self.settings,
            inside,
            self.task.job.mask.guard,
            [(receipt.time.isoformat(), receipt.fingerprint) for _, receipt in cells.past],
            around,
        )

    def _unread(
        self, receipt: CellReceipt, used: Mapping[Scene, Sequence[int]], scene: Scene
    ) -> list[str]:
        """Return the ids of items that the mask has and the composite could not read."""
        if scene not in used:
            return []
        read = {self.task.item_id(position) for position in used[scene]}
        return [each for each in receipt.items if each not in read]
