"""How many threads mask a tile, and what they may do: the only place that says so.

::

    run.workers      are inside a model at once, where it computes on the processor; a call takes one thread of torch
    run.read_ahead   more of them read and decode windows while those wait or compute

GDAL decodes in the thread that reads, and starts none of its own; of a server the bands of a block are asked for at once, by a
thread each, which mostly wait. Composites are made by `run.workers` threads.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import dask.threaded
import pystac

from pipeline.types import Job, ModelCard

IN_THREADS = dask.threaded.get
"""Computes Dask's graphs in threads of this process. By its name, ``threads``, Dask would first import distributed, which takes
half a second, to look for a client."""

BATCHES = 2
"""Groups of scenes that are masked at once where threads read ahead."""
WAITING = 4
"""Groups of masks that may wait for their turn, while a tile is composed or committed: small beside what masking takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Threads:
    """The threads that mask one tile."""

    computing: int
    """Those inside a model on the processor at once."""
    ahead: int
    """Those that read while the others compute."""

    @property
    def all(self) -> int:
        """Threads of a tile's graph."""
        return self.computing + self.ahead

    @property
    def batches(self) -> int:
        """Groups of scenes that are masked at once: with two, the next are read while the last are finished."""
        return BATCHES if self.ahead else 1

    @property
    def most(self) -> int:
        """Groups of scenes that are masked, wait to be written or are being written."""
        return BATCHES + WAITING if self.ahead else 1


def threads_of(job: Job, card: ModelCard, items: Iterable[pystac.Item]) -> Threads:
    """Return the threads that mask a tile.

    Parameters
    ----------
    job
        Its `run.workers` and `run.read_ahead`.
    card
        The model. One that takes several windows a call computes on a device, for which threads wait.
    items
        Their rasters are read. Without a setting nothing is read ahead where no thread waits, for server or device.
    """
    asked, workers = job.run.read_ahead, job.run.workers
    if asked is None:
        asked = workers if card.batch > 1 or any(map(_lies_on_a_server, items)) else 0
    return Threads(computing=workers, ahead=asked)


def _lies_on_a_server(item: pystac.Item) -> bool:
    return any("://" in asset.href for asset in item.assets.values())
