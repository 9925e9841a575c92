"""What an executor is: it does batches of tiles, and says what became of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline import store
from pipeline.errors import CloudmaskError
from pipeline.run.tile.task import TileOrder
from pipeline.types import TileReceipt


@dataclass(frozen=True)
class Done:
    """What became of a batch: the writer has what the receipts tell, and nothing else of it."""

    receipts: tuple[TileReceipt, ...]
    failed: tuple[tuple[TileOrder, CloudmaskError], ...] = ()


class Executor(Protocol):
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
