"""Which executor does the tiles: this process, or the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from pipeline.run.common.progress import CELLS, PERIODS, TILES, Progress, Steps
from pipeline.run.executors.base import Executor
from pipeline.run.executors.local import LocalExecutor
from pipeline.run.plan.plan import Plan


@contextmanager
def open_executor(plan: Plan, progress: Progress) -> Iterator[Executor]:
    """Open the executor that a plan's job asks for, and stop the workers that it started.

    The progress of the run begins here: the workers of a cluster report whole tiles only.

    Raises
    ------
    WorkersError
        A cluster does not answer, or its workers are not fit for this work.
    """
    steps, tiles = Steps(progress), len(plan.tiles_to_do)
    if plan.job.run.cluster.kind == "threads" or plan.nothing_to_do:
        progress.start(TILES, tiles)
        progress.start(CELLS, plan.cells_to_mask)
        if plan.n_steps:
            progress.start(PERIODS, tiles * plan.n_steps)
        with closing(LocalExecutor(steps, ahead=int(plan.memory.across_tiles))) as local:
            yield local
        return
    # Starting Dask takes a second that a run on threads must not pay.
    from pipeline.run.executors.dask import open_cluster  # noqa: PLC0415

    with open_cluster(plan, steps) as executor:
        progress.start(TILES, tiles)
        yield executor
