"""A run from job to published store: plan, then cube, mask, composite and store for each tile, then publish.

::

    common/      what the stages share: passes and scenes, the table of cells, fingerprints, clock, progress
    plan/        prepare.py: Job ─▶ items, grid, models, stored state; build.py: these ─▶ Plan
    tile/        one tile's work: task.py what is sent to a worker, masking.py, composites.py
    executors/   where tiles are done: local.py in this process, dask.py on the workers of a cluster
    record/      what was expected, used, dropped and spent; metrics.py publishes its numbers
    session.py   one run's work on a store, batch by batch, then its record
    ready.py     checks before a run that write nothing
    why/         why a pixel of a composite is what it is
    reopen.py    the scenes of a store opened again as cubes
    arrays.py    any xarray cube -> its mask, without a job

`run` does all of it. A flow calls `plan_job` and `execute`, and passes a function that does a batch as a
task of Prefect, with Prefect's retries.
"""

from collections.abc import Callable, Sequence

from pipeline.run.common.progress import TILES, Progress, Silent
from pipeline.run.plan.angles import lacking_angles
from pipeline.run.plan.build import plan_job
from pipeline.run.plan.neighbours import job_reach_m
from pipeline.run.plan.plan import Plan
from pipeline.run.ready import (
    missing_rasters,
    require_readable,
    require_ready,
    require_scheduler,
)
from pipeline.run.record.metrics import emit_unchanged
from pipeline.run.reopen import observations
from pipeline.run.session import RETRY, Session, open_session
from pipeline.types import Job, Record, Tile

__all__ = [
    "RETRY",
    "TILES",
    "Plan",
    "Progress",
    "Session",
    "Silent",
    "emit_unchanged",
    "execute",
    "job_reach_m",
    "lacking_angles",
    "missing_rasters",
    "observations",
    "open_session",
    "plan_job",
    "require_readable",
    "require_ready",
    "require_scheduler",
    "run",
]

DoBatch = Callable[[Session, Sequence[Tile]], object]


def run(job: Job, progress: Progress | None = None) -> Record:
    """Bring a job's store up to date.

    Returns
    -------
    The record of what was used, dropped, made and spent; its `snapshot` is None if nothing had changed.

    Raises
    ------
    CloudmaskError
        As `pipeline.errors` says; what readers see of the store has not changed.
    """
    return execute(plan_job(job), progress)


def execute(
    plan: Plan, progress: Progress | None = None, do_batch: DoBatch = Session.try_tiles
) -> Record:
    """Carry out a plan, batch after batch, and publish.

    Parameters
    ----------
    plan
        Of `plan_job`.
    progress
        Receives the progress of the run.
    do_batch
        Does one batch of tiles: calls `Session.do_tiles`, and retries it where that helps.
    """
    with open_session(plan, progress) as session:
        for tiles in session.batches():
            do_batch(session, tiles)
        return session.finish()
