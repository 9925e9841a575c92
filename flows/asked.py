"""What a caller of a flow gives, as a job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect.runtime import flow_run

from pipeline import config
from pipeline.errors import ConfigError
from pipeline.types import Job
from pipeline.watch import watch_output

Asked = dict[str, Any] | str
"""Path of a job file on the worker, or the content of one."""


def read_job(asked: Asked) -> Job:
    """Make a job of what the caller gives.

    A worker's environment says what its machine allows, as the command line's does. Paths in the
    content of a job are relative to the folder of the process.

    Raises
    ------
    ConfigError
        There is no such file, or the job has mistakes.
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


def masks_alone(job: Job) -> Job:
    """Return a job that makes no composites."""
    return job.replace(composite=None)


def composites_wanted(job: Job) -> Job:
    """Return the job as it is, if it asks for composites.

    Raises
    ------
    ConfigError
        It does not.
    """
    if job.composite is None:
        raise ConfigError(
            f"job {job.name} has no section `composite`, so that there is nothing to compose: add "
            "one, or run the flow `mask`"
        )
    return job


def run_name() -> str:
    """Name a flow run by what was asked: a path's stem, or a job's name and dates."""
    asked = flow_run.parameters.get("job")
    if isinstance(asked, dict):
        return f"{asked.get('name', 'job')} {asked.get('datetime', '')}".strip()
    return Path(str(asked)).stem
