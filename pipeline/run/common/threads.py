"""How many threads mask a tile, and what they may do: the only place that says so.

::

    run.workers      are inside a model at once, where it computes on the processor; a call takes one thread of torch
    run.read_ahead   more of them read and decode windows while those wait or compute

GDAL decodes in the thread that reads, and starts none of its own; of a server the bands of a block are asked for at once, by a
thread each, which mostly wait. Composites are made by `run.workers` threads, each of which reads and composes a block by itself.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

import dask.array as da
import dask.local
import dask.threaded
import numpy as np
import pystac
from dask.core import get_dependencies
from dask.highlevelgraph import HighLevelGraph
from dask.utils import ensure_dict
from numpy.typing import NDArray

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


def in_blocks(arrays: Sequence[da.Array], workers: int) -> list[NDArray[Any]]:
    """Compute lazy arrays block by block: never more blocks are in work than there are workers.

    Dask's own scheduler begins blocks as its threads come free, so that it is luck how many are held. Here each thread
    takes a block, does all of its tasks in their order, and puts what it made where it belongs before it takes the next.

    Parameters
    ----------
    arrays
        Their last two axes are divided into as many blocks in all; what makes a block needs no other.
    workers
        Threads. Where there are fewer blocks, several share one.

    Raises
    ------
    Exception
        Whatever a task raises, when the blocks in work have ended.
    """
    if not arrays:
        return []
    graph = HighLevelGraph.merge(*(each.dask for each in arrays))
    tasks = ensure_dict(da.optimize(graph, [each.__dask_keys__() for each in arrays]))
    made = [np.empty(each.shape, each.dtype) for each in arrays]
    parts = [_places(each) for each in arrays]
    at_once, threads = blocks_at_once(workers, len(parts[0]))
    stopped = threading.Event()

    def compute(block: tuple[int, int]) -> None:
        wanted = [
            (into[place], (each.name, *at))
            for each, into, places in zip(arrays, made, parts, strict=True)
            for at, place in places[block]
        ]
        names = [name for _, name in wanted]
        found = _computed(_needed(tasks, names), names, threads, stopped)
        for (into, _), values in zip(wanted, found, strict=True):
            into[...] = values

    if at_once == 1:
        for block in parts[0]:
            compute(block)
        return made
    with ThreadPoolExecutor(at_once, thread_name_prefix="composing") as pool:
        begun = [pool.submit(copy_context().run, compute, block) for block in parts[0]]
        try:
            for each in as_completed(begun):
                each.result()
        except BaseException:
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return made


def blocks_at_once(workers: int, n_blocks: int) -> tuple[int, int]:
    """Return how many blocks are in work at once, and the threads that work on each."""
    at_once = max(min(workers, n_blocks), 1)
    return at_once, max(workers // at_once, 1)


Place = tuple[tuple[int, ...], tuple[slice, ...]]
"""Which chunk of an array, and where it is."""


def _places(array: da.Array) -> dict[tuple[int, int], list[Place]]:
    """Return the chunks of each block (row, column) of the last two axes, row by row."""
    edges = [[0, *itertools.accumulate(sizes)] for sizes in array.chunks]
    found: dict[tuple[int, int], list[Place]] = {}
    for at in np.ndindex(array.numblocks):
        place = tuple(slice(*edge[n : n + 2]) for edge, n in zip(edges, at, strict=True))
        found.setdefault((at[-2], at[-1]), []).append((at, place))
    return found


def _needed(tasks: Mapping[Any, Any], names: Iterable[Any]) -> dict[Any, Any]:
    """Return those of a graph's tasks without which some cannot be computed, and themselves."""
    found: dict[Any, Any] = {}
    left = [*names]
    while left:
        name = left.pop()
        if name not in found:
            found[name] = tasks[name]
            left.extend(get_dependencies(tasks, name))
    return found


class _StoppedError(Exception):
    """Another block has failed."""


def _computed(
    tasks: Mapping[Any, Any], names: list[Any], threads: int, stopped: threading.Event
) -> Sequence[NDArray[Any]]:
    """Compute some tasks in this thread, or in so many."""
    found: Sequence[NDArray[Any]]
    if threads > 1:
        found = IN_THREADS(tasks, names, num_workers=threads)
        return found
    here = dask.local.SynchronousExecutor()

    def submit(work: Callable[..., Any], *given: Any) -> Future[Any]:  # noqa: ANN401 -- Dask's
        if stopped.is_set():
            raise _StoppedError
        done: Future[Any] = here.submit(work, *given)
        return done

    found = dask.local.get_async(submit, 1, tasks, names)
    return found
