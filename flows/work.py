"""What the flows have in common: plan, one task a batch of tiles, publish, show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from prefect import get_run_logger, task
from prefect.runtime import task_run

from flows.limits import Limits, read_limits, slot
from flows.patience import PATIENTLY, TASK, errors_fit_to_be_seen, while_it_may_pass
from flows.showing import FlowProgress, show_record, tell_published
from pipeline import publish, run
from pipeline.types import Job, Record, Tile, TileReceipt
from pipeline.wording import counted

Check = Callable[[run.Plan], None]
"""Looks at a plan and raises what it has against it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a flow goes about its work; none of it changes a pixel."""

    flow: str
    """Name of the flow, for the event."""
    limits: Limits = field(default_factory=dict)
    """See `flows.limits`."""
    wait_min: float = 0.0
    """How long to try, in minutes, while another run holds the store, or a catalogue is down."""
    check: Check | None = None


@task(name="plan", **PATIENTLY)
def plan_job(job: Job, limits: Limits) -> run.Plan:
    """Search and compare with the store."""
    with errors_fit_to_be_seen(), slot(limits, "catalogue"):
        return run.plan_job(job)


@task(name="tiles", task_run_name="{named}", **PATIENTLY)
def do_tiles(
    session: run.Session,
    tiles: Sequence[Tile],
    limits: Limits,
    named: str,  # noqa: ARG001  (for the name of the task run)
) -> Sequence[TileReceipt]:
    """Mask and compose a batch of tiles; on the last try go on without what cannot be read."""
    last_try = task_run.run_count >= TASK.attempts
    with errors_fit_to_be_seen(), slot(limits, "gpu"):
        return session.do_tiles(tiles, last_try=last_try)


@task(name="catalogue", **PATIENTLY)
def write_catalogue(job: Job) -> None:
    """Bring the STAC catalogue of the store up to date, also after a night that failed to."""
    with errors_fit_to_be_seen():
        published = publish.follow(job)
    if published is not None:
        get_run_logger().info("%s", published)


def bring_up_to_date(job: Job, manner: Manner) -> Record | None:
    """Bring the store of a job up to date; none: there was nothing to do.

    Raises
    ------
    CloudmaskError
        As `pipeline.errors` says; the store then stands as it stood before.
    """
    read_limits(manner.limits)
    with errors_fit_to_be_seen():
        record = while_it_may_pass(lambda: _once(job, manner), 60 * manner.wait_min)
    if job.stac is not None:
        write_catalogue(job)
    return record


def _once(job: Job, manner: Manner) -> Record | None:
    logger = get_run_logger()
    plan = plan_job(job, manner.limits)
    size = f"{counted(len(plan.scenes), 'scene')} × {counted(len(plan.tiles), 'tile')}"
    logger.info("%s: %s", size, plan.counts())
    if plan.nothing_to_do:
        run.tell_unchanged(job.name)
        logger.info("%s is up to date", job.name)
        return None
    if manner.check is not None:
        manner.check(plan)

    def do_batch(session: run.Session, tiles: Sequence[Tile]) -> None:
        receipts = do_tiles(session, tiles, manner.limits, _named(tiles))
        logger.info("%s done: %s", _named(tiles), _in_words(receipts))

    record = run.execute(plan, FlowProgress(job.name), do_batch)
    tell_published(job, record, manner.flow)
    show_record(plan, record)
    return record


def _named(tiles: Sequence[Tile]) -> str:
    if len(tiles) == 1:
        return f"tile {tiles[0].name}"
    return f"tiles {tiles[0].name} to {tiles[-1].name}"


def _in_words(receipts: Sequence[TileReceipt]) -> str:
    masked = sum(cell.status == "masked" for each in receipts for cell in each.cells)
    composed = sum(len(each.composites) for each in receipts)
    return f"{counted(masked, 'cell')} masked, {composed} composed"
