"""The flow for a long past: a run for each period, oldest first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from prefect import flow, get_run_logger

from flows.artifacts import key_of, show_table
from flows.job_parameter import JobParameter, read_job, run_name
from flows.limits import Limits
from flows.region import WAIT_MIN, composite, mask, region
from flows.retries import best_effort
from pipeline import config
from pipeline.composite import cut
from pipeline.errors import ConfigError, EmptySearchError, IncompleteError
from pipeline.types import Job, Period, Record
from pipeline.wording import counted

FLOWS: Mapping[str, Callable[..., Record | None]] = {
    "region": region,
    "mask": mask,
    "composite": composite,
}

Step = Literal["month", "season", "year"]


@flow(name="backfill", flow_run_name=run_name, validate_parameters=False)
def backfill(
    job: JobParameter,
    datetime: str | None = None,
    step: Step = "month",
    what: Literal["region", "mask", "composite"] = "region",
    limits: Limits | None = None,
    wait_min: float = WAIT_MIN,
) -> list[dict[str, Any]]:
    """Run a flow for one period after the other, oldest first.

    Each period is published on its own. Started again, the flow continues where it stopped: the plan of a
    complete period finds all its cells unchanged. A period without items, or with too few that can be read,
    does not stop the others.

    Parameters
    ----------
    job, limits, wait_min
        As of `flows.region.region`.
    datetime
        Dates as in a job file, e.g. ``2019/2023``; None: the dates of the job.
    step
        Length of a period. A composite over a longer period is composed again in each run that adds to it:
        take ``year`` for yearly composites.
    what
        Which flow.

    Returns
    -------
    A row for each period: ``period``, ``state`` and ``what``.

    Raises
    ------
    IncompleteError
        Of some periods too few cells could be read; the others are published.
    """
    whole = read_job(job)
    if datetime is not None:
        whole = whole.replace(period=_span(datetime))
    if what == "mask":
        whole = whole.replace(composite=None, composites=())
    _require_step(step)
    rows = []
    for period in cut(whole.period, step):
        rows.append(_row(period, _one(_within(whole, period), what, limits, wait_min)))
        with best_effort("the table stays as it is"):
            show_table(f"{key_of(whole.name)}-backfill", rows, f"{what}, by period")
    failed = [row for row in rows if row["state"] == "incomplete"]
    if failed:
        raise IncompleteError(
            f"{len(failed)} of {counted(len(rows), 'period')} are not published: "
            + "; ".join(f"{row['period']}: {row['what']}" for row in failed[:3])
            + "; start again, what is complete is left as it is"
        )
    return rows


def _one(job: Job, what: str, limits: Limits | None, wait_min: float) -> tuple[str, str]:
    """Run the flow for a period; errors that concern all periods are raised."""
    try:
        record = FLOWS[what](config.dump_job(job), limits=limits, wait_min=wait_min)
    except EmptySearchError as error:
        return "empty", str(error)
    except IncompleteError as error:
        get_run_logger().error("%s", error)
        return "incomplete", str(error)
    if record is None or record.snapshot is None:
        return "unchanged", ""
    return (
        "published",
        f"{record.complete} of {counted(record.expected, 'cell')}, {record.snapshot}",
    )


def _row(period: Period, came_of_it: tuple[str, str]) -> dict[str, Any]:
    state, what = came_of_it
    return {"period": str(period), "state": state, "what": what}


def _within(job: Job, period: Period) -> Job:
    return job.replace(period=period)


def _span(text: str) -> Period:
    try:
        return config.read_period(text)
    except ValueError as error:
        raise ConfigError(
            f"datetime: found {text!r}, expected {config.PERIOD_FORMS}; but {error}"
        ) from None


def _require_step(step: str) -> None:
    if step not in ("month", "season", "year"):
        raise ConfigError(f"step: found {step!r}, expected month, season or year")
