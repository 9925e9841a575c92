"""The executor of the run's own process."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline import store
from pipeline.errors import CloudmaskError
from pipeline.run.common.progress import CELLS, PERIODS, Steps
from pipeline.run.executors.base import Result
from pipeline.run.tile.masking import Masker
from pipeline.run.tile.task import TileTask
from pipeline.run.tile.work import compose_tile, mask_tile


class LocalExecutor:
    """The run's own process, tile by tile; the threads of a tile share its pixels.

    Where threads wait for servers or a device, the next tile's first scenes are masked while one is written, composed and committed.
    """

    batch = 1

    def __init__(self, steps: Steps, *, ahead: int) -> None:
        """Do tiles, and know of so many of the next, 0 or 1."""
        self._steps = steps
        self.ahead = ahead
        self._masker = Masker()

    def do(
        self, tasks: Sequence[TileTask], writer: store.Writer, coming: Sequence[TileTask] = ()
    ) -> Sequence[Result]:
        """See `Executor`."""
        (task,) = tasks
        try:
            return [self._done(task, writer, coming)]
        except BaseException as error:
            self._masker.forget()
            if not isinstance(error, CloudmaskError):
                raise
            writer.discard()
            return [error]

    def _done(self, task: TileTask, writer: store.Writer, coming: Sequence[TileTask]) -> Result:
        name, step = task.tile.name, self._steps.step
        self._steps.begin(name)
        masked = task.masked
        if masked is None:
            for each in (task, *coming):
                self._masker.expect(each)
            masked = mask_tile(task, writer, lambda: step(CELLS), self._masker)
        if task.waits:
            return masked
        receipt = compose_tile(task, masked, writer, lambda: step(PERIODS))
        self._steps.tile_done(name)
        return receipt

    def close(self) -> None:
        """Stop what was begun for tiles that nobody does any more."""
        self._masker.close()
