"""The executor of the run's own process."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline import store
from pipeline.errors import CloudmaskError
from pipeline.run.common.progress import CELLS, PERIODS, Steps
from pipeline.run.executors.base import Done
from pipeline.run.tile.task import TileOrder
from pipeline.run.tile.work import compose_tile, mask_tile


class LocalExecutor:
    """The run's own process, tile by tile; the threads of a tile share its pixels."""

    batch = 1

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def do(self, orders: Sequence[TileOrder], writer: store.Writer) -> Done:
        """See `Executor`."""
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
