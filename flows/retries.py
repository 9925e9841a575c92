"""Retries of tasks and plans, and what Prefect stores and logs of errors.

Tasks are retried by the class of their error. Flows have no retries of Prefect's, which would plan an invalid
job file three times: a flow plans again, for a while, if another run writes to the store or a catalogue does
not answer. A run that crashed (a lost worker, a lost server) is started again by an automation of
``deploy/prefect.yaml``, or by its next schedule.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import httpx
from prefect import get_run_logger
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError
from prefect.settings import (
    PREFECT_API_REQUEST_TIMEOUT,
    PREFECT_CLIENT_MAX_RETRIES,
    temporary_settings,
)
from prefect.tasks import Task

from pipeline.access import RetryPolicy
from pipeline.errors import CloudmaskError, StoreConflictError
from pipeline.watch import fit

T = TypeVar("T")

TASK_RETRY = RetryPolicy(attempts=4, first_wait_s=5.0)
"""Of a task, for retryable errors."""

HURRY_S = 5.0
"""How long the server may take to answer a `best_effort` request."""

PLAN_RETRY = RetryPolicy(attempts=10**6, first_wait_s=15.0, longest_wait_s=240.0)
"""Of a plan; the flow's ``wait_min`` limits its time."""


def is_retryable(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Return whether Prefect is to retry a task: if the class of its error is retryable."""
    try:
        state.result()
    except StoreConflictError:
        # The branch of this run is lost: only a new plan helps, which the flow makes.
        return False
    except CloudmaskError as error:
        return error.retryable
    except ConcurrencySlotAcquisitionError as error:
        # Without a cause, the server has answered that there is no such limit.
        return isinstance(error.__cause__, httpx.HTTPError)
    except Exception:  # noqa: BLE001  (Prefect asks about every error; unknown ones are not retried)
        return False
    return False


TASK_OPTIONS: dict[str, Any] = {
    "retries": TASK_RETRY.attempts - 1,
    "retry_delay_seconds": [
        TASK_RETRY.wait_s(failed) for failed in range(1, TASK_RETRY.attempts)
    ],
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": is_retryable,
    # The store knows what a task did, by fingerprint; see `flows`.
    "cache_policy": NO_CACHE,
    "persist_result": False,
}
"""Options of every task."""


def retry_plan(do: Callable[[], T], wait_s: float) -> T:
    """Call a function again while its error is retryable: another run, an outage.

    Parameters
    ----------
    do
        Makes a new plan each time, which includes what another run has published meanwhile.
    wait_s
        How long, in seconds, before the error is raised.
    """

    def log(error: Exception, pause_s: float) -> None:
        get_run_logger().warning("%s; planning again in %.0f s", error, pause_s)

    return replace(PLAN_RETRY, total_s=wait_s).call(do, before_wait=log)


@contextmanager
def best_effort(what: str, *, patient: bool = False) -> Iterator[None]:
    """Log any error instead of raising it: for what only shows a run, e.g. while Prefect's server restarts.

    Parameters
    ----------
    what
        What is missing after an error, for the log.
    patient
        Whether to retry requests to the server for as long as the worker's settings allow, which is minutes;
        else each is made once, because the work waits for it.
    """
    hurry = {PREFECT_CLIENT_MAX_RETRIES: 0, PREFECT_API_REQUEST_TIMEOUT: HURRY_S}
    try:
        with temporary_settings({} if patient else hurry):
            yield
    except Exception as error:  # noqa: BLE001  (whatever it is, the work itself is unharmed)
        get_run_logger().warning("%s: %s: %s", what, type(error).__name__, error)


@contextmanager
def without_secrets() -> Iterator[None]:
    """Remove secrets from errors, e.g. the key in a URL: Prefect stores their text in its database."""
    try:
        yield
    except CloudmaskError as error:
        _cut(error)
        raise
    except Exception as error:
        _cut(error)
        text = str(error)
        if fit(text) == text:
            raise
        # Pickled along with the new error, as its context.
        error.args = (fit(text),)
        vars(error).clear()
        raise CloudmaskError(f"unexpected {type(error).__name__}: {text}").with_traceback(
            error.__traceback__
        ) from None


def _cut(error: BaseException) -> None:
    """Cut the chain of causes at the first that shows a secret or has more than its text."""
    while (behind := error.__cause__ or error.__context__) is not None:
        text = str(behind)
        if fit(text) != text or (vars(behind) and not isinstance(behind, CloudmaskError)):
            error.__cause__ = error.__context__ = None
            return
        error = behind


@contextmanager
def without_tracebacks() -> Iterator[None]:
    """Let Prefect log errors of ours in one line: their text says what to do."""
    loggers = [logging.getLogger(f"prefect.{name}_runs") for name in ("flow", "task")]
    for logger in loggers:
        logger.addFilter(_drop_traceback)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(_drop_traceback)


def _drop_traceback(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, CloudmaskError):
        record.exc_info = record.exc_text = None
        record.msg, record.args = "%s", (str(error),)
    return True
