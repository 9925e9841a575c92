"""What is tried again, what waits, and what is not worth a run.

Prefect's own retries of flows know no class of error: they would plan a job file with a mistake
three times. So flows have none. Tasks are tried again by the class of their error; a flow plans
again, for a while, where another run holds the store or a catalogue stays away; and a run that
crashed (a lost worker, a lost server) is started again by an automation of ``deploy/prefect.yaml``,
or by its next schedule.
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

TASK = RetryPolicy(attempts=4, first_wait_s=5.0)
"""Of a task, for errors that may pass."""

HURRY_S = 5.0
"""How long the server may take to answer what only shows."""

PLAN = RetryPolicy(attempts=10**6, first_wait_s=15.0, longest_wait_s=240.0)
"""Of a plan, while what is in its way may pass; how long, the caller says."""


def may_pass(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Retry by error class: only what says of itself that a retry can help."""
    try:
        state.result()
    except StoreConflictError:
        # The branch of this run is lost: what helps is another plan, which is the flow's business.
        return False
    except CloudmaskError as error:
        return error.retryable
    except ConcurrencySlotAcquisitionError as error:
        # Without a cause the server answered: there is no such limit.
        return isinstance(error.__cause__, httpx.HTTPError)
    except Exception:  # noqa: BLE001  (Prefect asks for a verdict on any error; ours is no)
        return False
    return False


PATIENTLY: dict[str, Any] = {
    "retries": TASK.attempts - 1,
    "retry_delay_seconds": [TASK.wait_s(failed) for failed in range(1, TASK.attempts)],
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": may_pass,
    # What a task did is kept in the store, by fingerprint; see `flows`.
    "cache_policy": NO_CACHE,
    "persist_result": False,
}
"""How tasks meet what may pass."""


def while_it_may_pass(do: Callable[[], T], wait_s: float) -> T:
    """Do something again and again while what is in its way may pass: another run, an outage.

    Parameters
    ----------
    do
        Plans anew each time: what another run has published meanwhile is then taken up.
    wait_s
        How long, in seconds, before the error is raised.
    """

    def tell(error: Exception, pause_s: float) -> None:
        get_run_logger().warning("%s; planning again in %.0f s", error, pause_s)

    return replace(PLAN, total_s=wait_s).call(do, before_wait=tell)


@contextmanager
def not_worth_a_run(what: str, *, worth_a_wait: bool = False) -> Iterator[None]:
    """Go on without something that only shows what is done, e.g. while Prefect's server restarts.

    Parameters
    ----------
    what
        What is missing then, for the log.
    worth_a_wait
        Whether to be as patient with the server as the worker's settings say, which is minutes; else
        it is asked once, because the work stands still meanwhile.
    """
    hurry = {PREFECT_CLIENT_MAX_RETRIES: 0, PREFECT_API_REQUEST_TIMEOUT: HURRY_S}
    try:
        with temporary_settings({} if worth_a_wait else hurry):
            yield
    except Exception as error:  # noqa: BLE001  (whatever it is, the work itself is unharmed)
        get_run_logger().warning("%s: %s: %s", what, type(error).__name__, error)


@contextmanager
def errors_fit_to_be_seen() -> Iterator[None]:
    """Let no error of a library reach Prefect's database with a URL's key in it: its text is kept there."""
    try:
        yield
    except CloudmaskError as error:
        _cut(error)
        raise
    except Exception as error:
        _cut(error)
        said = str(error)
        if fit(said) == said:
            raise
        # It is pickled with the new one, as what was handled when that was raised.
        error.args = (fit(said),)
        vars(error).clear()
        raise CloudmaskError(f"unexpected {type(error).__name__}: {said}").with_traceback(
            error.__traceback__
        ) from None


def _cut(error: BaseException) -> None:
    """Let go of the errors behind one, from the first that shows a secret or carries more than its text."""
    while (behind := error.__cause__ or error.__context__) is not None:
        said = str(behind)
        if fit(said) != said or (vars(behind) and not isinstance(behind, CloudmaskError)):
            error.__cause__ = error.__context__ = None
            return
        error = behind


@contextmanager
def expected_errors_in_one_line() -> Iterator[None]:
    """Shorten what Prefect logs of errors that are raised on purpose: their text says what to do."""
    loggers = [logging.getLogger(f"prefect.{name}_runs") for name in ("flow", "task")]
    for logger in loggers:
        logger.addFilter(_without_traceback)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(_without_traceback)


def _without_traceback(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, CloudmaskError):
        record.exc_info = record.exc_text = None
        record.msg, record.args = "%s", (str(error),)
    return True
