"""The flows of one job: masks and composites (`region`), masks alone, composites alone."""

from __future__ import annotations

from typing import Literal

from prefect import flow

from flows.embedded import prepare_server, watched
from flows.job_parameter import JobParameter, only_masks, read_job, require_composites, run_name
from flows.limits import Limits
from flows.retries import without_tracebacks
from flows.work import FlowOptions, bring_up_to_date
from pipeline import config
from pipeline.errors import IncompleteError
from pipeline.run import Plan, Progress, job_reach_m
from pipeline.types import Job, Record
from pipeline.wording import counted

WAIT_MIN = 30.0
"""How long a flow tries, in minutes, while another run writes to its store or a catalogue is down."""


@flow(name="region", flow_run_name=run_name, validate_parameters=False)
def region(
    job: JobParameter, limits: Limits | None = None, wait_min: float = WAIT_MIN
) -> Record | None:
    """Bring the store of a job up to date: masks, then composites.

    Parameters
    ----------
    job
        Path of a job file on the worker, or the content of one.
    limits
        Names of global concurrency limits, by kind: ``{gpu: cloudmask-gpu, catalogue:
        cloudmask-catalogue}``; each must exist.
    wait_min
        How long to try, in minutes, while another run writes to the store, or a catalogue or a cluster does
        not answer.

    Returns
    -------
    The record; None if there was nothing to do.
    """
    options = FlowOptions(flow="region", limits=limits or {}, wait_min=wait_min)
    return bring_up_to_date(read_job(job), options)


@flow(name="mask", flow_run_name=run_name, validate_parameters=False)
def mask(
    job: JobParameter, limits: Limits | None = None, wait_min: float = WAIT_MIN
) -> Record | None:
    """Bring the masks of a job up to date, those around the AOI that its composites look at, too; do not change these.

    Parameters and result as of `region`.
    """
    asked = read_job(job)
    options = FlowOptions(
        flow="mask", limits=limits or {}, wait_min=wait_min, beyond_m=job_reach_m(asked)
    )
    return bring_up_to_date(only_masks(asked), options)


@flow(name="composite", flow_run_name=run_name, validate_parameters=False)
def composite(
    job: JobParameter,
    missing: Literal["mask", "fail"] = "mask",
    limits: Limits | None = None,
    wait_min: float = WAIT_MIN,
) -> Record | None:
    """Bring the composites of a job up to date, from the masks that the store has.

    Parameters
    ----------
    job, limits, wait_min
        As of `region`.
    missing
        What to do where masks are missing or out of date: make them; or fail before anything is read, if
        more are missing than ``run.min_completeness`` allows (for workers that should not run a model).
        Those few are made in both cases.
    """
    check = None if missing == "mask" else masks_are_there
    options = FlowOptions(flow="composite", limits=limits or {}, wait_min=wait_min, check=check)
    return bring_up_to_date(require_composites(read_job(job)), options)


def masks_are_there(plan: Plan) -> None:
    """Refuse a plan that would have to make many masks.

    Raises
    ------
    IncompleteError
        More cells are new or changed than the job's ``run.min_completeness`` allows.
    """
    covered = int(plan.cells.covered.sum())
    missing = int((plan.cells.covered & ~plan.cells.unchanged).sum())
    if covered - missing < plan.job.run.min_completeness * covered:
        raise IncompleteError(
            f"{missing} of {counted(covered, 'cell')} (scene × tile) of {plan.job.store} have no mask that is "
            "up to date: run the flow `mask` first, or let this one make them (missing: mask)"
        )


def run_region(job: Job, progress: Progress) -> Record | None:
    """Run the flow in this process, on Prefect's embedded server where no other is configured.

    Parameters
    ----------
    job
        What to do.
    progress
        As of `pipeline.run.run`.
    """
    with watched(progress), without_tracebacks():
        prepare_server(progress)
        return region(config.dump_job(job), wait_min=0.0)
