"""The parameter `job` of the flows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect.runtime import flow_run

from pipeline import config
from pipeline.errors import ConfigError
from pipeline.types import Job
from pipeline.watch import watch_output

JobParameter = dict[str, Any] | str
"""Path of a job file on the worker, or its content."""


def read_job(asked: JobParameter) -> Job:
    """Read the parameter.

    The environment of the worker limits its memory, as it does for the command line. Paths within the content
    of a job file are relative to the working folder of the process.

    Raises
    ------
    ConfigError
        There is no such file, or the job is invalid.
    """
    watch_output()
    budget = config.read_settings().memory_bytes
    over = {} if budget is None else {"run.memory_bytes": int(budget)}
    if isinstance(asked, str):
        return config.load_job(Path(asked), over)
    job = config.parse_job(asked, base=Path())
    if budget is None:
        return job
    return job.replace(run=job.run.replace(memory_bytes=int(budget)))


def only_masks(job: Job) -> Job:
    """Return a job that makes no composites."""
    return job.replace(composite=None, composites=())


def require_composites(job: Job) -> Job:
    """Return the job if it has a section `composite` or `composites`, else raise a ConfigError."""
    if not job.composed:
        raise ConfigError(
            f"job {job.name} has no section `composite`, so that there is nothing to compose: add "
            "one, or run the flow `mask`"
        )
    return job


def run_name() -> str:
    """Name a flow run after its job: the stem of the file, or the job's name and dates."""
    asked = flow_run.parameters.get("job")
    if isinstance(asked, dict):
        return f"{asked.get('name', 'job')} {asked.get('datetime', '')}".strip()
    return Path(str(asked)).stem
