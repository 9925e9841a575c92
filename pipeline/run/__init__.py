"""The story of a run: search, grid, and for each tile cube, mask, composite, store; then publish.

::

    common/      what the stages share: passes and scenes, cells as a table, fingerprints, progress
    plan/        items that fit, which tile each touches, what the store has ─▶ build.py: a Plan
    tile/        one tile's work: task.py what is sent, masking.py, composing.py, drop_unreadable.py
    executors/   who does the tiles: local.py this process, dask.py the workers of a cluster
    record/      what was expected, used, dropped and spent; metrics.py for whoever watches many
    session.py   one run's work on a store, batch by batch, then its record
    reopen.py    what a store was made from, opened again
    arrays.py    any xarray cube -> its mask, without a job

`run` is the whole story for a caller who wants no say; a flow takes `plan_job` and `open_session`
and does the tiles its own way.
"""

import itertools
from collections.abc import Sequence

from pipeline.access import RetryPolicy
from pipeline.run.common.progress import TILES, Progress, Silent
from pipeline.run.plan.build import plan_job
from pipeline.run.plan.plan import Plan
from pipeline.run.plan.ready import (
    missing_rasters,
    require_readable,
    require_ready,
    require_scheduler,
)
from pipeline.run.record.metrics import tell_unchanged
from pipeline.run.reopen import observations
from pipeline.run.session import Session, open_session
from pipeline.types import Job, Record, Tile

__all__ = [
    "TILES",
    "Plan",
    "Progress",
    "Session",
    "Silent",
    "execute",
    "missing_rasters",
    "observations",
    "open_session",
    "plan_job",
    "require_readable",
    "require_ready",
    "require_scheduler",
    "run",
    "tell_unchanged",
]

RETRY = RetryPolicy(attempts=3, first_wait_s=0.0)
"""Of a batch of tiles; reads have waited already, so that the batch need not."""


def run(job: Job, progress: Progress | None = None) -> Record:
    """Bring a job's store up to date.

    Returns
    -------
    The record of what was used, dropped, made and spent; its `snapshot` is none if nothing had
    changed.

    Raises
    ------
    CloudmaskError
        As `pipeline.errors` says; the store then stands as it stood before.
    """
    return execute(plan_job(job), progress)


def execute(plan: Plan, progress: Progress | None = None) -> Record:
    """Carry out a plan, tile after tile."""
    watcher = progress or Silent()
    with open_session(plan, watcher) as session:
        for tiles in session.batches():
            _do_tiles(session, tiles, watcher)
        return session.finish()


def _do_tiles(session: Session, tiles: Sequence[Tile], watcher: Progress) -> None:
    """Try tiles again while what fails may pass; the last attempt goes on without it."""
    attempts = itertools.count(1)
    RETRY.call(
        lambda: session.do_tiles(tiles, last_try=next(attempts) == RETRY.attempts),
        before_wait=lambda error, _: watcher.message(f"{error}; trying again"),
    )
