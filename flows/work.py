"""What the flows share: plan, a task for each batch of tiles, publish, show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from prefect import get_run_logger, task
from prefect.runtime import task_run

from flows.artifacts import FlowProgress, emit_published, show_record
from flows.limits import Limits, read_limits, slot
from flows.retries import TASK_OPTIONS, TASK_RETRY, retry_plan, without_secrets
from pipeline import publish, run
from pipeline.types import Job, Record, Tile, TileReceipt
from pipeline.wording import counted

Check = Callable[[run.Plan], None]
"""Raises an error if a plan must not be carried out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowOptions:
    """How a flow does its work; no option changes a pixel."""

    flow: str
    """Name of the flow, for its event."""
    limits: Limits = field(default_factory=dict)
    """See `flows.limits`."""
    wait_min: float = 0.0
    """How long to try, in minutes, while another run writes to the store, or a catalogue is down."""
    check: Check | None = None
    beyond_m: float = 0.0
    """How far around the AOI tiles are masked, for composites that other flows make."""


@task(name="plan", **TASK_OPTIONS)
def plan_job(job: Job, limits: Limits, beyond_m: float = 0.0) -> run.Plan:
    """Search and compare with the store."""
    with without_secrets(), slot(limits, "catalogue"):
        return run.plan_job(job, beyond_m=beyond_m)


@task(name="tiles", task_run_name="{named}", **TASK_OPTIONS)
def do_tiles(
    session: run.Session,
    tiles: Sequence[Tile],
    limits: Limits,
    named: str,  # noqa: ARG001  (for the name of the task run)
) -> Sequence[TileReceipt]:
    """Mask and compose a batch of tiles; on the last try drop what cannot be read."""
    last_try = task_run.run_count >= TASK_RETRY.attempts
    with without_secrets(), slot(limits, "gpu"):
        return session.do_tiles(tiles, last_try=last_try)


@task(name="catalogue", **TASK_OPTIONS)
def write_catalogue(job: Job) -> None:
    """Bring the STAC catalogue of the store up to date, even if this run published nothing."""
    with without_secrets():
        published = publish.follow(job)
    if published is not None:
        get_run_logger().info("%s", published)


def bring_up_to_date(job: Job, options: FlowOptions) -> Record | None:
    """Bring the store of a job up to date; return None if there was nothing to do.

    Raises
    ------
    CloudmaskError
        As `pipeline.errors` says; what readers see of the store has not changed.
    """
    read_limits(options.limits)
    with without_secrets():
        record = retry_plan(lambda: _once(job, options), 60 * options.wait_min)
    if job.stac is not None:
        write_catalogue(job)
    return record


def _once(job: Job, options: FlowOptions) -> Record | None:
    logger = get_run_logger()
    plan = plan_job(job, options.limits, options.beyond_m)
    size = f"{counted(len(plan.scenes), 'scene')} × {counted(len(plan.tiles), 'tile')}"
    logger.info("%s: %s", size, plan.counts())
    if plan.nothing_to_do:
        run.emit_unchanged(job.name)
        logger.info("%s is up to date", job.name)
        return None
    if options.check is not None:
        options.check(plan)

    def do_batch(session: run.Session, tiles: Sequence[Tile]) -> None:
        # Where composites wait for all masks, each tile comes twice.
        named = f"{'composites of ' if session.composing_later else ''}{_named(tiles)}"
        receipts = do_tiles(session, tiles, options.limits, named)
        logger.info("%s done: %s", named, _in_words(receipts))

    record = run.execute(plan, FlowProgress(job.name), do_batch)
    emit_published(job, record, options.flow)
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
