"""The executor of the run's own process."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline import store
from pipeline.errors import CloudmaskError
from pipeline.run.common.progress import CELLS, PERIODS, Steps
from pipeline.run.executors.base import Result
from pipeline.run.tile.task import TileTask
from pipeline.run.tile.work import compose_tile, mask_tile


class LocalExecutor:
    """The run's own process, tile by tile; the threads of a tile share its pixels."""

    batch = 1

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def do(self, tasks: Sequence[TileTask], writer: store.Writer) -> Sequence[Result]:
        """See `Executor`."""
        (task,) = tasks
        name, step = task.tile.name, self._steps.step
        self._steps.begin(name)
        try:
            masked = task.masked or mask_tile(task, writer, lambda: step(CELLS))
            if task.waits:
                return [masked]
            receipt = compose_tile(task, masked, writer, lambda: step(PERIODS))
        except CloudmaskError as error:
            writer.discard()
            return [error]
        self._steps.tile_done(name)
        return [receipt]
