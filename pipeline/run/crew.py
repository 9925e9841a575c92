"""Who does the tiles: this process, or the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

from pipeline import store
from pipeline.errors import CloudmaskError
from pipeline.run.order import TileOrder
from pipeline.run.plan import Plan
from pipeline.run.tile import compose_tile, mask_tile
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

    def do(self, orders: Sequence[TileOrder], writer: store.Writer) -> Done:
        """See `Crew`."""
        (order,) = orders
        try:
            return Done((compose_tile(order, mask_tile(order, writer), writer),))
        except CloudmaskError as error:
            writer.discard()
            return Done((), ((order, error),))


@contextmanager
def open_crew(plan: Plan) -> Iterator[Crew]:
    """Return who does the tiles of a plan, as its job wants; workers that were started are stopped.

    Raises
    ------
    WorkersError
        A cluster does not answer, or its workers are not fit for this work.
    """
    if plan.job.run.cluster.kind == "threads" or plan.nothing_to_do:
        yield Here()
        return
    # Starting Dask takes a second that a run on threads must not pay.
    with import_module("pipeline.run.cluster").open_cluster(plan) as crew:
        yield crew
