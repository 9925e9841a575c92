"""The story of a run: search, grid, and for each tile cube, mask, composite, store; then publish.

::

    passes.py       sightings -> passes: what one platform saw on one orbit    (pure)
    scenes.py       items -> scenes, one a sensor and pass                     (pure)
    fingerprint.py  what made a cell's pixels, as one number                   (pure)
    suited.py       items that the models can use; where they lie
    binning.py      which items touch which tiles, found once                  (pure)
    cells.py        scene × tile as a table                                    (pure)
    before.py       what the store has
    planning.py     what is new, changed or unchanged
    plan.py         … as a value
    order.py        one tile's part of a plan, small to send
    tile.py         one tile's work: masking.py what changed, composing.py what that changes
    unreadable.py   … and going on without items that cannot be read
    crew.py         who does the tiles: this process, or (cluster.py) the workers of a Dask cluster
    cost.py         what it takes: seconds, bytes, requests, ground, money
    manifest.py     what each tile has of each period, and lacks
    recording.py    … as the record of the run; metrics.py for whoever watches many
    ready.py        what would stop a run at its start
    session.py      one run's work on a store, batch by batch, then its record
    stored.py       what a store was made from, opened again
    progress.py     the seam to whoever watches

`run` is the whole story for a caller who wants no say; a flow takes `plan_job` and `open_session`
and does the tiles its own way.
"""

from collections.abc import Sequence

from pipeline.errors import CloudmaskError
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

TRIES = 3
"""How often a tile is tried while an asset fails for reasons that may pass."""


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
    """Try tiles again while what fails may pass; then go on without it."""
    for _ in range(TRIES - 1):
        try:
            session.do_tiles(tiles, last_try=False)
        except CloudmaskError as error:
            if not error.retryable:
                raise
            watcher.message(f"{error}; trying again")
        else:
            return
    session.do_tiles(tiles)
