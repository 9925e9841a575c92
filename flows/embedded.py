"""A flow inside a command: Prefect's embedded server with a login, and progress bars instead of its log."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from prefect.context import refresh_global_settings_context
from prefect.settings import PREFECT_API_URL

from pipeline.config import set_prefect_login
from pipeline.run import Progress, Silent

WATCHER: ContextVar[Progress] = ContextVar("watcher")
"""Progress of the flow that this process runs: no parameter of a flow, because those must be JSON."""


def watcher() -> Progress:
    """Return the progress that `watched` has set, or a silent one."""
    return WATCHER.get(Silent())


@contextmanager
def watched(progress: Progress) -> Iterator[None]:
    """Report a flow, and warnings in Prefect's log, to `progress` instead of Prefect's own handlers."""
    token = WATCHER.set(progress)
    root, ours = logging.getLogger(), _Warnings(progress)
    for each in root.handlers:
        # Not removed afterwards: Prefect would still log that its server stops with the process.
        each.addFilter(_not_of_prefect)
    root.addHandler(ours)
    try:
        yield
    finally:
        root.removeHandler(ours)
        WATCHER.reset(token)


def prepare_server(progress: Progress) -> None:
    """Require a login of Prefect's embedded server, if no other server is configured.

    It listens on this machine only, but without a login every user of the machine, and every web page in a
    browser here, could give it orders.
    """
    if PREFECT_API_URL.value() is not None:
        return
    progress.message("starting Prefect's embedded server …")
    set_prefect_login()
    # So that other threads and the server's process see it.
    refresh_global_settings_context()


def _not_of_prefect(record: logging.LogRecord) -> bool:
    return not record.name.startswith("prefect")


class _Warnings(logging.Handler):
    """Passes warnings in Prefect's log to a progress."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(logging.WARNING)
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        # The command shows the error of a failed run; Prefect would log it three times.
        failure = record.levelno >= logging.ERROR and record.name.startswith(
            ("prefect.flow_runs", "prefect.task_runs")
        )
        if record.name.startswith("prefect") and not failure:
            self._progress.message(record.getMessage())
