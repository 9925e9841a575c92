"""What an executor is: it does batches of tiles, and reports the receipt or the error of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pipeline import store
from pipeline.errors import CloudmaskError
from pipeline.run.tile.task import TileTask
from pipeline.types import TileReceipt

Result = TileReceipt | CloudmaskError
"""How a tile ended."""


class Executor(Protocol):
    """Does batches of tiles."""

    @property
    def batch(self) -> int:
        """How many tiles to hand over at once: they are committed together."""
        ...

    @property
    def ahead(self) -> int:
        """How many of the tiles after these to tell of: it begins them early."""
        ...

    def do(
        self,
        tasks: Sequence[TileTask],
        writer: store.Writer,
        coming: Sequence[TileTask] = (),
        /,
    ) -> Sequence[Result]:
        """Do tiles, and leave what they wrote in the writer, not committed.

        Parameters
        ----------
        tasks
            The tiles.
        writer
            The run's writer.
        coming
            What is handed over next, if nothing goes wrong: the same objects. They touch no store before.

        Returns
        -------
        The result of each task, in order. Of a tile that ended with an error the writer has nothing.

        Raises
        ------
        WorkersError
            The cluster is lost, or a tile again and again takes its worker with it.
        """
        ...
