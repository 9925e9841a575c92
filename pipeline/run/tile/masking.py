"""The first half of a tile's work: mask the cells that changed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial

import dask
import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from pipeline import cube, models
from pipeline.mask import TURNS, Sun, mask_with_confidence, read_geobox, shared_windows
from pipeline.run.common.ahead import in_order
from pipeline.run.common.cells import Cell
from pipeline.run.common.cellstore import CellStore
from pipeline.run.common.fingerprint import mask_fingerprint
from pipeline.run.common.mask_pixels import mask_pixels
from pipeline.run.common.postprocess import NIR, finished, roles_needed, sun_over
from pipeline.run.common.threads import IN_THREADS, Threads, threads_of
from pipeline.run.tile.drop_unreadable import Losses, with_items
from pipeline.run.tile.task import TileTask
from pipeline.run.tile.unfit import unfit_counts
from pipeline.types import CLOUD, UNREADABLE, CellReceipt, CellStatus, Code, Scene

Pixels = NDArray[np.uint8]
Masks = Mapping[Scene, tuple[Pixels, Pixels]]
"""Codes and confidence of a tile, scene by scene."""


def mask_cells(
    task: TileTask, store: CellStore, losses: Losses, on_cell: Callable[[], None]
) -> list[CellReceipt]:
    """Mask the cells of a tile that are missing in the store or stored with another fingerprint.

    `on_cell` is called for each cell that is new or changed in the plan, even if a killed run has done it.

    Returns
    -------
    A receipt for every cell of the task, in order.
    """
    return _Masking(task, store, losses, on_cell).do()


@dataclass(frozen=True, slots=True)
class _Batch:
    """A few cells of one sensor, masked and not written yet."""

    cells: Sequence[Cell]
    used: Mapping[Scene, Sequence[int]]
    """The items of each scene, without those that could not be read."""
    made: Masks
    losses: Losses


@dataclass(frozen=True)
class _Masking:
    task: TileTask
    store: CellStore
    losses: Losses
    on_cell: Callable[[], None]

    def do(self) -> list[CellReceipt]:
        receipts: dict[Scene, CellReceipt] = {}
        pending: dict[str, list[Cell]] = {}
        for cell in self.task.cells:
            stored = self._stored(cell)
            if stored == cell.fingerprint:
                receipts[cell.scene] = self._receipt(cell, cell.items, stored, unchanged=True)
                self._report([cell])
            else:
                pending.setdefault(cell.scene.sensor, []).append(cell)
        for cells in pending.values():
            # Closed at once if a batch cannot be written, lest the next be masked for nobody.
            with closing(self._batches(cells)) as batches:
                for batch in batches:
                    receipts.update(self._written(batch))
                    self._report(batch.cells)
        return [receipts[cell.scene] for cell in self.task.cells]

    def _report(self, done: Sequence[Cell]) -> None:
        for cell in done:
            if cell.covered and cell.state != "unchanged":
                self.on_cell()

    def _batches(self, cells: Sequence[Cell]) -> Generator[_Batch]:
        """Mask the cells of one sensor, a few together so that no thread is idle, and the next while the last are written."""
        threads = self._threads(cells)
        TURNS.allow(threads.computing)
        with ThreadPoolExecutor(threads.all) as pool:
            yield from in_order(
                partial(self._masked, pool),
                _few(cells, threads.computing),
                most=threads.batches,
                stop=partial(pool.shutdown, wait=False, cancel_futures=True),
            )

    def _threads(self, cells: Sequence[Cell]) -> Threads:
        items = (self.task.items.items[p] for cell in cells for p in cell.items)
        return threads_of(self.task.job, self.task.cards[cells[0].scene.sensor], items)

    def _masked(self, pool: ThreadPoolExecutor, cells: Sequence[Cell]) -> _Batch:
        used = {cell.scene: list(cell.items) for cell in cells}
        read = [cell.scene for cell in cells if cell.items]
        losses = self.losses.apart()
        part = replace(self, losses=losses)
        made = losses.without_unreadable(used, lambda: part._masks(read, used, pool))
        return _Batch(cells, used, made, losses)

    def _written(self, batch: _Batch) -> dict[Scene, CellReceipt]:
        """Write a batch, in the thread of the tile: of a store there is one writer."""
        task, tile = self.task, self.task.tile
        cells, used, made = batch.cells, batch.used, batch.made
        self.losses.add(batch.losses)
        empty = np.zeros(tuple(tile.geobox.shape), np.uint8)
        receipts = {}
        for cell in cells:
            codes, confidence = made.get(cell.scene, (empty, empty))
            items, sensor = used[cell.scene], cell.scene.sensor
            fingerprint = mask_fingerprint(
                [task.items.items[p] for p in items], task.cards[sensor], task.job.mask
            )
            if cell.items and not items:
                fingerprint = UNREADABLE
            receipts[cell.scene] = _counted(self._receipt(cell, items, fingerprint), codes)
            if self._stored(cell) != fingerprint:
                self.store.write_mask(
                    sensor,
                    cell.scene.time,
                    tile,
                    codes,
                    fingerprint,
                    confidence=confidence if task.job.mask.confidence else None,
                )
        return receipts

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
        self.losses.count_unfit(chosen, unfit)
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

    def _stored(self, cell: Cell) -> int:
        return self.task.stored_masks[cell.scene.sensor, cell.scene.time]

    def _receipt(
        self,
        cell: Cell,
        items: Sequence[int],
        fingerprint: int,
        *,
        unchanged: bool = False,
    ) -> CellReceipt:
        status: CellStatus = "unchanged" if unchanged else "masked"
        if not cell.covered:
            status = "uncovered"
        elif fingerprint == UNREADABLE:
            status = "unreadable"
        return CellReceipt(
            sensor=cell.scene.sensor,
            time=cell.scene.time,
            tile=self.task.tile.name,
            status=status,
            fingerprint=fingerprint,
            items=tuple(map(self.task.item_id, items)),
        )


def _counted(receipt: CellReceipt, codes: Pixels) -> CellReceipt:
    """Return a receipt with the pixels that have data, are cloud and are shadow."""
    counts = np.bincount(codes.ravel(), minlength=len(Code))
    return replace(
        receipt,
        data=int(counts.sum() - counts[Code.NO_DATA]),
        cloud=int(counts[list(CLOUD)].sum()),
        shadow=int(counts[Code.CLOUD_SHADOW]),
    )


def _within(opened: xr.Dataset, name: str, geobox: GeoBox) -> da.Array:
    """Return the part (time, y, x) of a variable that lies in a geobox."""
    corner = ~opened.odc.geobox.transform @ geobox.transform
    left, top = round(corner.c), round(corner.f)
    rows, cols = slice(top, top + geobox.shape.y), slice(left, left + geobox.shape.x)
    return opened[name].data[:, rows, cols]


def _few(cells: Sequence[Cell], size: int) -> Iterator[Sequence[Cell]]:
    for start in range(0, len(cells), size):
        yield cells[start : start + size]
