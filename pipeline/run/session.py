"""One run's work on a store: tile by tile, committed each, published together at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from pipeline import sensors, store
from pipeline.errors import IncompleteError
from pipeline.run.plan import Plan
from pipeline.run.progress import Progress, Silent
from pipeline.run.tile import TileWork
from pipeline.types import Cost, Dropped, Record, Tile, TileReceipt

CARD_PARTS = ("name", "version", "weights", "weights_sha256", "licence", "source")
"""What a record keeps of a model."""


class Session:
    """The work of one run, on its own branch of the store; see `open_session`."""

    def __init__(self, plan: Plan, writer: store.Writer, progress: Progress) -> None:
        self.plan = plan
        self._writer = writer
        self._progress = progress
        self._started = datetime.now(UTC)
        self._receipts: dict[str, TileReceipt] = {}
        ids = [item.id for item in plan.items]
        # pystac would fetch the root of each catalogue to make hrefs relative.
        documents = [item.to_dict(transform_hrefs=False) for item in plan.items]
        self._positions = np.array(writer.item_positions(ids, documents), np.int32)
        for sensor in plan.cards:
            writer.set_scenes(
                sensor,
                [
                    (scene.time, scene.platform, tuple(ids[p] for p in scene.items))
                    for scene in plan.scenes
                    if scene.sensor == sensor
                ],
            )
        settings = plan.job.composite
        if settings is not None:
            attrs = {"method": settings.method, "period": settings.period}
            writer.set_composite(settings.name, settings.bands, plan.periods, attrs)
        writer.commit("scenes and periods")

    def do_tile(self, tile: Tile, *, last_try: bool = True) -> TileReceipt:
        """Do one tile and commit it; what a killed run has committed is not done again.

        Parameters
        ----------
        tile
            One of `Plan.tiles_to_do`.
        last_try
            Drop the items whose assets fail for reasons that may pass, too, instead of raising.

        Raises
        ------
        CloudmaskError
            The tile then stands as before; if the error is retryable, do it again.
        """
        work = TileWork(
            plan=self.plan,
            tile=tile,
            store=self._writer,
            positions=self._positions,
            last_try=last_try,
        )
        try:
            receipt = work.do()
            self._writer.commit(f"tile {tile.name}")
        except BaseException:
            self._writer.discard()
            raise
        for dropped in receipt.dropped:
            self._progress.message(
                f"tile {tile.name}: item {dropped.item_id} dropped: {dropped.reason}"
            )
        self._receipts[tile.name] = receipt
        return receipt

    def finish(self) -> Record:
        """Check completeness, publish, and return the record.

        Raises
        ------
        IncompleteError
            Fewer cells than the job wants could be read; nothing is published.
        StoreConflictError
            Another run published meanwhile.
        """
        record = self._record(snapshot=None)
        share = record.complete / record.expected if record.expected else 1.0
        wanted = self.plan.job.run.min_completeness
        if share < wanted:
            raise IncompleteError(
                f"only {record.complete} of {record.expected} cells ({share:.1%}) could be read in "
                f"full, run.min_completeness is {wanted:.1%}; nothing is published. "
                f"{_first_reasons(record.dropped)}"
            )
        if not self._writer.changed:
            return record
        return self._record(snapshot=self._writer.publish(record.to_dict()))

    def _record(self, snapshot: str | None) -> Record:
        plan = self.plan
        receipts = tuple(self._receipts.values())
        stages: dict[str, Cost] = {}
        for receipt in receipts:
            for name, cost in receipt.stages.items():
                stages[name] = stages.get(name, Cost()) + cost
        return Record(
            job=plan.job.name,
            run_id=f"{self._started:%Y%m%dT%H%M%SZ}",
            started=self._started,
            finished=datetime.now(UTC),
            snapshot=snapshot,
            expected=int((plan.cells.covered | plan.cells.incomplete).sum()) + plan.cells.lost,
            complete=int(self._complete().sum()),
            items=tuple(item.id for item in plan.items),
            missed=tuple(item.id for item in plan.items.missed),
            dropped=(
                *plan.items.dropped,
                *plan.gone,
                *(dropped for receipt in receipts for dropped in receipt.dropped),
            ),
            radiometry={item.id: _in_words(sensors.radiometry(item)) for item in plan.items},
            models={
                sensor: {part: str(getattr(card, part)) for part in CARD_PARTS}
                for sensor, card in plan.cards.items()
            },
            tiles=receipts,
            stages=stages,
        )

    def _complete(self) -> NDArray[np.bool_]:
        """Say of each cell, (tile, scene), whether every item that should cover it is in it."""
        cells, items = self.plan.cells, self.plan.items.items
        complete = cells.covered & ~cells.incomplete
        rows = {tile.name: row for row, tile in enumerate(cells.tiles)}
        columns = {
            items[position].id: column
            for column, scene in enumerate(cells.scenes)
            for position in scene.items
        }
        for receipt in self._receipts.values():
            for each in receipt.dropped:
                complete[rows[receipt.tile], columns[each.item_id]] = False
        return complete


@contextmanager
def open_session(plan: Plan, progress: Progress | None = None) -> Iterator[Session]:
    """Open the store of a plan for one run.

    Raises
    ------
    StoreError
        The store cannot be opened, or is of another grid.
    StoreConflictError
        Another run holds it.
    """
    job = plan.job
    with store.open_writer(job.store, plan.grid, title=job.name, run_key=plan.key) as writer:
        yield Session(plan, writer, progress or Silent())


def _in_words(rule: sensors.Radiometry) -> str:
    return f"{rule.reason} (doubtful: look at the pixels)" if rule.doubtful else rule.reason


def _first_reasons(dropped: tuple[Dropped, ...]) -> str:
    reasons = sorted({f"{each.item_id}: {each.reason}" for each in dropped if each.tile})
    return "; ".join(reasons[:3])
