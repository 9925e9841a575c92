"""Who does the tiles: this process, or the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

from pipeline import store
from pipeline.errors import CloudmaskError
from pipeline.run.common.progress import CELLS, PERIODS, TILES, Progress, Steps
from pipeline.run.plan.plan import Plan
from pipeline.run.tile.task import TileOrder
from pipeline.run.tile.work import compose_tile, mask_tile
from pipeline.types import TileReceipt


@dataclass(frozen=True)
class Done:
    """What became of a batch: the writer has what the receipts tell, and nothing else of it."""

    receipts: tuple[TileReceipt, ...]
    failed: tuple[tuple[TileOrder, CloudmaskError], ...] = ()


class Crew(Protocol):
    """Does batches of tiles."""

    @property
    def batch(self) -> int:
        """How many tiles to hand over at once: they are committed together."""
        ...

    def do(self, orders: Sequence[TileOrder], writer: store.Writer) -> Done:
        """Do tiles, and leave what they wrote in the writer, not committed.

        Raises
        ------
        WorkersError
            The cluster is lost, or a tile again and again takes its worker with it.
        """
        ...


class Here:
    """The run's own process, tile by tile; the threads of a tile share its pixels."""

    batch = 1

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def do(self, orders: Sequence[TileOrder], writer: store.Writer) -> Done:
        """See `Crew`."""
        (order,) = orders
        name, step = order.tile.name, self._steps.step
        self._steps.begin(name)
        try:
            masked = mask_tile(order, writer, lambda: step(CELLS))
            done = compose_tile(order, masked, writer, lambda: step(PERIODS))
        except CloudmaskError as error:
            writer.discard()
            return Done((), ((order, error),))
        self._steps.tile_done(name)
        return Done((done,))


@contextmanager
def open_crew(plan: Plan, progress: Progress) -> Iterator[Crew]:
    """Return who does the tiles of a plan, as its job wants; workers that were started are stopped.

    The stages of the run begin here: workers of a cluster tell of whole tiles alone.

    Raises
    ------
    WorkersError
        A cluster does not answer, or its workers are not fit for this work.
    """
    steps, tiles = Steps(progress), len(plan.tiles_to_do)
    if plan.job.run.cluster.kind == "threads" or plan.nothing_to_do:
        progress.start(TILES, tiles)
        progress.start(CELLS, plan.cells_to_mask)
        if plan.periods:
            progress.start(PERIODS, tiles * len(plan.periods))
        yield Here(steps)
        return
    # Starting Dask takes a second that a run on threads must not pay.
    with import_module("pipeline.run.executors.dask").open_cluster(plan, steps) as crew:
        progress.start(TILES, tiles)
        yield crew
