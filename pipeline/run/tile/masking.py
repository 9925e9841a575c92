"""The first half of a tile's work: mask the cells that changed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from pipeline.mask import TURNS
from pipeline.run.common.ahead import Ahead
from pipeline.run.common.cells import Cell
from pipeline.run.common.cellstore import CellStore
from pipeline.run.common.fingerprint import mask_fingerprint
from pipeline.run.common.threads import BATCHES
from pipeline.run.tile.drop_unreadable import Losses
from pipeline.run.tile.making import Batch, Making, Pixels, parts, stored_fingerprint
from pipeline.run.tile.task import TileTask
from pipeline.types import CLOUD, UNREADABLE, CellReceipt, CellStatus, Code, Scene


def mask_cells(
    task: TileTask,
    store: CellStore,
    losses: Losses,
    on_cell: Callable[[], None],
    masker: Masker,
) -> list[CellReceipt]:
    """Mask the cells of a tile that are missing in the store or stored with another fingerprint.

    `on_cell` is called for each cell that is new or changed in the plan, even if a killed run has done it.

    Returns
    -------
    A receipt for every cell of the task, in order.
    """
    return _Writing(task, store, losses, on_cell).do(masker)


class Masker:
    """Masks the cells of tiles, a few together so that no thread is idle.

    Where threads wait for servers or a device, the next few are masked while the last are written: also those of the next tile, of
    which it is told by `expect`, while this one is written, composed and committed. It touches no store: what is masked ahead and
    not taken is lost, and costs time alone.
    """

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._expected: deque[tuple[TileTask, int]] = deque()
        self._pools: dict[int, ThreadPoolExecutor] = {}
        self._ahead = Ahead[Making, Batch](
            self._masked,
            most=lambda each: each.threads.most,
            at_once=BATCHES,
            stop=self._stop,
        )

    def expect(self, task: TileTask) -> None:
        """Mask a tile after those that are expected already, as early as there is room for it."""
        if any(each is task for each, _ in self._expected):
            return
        wanted = [*parts(task)]
        for part in wanted:
            TURNS.allow(part.threads.computing)
            n_threads = part.threads.all
            if n_threads not in self._pools:
                self._pools[n_threads] = ThreadPoolExecutor(n_threads)
        self._expected.append((task, len(wanted)))
        self._ahead.add(wanted)

    def batches(self, task: TileTask) -> Iterator[Batch]:
        """Yield what a tile lacks, sensor by sensor."""
        if self._expected and self._expected[0][0] is not task:
            self.forget()
        self.expect(task)
        _, count = self._expected.popleft()
        for _ in range(count):
            yield self._ahead.take()

    def forget(self) -> None:
        """Stop, and expect nothing any more: after an error, whose tile is tried again or not at all."""
        self.close()
        self._begin()

    def close(self) -> None:
        """Stop what is masked for nobody, and wait for its threads."""
        self._ahead.close()
        for pool in self._pools.values():
            pool.shutdown()

    def _masked(self, part: Making) -> Batch:
        return part.do(self._pools[part.threads.all])

    def _stop(self) -> None:
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True)
class _Writing:
    """Writes what is masked of a tile, in the thread of the tile: of a store there is one writer."""

    task: TileTask
    store: CellStore
    losses: Losses
    on_cell: Callable[[], None]

    def do(self, masker: Masker) -> list[CellReceipt]:
        receipts: dict[Scene, CellReceipt] = {}
        for cell in self.task.cells:
            stored = stored_fingerprint(self.task, cell)
            if stored == cell.fingerprint:
                receipts[cell.scene] = self._receipt(cell, cell.items, stored, unchanged=True)
                self._report([cell])
        for batch in masker.batches(self.task):
            receipts.update(self._written(batch))
            self._report(batch.cells)
        return [receipts[cell.scene] for cell in self.task.cells]

    def _report(self, done: Sequence[Cell]) -> None:
        for cell in done:
            if cell.covered and cell.state != "unchanged":
                self.on_cell()

    def _written(self, batch: Batch) -> dict[Scene, CellReceipt]:
        """Write a batch."""
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
            if stored_fingerprint(task, cell) != fingerprint:
                self.store.write_mask(
                    sensor,
                    cell.scene.time,
                    tile,
                    codes,
                    fingerprint,
                    confidence=confidence if task.job.mask.confidence else None,
                )
        return receipts

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
