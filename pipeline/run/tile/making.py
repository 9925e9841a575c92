"""Masks of a few cells, made in any thread and written by none: what a tile's thread writes when their turn comes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import dask
import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from pipeline import cube, lazy, models
from pipeline.mask import Sun, mask_with_confidence, read_geobox, shared_windows
from pipeline.run.common.cells import Cell
from pipeline.run.common.mask_pixels import mask_pixels
from pipeline.run.common.postprocess import NIR, finished, roles_needed, sun_over
from pipeline.run.common.threads import IN_THREADS, Threads, threads_of
from pipeline.run.tile.drop_unreadable import Losses, unfit_counts, with_items
from pipeline.run.tile.task import TileTask
from pipeline.types import Scene

Pixels = NDArray[np.uint8]
Masks = Mapping[Scene, tuple[Pixels, Pixels]]
"""Codes and confidence of a tile, scene by scene."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A few cells of one sensor, masked and not written yet."""

    cells: Sequence[Cell]
    used: Mapping[Scene, Sequence[int]]
    """The items of each scene, without those that could not be read."""
    made: Masks
    losses: Losses


@dataclass(frozen=True)
class Making:
    """Masks a few cells of one sensor, in any thread."""

    task: TileTask
    cells: Sequence[Cell]
    threads: Threads
    losses: Losses

    def do(self, pool: ThreadPoolExecutor) -> Batch:
        """Mask them, in the threads of a pool."""
        used = {cell.scene: list(cell.items) for cell in self.cells}
        read = [cell.scene for cell in self.cells if cell.items]
        made = self.losses.without_unreadable(used, lambda: self._masks(read, used, pool))
        return Batch(self.cells, used, made, self.losses)

    def _masks(
        self,
        scenes: Sequence[Scene],
        used: Mapping[Scene, Sequence[int]],
        pool: ThreadPoolExecutor,
    ) -> Masks:
        """Return codes and confidence of the tile, scene by scene."""
        chosen = with_items(scenes, used)
        if not chosen:
            return {}
        job, card = self.task.job, self.task.cards[scenes[0].sensor]
        model = models.load(card)
        pixels = mask_pixels(self.task.tile.geobox, card, job.mask)
        wide = pixels.wide
        opened = cube.open_cube(
            list(chosen.values()),
            self.task.items,
            read_geobox(card.lattice, wide),
            roles_needed(job.mask, card.roles),
            chunk_px=card.lattice.core_px,
            settings=job.cube,
        )
        codes, confidence, seen, unfit = dask.compute(
            *mask_with_confidence(opened, model, wide, shared_windows(model)),
            self._seen(opened, wide),
            unfit_counts(_within(opened, "unfit", pixels.own), pixels.sizes),
            scheduler=IN_THREADS,
            pool=pool,
        )
        self.losses.count_unfit(chosen, unfit.sum(axis=(2, 3)))
        made = {}
        for step, scene in enumerate(chosen):
            done = finished(
                codes[step],
                {name: each[step] for name, each in seen.items()},
                self._suns(used[scene]),
                job.mask,
                wide.resolution.x,
            )
            # A class that the postprocessing has changed has no probability from the model.
            sure = np.where(done == codes[step], confidence[step], np.uint8(0))
            made[scene] = pixels.on_grid(done), pixels.on_grid(sure)
        return made

    def _seen(self, opened: xr.Dataset, geobox: GeoBox) -> dict[str, da.Array]:
        """Return the arrays that shadows are checked by, (time, y, x) each; none where they are not checked."""
        shadows = self.task.job.mask.shadows
        if shadows is None:
            return {}
        names = ("source", NIR) if shadows.add else ("source",)
        return {name: _within(opened, name, geobox) for name in names}

    def _suns(self, items: Sequence[int]) -> dict[int, Sun]:
        """Return the sun over each item that states it; none where shadows are not checked."""
        if self.task.job.mask.shadows is None:
            return {}
        crs = self.task.tile.geobox.crs
        assert crs is not None
        suns = {p: sun_over(self.task.items.items[p], crs) for p in items}
        return {position: sun for position, sun in suns.items() if sun is not None}


def parts(task: TileTask) -> Iterator[Making]:
    """Yield the cells that a tile lacks, a few of one sensor at a time."""
    pending: dict[str, list[Cell]] = {}
    for cell in task.cells:
        if stored_fingerprint(task, cell) != cell.fingerprint:
            pending.setdefault(cell.scene.sensor, []).append(cell)
    for sensor, cells in pending.items():
        items = (task.items.items[p] for cell in cells for p in cell.items)
        threads = threads_of(task.job, task.cards[sensor], items)
        for few in _few(cells, threads.computing):
            yield Making(task, few, threads, Losses(task, "mask"))


def stored_fingerprint(task: TileTask, cell: Cell) -> int:
    """Return the fingerprint of the mask that the store has of a cell."""
    return task.stored_masks[cell.scene.sensor, cell.scene.time]


def _within(opened: xr.Dataset, name: str, geobox: GeoBox) -> da.Array:
    """Return the part (time, y, x) of a variable that lies in a geobox."""
    corner = ~opened.odc.geobox.transform @ geobox.transform
    left, top = round(corner.c), round(corner.f)
    rows, cols = slice(top, top + geobox.shape.y), slice(left, left + geobox.shape.x)
    return lazy.within(opened[name].data, rows, cols)


def _few(cells: Sequence[Cell], size: int) -> Iterator[Sequence[Cell]]:
    for start in range(0, len(cells), size):
        yield cells[start : start + size]
