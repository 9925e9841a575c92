"""The flow of a region: plan, one task a tile with retries by error class, publish, artifacts."""

from __future__ import annotations

import base64
import dataclasses
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import (
    create_image_artifact,
    create_markdown_artifact,
    create_table_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.runtime import task_run
from prefect.tasks import Task, exponential_backoff

from pipeline import config, report, run, store
from pipeline.errors import CloudmaskError
from pipeline.types import Job, Record, Tile, TileReceipt

RETRIES = 3
"""Tries of a task after the first, for errors that may pass."""


def may_pass(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Retry by error class: only what says of itself that a retry can help."""
    try:
        state.result()
    except CloudmaskError as error:
        return error.retryable
    except Exception:  # noqa: BLE001  (Prefect asks for a verdict on any error; ours is no)
        return False
    return False


PATIENTLY: dict[str, Any] = {
    "retries": RETRIES,
    "retry_delay_seconds": exponential_backoff(backoff_factor=5),
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": may_pass,
    # What a task did is kept in the store, by fingerprint.
    "cache_policy": NO_CACHE,
}
"""How tasks meet what may pass."""


class FlowProgress:
    """Tells Prefect's log what a run tells."""

    def start(self, stage: str, total: int) -> None:
        """See `pipeline.run.Progress`."""
        get_run_logger().info("%s: %d to do", stage, total)

    def advance(self, stage: str, n: int = 1) -> None:
        """See `pipeline.run.Progress`."""

    def message(self, text: str) -> None:
        """See `pipeline.run.Progress`."""
        get_run_logger().warning(text)


@task(
    name="plan",
    **PATIENTLY,
)
def plan_job(job: dict[str, Any] | str) -> run.Plan:
    """Search and compare with the store."""
    return run.plan_job(_read(job))


@task(
    name="tile",
    task_run_name="tile {tile.name}",
    **PATIENTLY,
)
def do_tile(session: run.Session, tile: Tile) -> TileReceipt:
    """Mask and compose one tile; on the last try go on without what cannot be read."""
    last_try = task_run.run_count > RETRIES
    return session.do_tile(tile, last_try=last_try)


@flow(name="region", validate_parameters=False)
def region(job: dict[str, Any] | str) -> Record:
    """Bring the store of a job up to date.

    Parameters
    ----------
    job
        Path of a job file on the worker, or the content of one.
    """
    logger = get_run_logger()
    plan = plan_job(job)
    logger.info("%d scenes × %d tiles: %s", len(plan.scenes), len(plan.tiles), plan.counts())
    with run.open_session(plan, FlowProgress()) as session:
        for tile in plan.tiles_to_do:
            receipt = do_tile(session, tile)
            logger.info("tile %s done: %s", tile.name, _in_words(receipt))
        record = session.finish()
    _leave_artifacts(plan, record)
    return record


def run_region(job: Job) -> Record:
    """Run the flow in this process, on Prefect's embedded server where no other is configured."""
    with _expected_errors_in_one_line():
        return region(config.dump_job(job))


def _without_traceback(record: logging.LogRecord) -> bool:
    """Shorten the log of an error that is raised on purpose: its text says what to do."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, CloudmaskError):
        record.exc_info = record.exc_text = None
        record.msg, record.args = "%s", (str(error),)
    return True


@contextmanager
def _expected_errors_in_one_line() -> Iterator[None]:
    loggers = [logging.getLogger(f"prefect.{name}_runs") for name in ("flow", "task")]
    for logger in loggers:
        logger.addFilter(_without_traceback)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(_without_traceback)


def _read(job: dict[str, Any] | str) -> Job:
    # A worker's environment says what its machine allows, as the command line's does.
    budget = config.read_settings().memory_bytes
    over = {} if budget is None else {"run.memory_bytes": int(budget)}
    if isinstance(job, str):
        return config.load_job(Path(job), over)
    read = config.parse_job(job, base=Path())
    if budget is None:
        return read
    return dataclasses.replace(
        read, run=dataclasses.replace(read.run, memory_bytes=int(budget))
    )


def _in_words(receipt: TileReceipt) -> str:
    masked = sum(cell.status == "masked" for cell in receipt.cells)
    return f"{masked} scenes masked, {len(receipt.composites)} periods composed"


def _leave_artifacts(plan: run.Plan, record: Record) -> None:
    """Leave a table of scenes, a picture of the latest composite, and the record."""
    key = _key(plan.job.name)
    create_table_artifact(
        key=f"{key}-cells", table=_cells(record), description="Cells, by tile"
    )
    create_markdown_artifact(key=f"{key}-record", markdown=_markdown(record))
    settings = plan.job.composite
    if settings is None or not plan.periods:
        return
    latest = store.open_archive(plan.job.store).composite(settings.name).isel(time=-1)
    if not {"red", "green", "blue"} <= set(latest.data_vars):
        return
    png = base64.b64encode(report.rgb_png(latest)).decode()
    create_image_artifact(
        key=f"{key}-composite",
        image_url=f"data:image/png;base64,{png}",
        description=f"{settings.name} composite of {plan.periods[-1].start:%Y-%m-%d}",
    )


def _cells(record: Record) -> list[dict[str, Any]]:
    return [
        {
            "tile": cell.tile,
            "sensor": cell.sensor,
            "time": cell.time.isoformat(),
            "status": cell.status,
            "items": ", ".join(cell.items),
        }
        for receipt in record.tiles
        for cell in receipt.cells
    ]


def _markdown(record: Record) -> str:
    """Say in a few lines what the run did, and what it went without."""
    lines = [
        f"# {record.job}, run {record.run_id}",
        f"- {record.complete} of {record.expected} cells (scene × tile) complete",
        f"- published: {record.snapshot or 'nothing, nothing had changed'}",
        *(
            f"- {sensor} masked by {model['name']} {model['version']}"
            for sensor, model in record.models.items()
        ),
        "",
        "| stage | seconds | CPU seconds | bytes read | reads |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {cost.seconds:.1f} | {cost.cpu_seconds:.1f} | {cost.bytes_read} "
            f"| {cost.reads} |"
            for name, cost in record.stages.items()
        ),
        "",
        f"## Dropped ({len(record.dropped)})",
        *(f"- {each.item_id} {each.tile or ''}: {each.reason}" for each in record.dropped),
    ]
    return "\n".join(lines)


def _key(name: str) -> str:
    """Make an artifact key of a name: lower case letters, digits and dashes."""
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())
