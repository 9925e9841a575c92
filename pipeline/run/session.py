"""One run's work on a store: each batch of tiles is committed, all are published together at the end."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import numpy as np

from pipeline import store
from pipeline.access import RetryPolicy
from pipeline.errors import CloudmaskError, IncompleteError, StoreError
from pipeline.run.common.block_cache import use_block_cache
from pipeline.run.common.clock import unmeasured
from pipeline.run.common.method import layers_of
from pipeline.run.common.progress import Progress, Silent
from pipeline.run.executors.base import Executor
from pipeline.run.executors.choose import open_executor
from pipeline.run.plan.earlier import EarlierScenes, find_earlier
from pipeline.run.plan.plan import Plan
from pipeline.run.plan.steps import wanted_scenes
from pipeline.run.plan.stored_state import judged_by, made_by
from pipeline.run.record import metrics
from pipeline.run.record.record import OTHER, make_record, shortfall
from pipeline.run.tile.task import StoreSide, TileTask, make_task, reach_m_of_plan
from pipeline.types import Cost, Record, Tile, TileReceipt

RETRY = RetryPolicy(attempts=3, first_wait_s=0.0)
"""Retry policy of a batch of tiles, without waits: the reads in it have waited already."""


class Session:
    """The work of one run, on its own branch of the store; see `open_session`."""

    def __init__(
        self, plan: Plan, writer: store.Writer, progress: Progress, executor: Executor
    ) -> None:
        self.plan = plan
        self._writer = writer
        self._executor = executor
        self._progress = progress
        self._started = datetime.now(UTC)
        # What this process did before is no cost of this run.
        unmeasured()
        self._other = Cost()
        self._receipts: dict[str, TileReceipt] = {}
        self._done: set[str] = set()
        self._coming: tuple[Tile, ...] = ()
        # Tasks of tiles that the executor was told to expect: it is handed the same objects.
        self._expected: dict[str, TileTask] = {}
        self.composing_later = False
        """Whether all tiles are masked, and those that needed that of each other are being composed."""
        self._store_side = self._announce()

    def _announce(self) -> StoreSide:
        """Write items, scenes and periods to the run's branch; return what the store knows of them."""
        plan, writer = self.plan, self._writer
        ids = [item.id for item in plan.items]
        # With `transform_hrefs` pystac would fetch each catalogue's root to make hrefs relative.
        documents = [item.to_dict(transform_hrefs=False) for item in plan.items]
        positions = np.array(writer.item_positions(ids, documents), np.int32)
        # Ids, except where the store has an item of another collection under the same id.
        names = writer.item_names(positions.tolist())
        for sensor in plan.cards:
            rows = [
                (scene.time, scene.platform, tuple(names[p] for p in scene.items))
                for scene in plan.scenes
                if scene.sensor == sensor
            ]
            writer.set_scenes(sensor, rows, confidence=plan.job.mask.confidence)
        earlier = tuple(self._announce_composite(view) for view in plan.views)
        writer.commit("scenes and periods")
        return StoreSide(store=writer, positions=positions, earlier=earlier)

    def _announce_composite(self, plan: Plan) -> EarlierScenes:
        """Write a composite's periods; return the scenes that it takes beside the plan's."""
        settings = plan.job.composite
        if settings is None:
            return plan.earlier
        makes = any(cell.state != "unchanged" for cell in plan.composites)
        attrs = {
            **made_by(settings),
            # Of a job that makes nothing it would be the only change, and a snapshot by itself.
            **(judged_by(settings, plan.job.mask.guard) if makes else {}),
            "sensors": sorted(plan.composed),
        }
        self._writer.set_composite(
            settings.name, settings.bands, plan.periods, attrs, layers=layers_of(settings)
        )
        # Looked up again: another run may have published since the plan was made.
        return find_earlier(self._writer, wanted_scenes(plan), plan.grid, plan.tiles)

    def batches(self) -> Iterator[tuple[Tile, ...]]:
        """Yield the tiles to do, as many together as are committed together.

        Where composites need masks beyond their tile, each comes twice: all are masked before the first is composed.
        """
        yield from self._each_once()
        if reach_m_of_plan(self.plan):
            self.composing_later, self._done = True, set()
            yield from self._each_once()

    def _each_once(self) -> Iterator[tuple[Tile, ...]]:
        waiting = list(self.plan.tiles_to_do)
        while waiting:
            size = self._executor.batch
            tiles = tuple(waiting[:size])
            del waiting[:size]
            self._coming = tuple(waiting[: self._executor.ahead])
            yield tiles

    def try_tiles(self, tiles: Sequence[Tile]) -> tuple[TileReceipt, ...]:
        """Do a batch and retry temporary failures; the last attempt drops the items that still fail."""
        attempts = itertools.count(1)
        return RETRY.call(
            lambda: self.do_tiles(tiles, last_try=next(attempts) == RETRY.attempts),
            before_wait=lambda error, _: self._progress.message(f"{error}; trying again"),
        )

    def do_tiles(
        self, tiles: Sequence[Tile], *, last_try: bool = True
    ) -> tuple[TileReceipt, ...]:
        """Do a batch once and commit it; tiles that a killed run has committed are not done again.

        Parameters
        ----------
        tiles
            As `batches` gives them. Those that this session has done since it gave them are skipped.
        last_try
            Drop items whose assets fail for reasons that may pass, instead of raising.

        Raises
        ------
        CloudmaskError
            A tile failed, and its cells are as before; the other tiles are done. If the error is
            retryable, do the batch again.
        """
        tasks = [
            self._task(tile, last_try=last_try) for tile in tiles if tile.name not in self._done
        ]
        # The next batch is expected to be tried as this one was first.
        for tile in () if self.composing_later else self._coming:
            if tile.name not in self._expected:
                self._expected[tile.name] = self._made(tile, last_try=last_try)
        coming = tuple(self._expected.values())
        try:
            results = self._executor.do(tasks, self._writer, coming) if tasks else ()
            receipts = [each for each in results if isinstance(each, TileReceipt)]
            self._writer.commit(f"tiles {', '.join(each.tile for each in receipts)}")
        except BaseException:
            self._writer.discard()
            raise
        for receipt in receipts:
            self._note(receipt)
        for result in results:
            if isinstance(result, CloudmaskError):
                raise result
        return tuple(self._receipts[tile.name] for tile in tiles)

    def _task(self, tile: Tile, *, last_try: bool) -> TileTask:
        expected = self._expected.pop(tile.name, None)
        if expected is not None and expected.last_try == last_try:
            return expected
        return self._made(tile, last_try=last_try)

    def _made(self, tile: Tile, *, last_try: bool) -> TileTask:
        masked = self._receipts[tile.name] if self.composing_later else None
        return make_task(self.plan, tile, self._store_side, last_try=last_try, masked=masked)

    def _note(self, receipt: TileReceipt) -> None:
        """Note what became of a tile, and say what it dropped since it was noted before."""
        before = self._receipts.get(receipt.tile)
        self._receipts[receipt.tile] = receipt
        self._done.add(receipt.tile)
        for dropped in receipt.dropped[len(before.dropped) if before else 0 :]:
            self._progress.message(
                f"tile {receipt.tile}: item {dropped.item_id} dropped: {dropped.reason}"
            )

    def finish(self) -> Record:
        """Check completeness, publish, and return the record.

        Raises
        ------
        IncompleteError
            Fewer cells could be read than the job requires; nothing is published.
        StoreConflictError
            Another run has published meanwhile.
        """
        record = self._record()
        short = shortfall(record, self.plan.job.run.min_completeness)
        if short is not None:
            raise IncompleteError(short)
        if self._writer.changed:
            snapshot = self._writer.publish(record.to_dict())
            record = dataclasses.replace(record, snapshot=snapshot)
        metrics.emit(record)
        return record

    def fail(self, error: CloudmaskError) -> None:
        """Store the record of a failed run, where `cloudmask runs` finds it."""
        record = self._record(failure=str(error))
        metrics.emit(record)
        try:
            self._writer.keep_failure(record.to_dict())
        except StoreError as refused:
            self._progress.message(f"the record of the failed run is not stored: {refused}")

    def _record(self, failure: str | None = None) -> Record:
        self._other += unmeasured()
        return make_record(
            self.plan,
            tuple(self._receipts.values()),
            started=self._started,
            other={"plan": self.plan.cost, OTHER: self._other},
            bytes_stored=self._writer.bytes_stored if failure is None else None,
            failure=failure,
        )


@contextmanager
def open_session(plan: Plan, progress: Progress | None = None) -> Iterator[Session]:
    """Open the store of a plan for one run.

    Raises
    ------
    ConfigError
        The settings ask for metrics that cannot be written.
    StoreError
        The store cannot be opened, or is of another grid.
    StoreConflictError
        Another run writes to it.
    WorkersError
        The job's cluster does not answer, or has no worker that can mask.
    """
    job, progress = plan.job, progress or Silent()
    metrics.require_exporter()
    use_block_cache()
    with (
        store.open_writer(
            job.store,
            plan.grid,
            title=job.name,
            run_key=plan.key,
            overviews=job.run.overviews,
        ) as writer,
        open_executor(plan, progress) as executor,
    ):
        session = Session(plan, writer, progress, executor)
        try:
            yield session
        except CloudmaskError as error:
            session.fail(error)
            raise
