"""Prefect inside a command: its embedded server behind a login, and the command's own bars for its log."""

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
"""Who watches the flow that this process runs; what a flow is given must be JSON."""


def watcher() -> Progress:
    """Return who watches the flow of this process, if anybody does."""
    return WATCHER.get(Silent())


@contextmanager
def watched(progress: Progress) -> Iterator[None]:
    """Let a watcher see a flow, and what Prefect logs as a warning, instead of Prefect's own lines."""
    token = WATCHER.set(progress)
    root, ours = logging.getLogger(), _Told(progress)
    for each in root.handlers:
        # Also after this: that the server is stopped when the process ends is no news.
        each.addFilter(_no_line_of_prefect)
    root.addHandler(ours)
    try:
        yield
    finally:
        root.removeHandler(ours)
        WATCHER.reset(token)


def prepare_server(progress: Progress) -> None:
    """Have the server that Prefect embeds, where no other is configured, ask for a login of its own.

    It listens on this machine alone, and would yet do what any other user of it asks, or any web page
    that a browser here shows.
    """
    if PREFECT_API_URL.value() is not None:
        return
    progress.message("starting Prefect's embedded server …")
    set_prefect_login()
    # For threads and for the server's process, too.
    refresh_global_settings_context()


def _no_line_of_prefect(record: logging.LogRecord) -> bool:
    return not record.name.startswith("prefect")


class _Told(logging.Handler):
    """Tells a watcher what Prefect logs as a warning."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(logging.WARNING)
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        # How a run fails is the error of the command; Prefect would tell it three times.
        failure = record.levelno >= logging.ERROR and record.name.startswith(
            ("prefect.flow_runs", "prefect.task_runs")
        )
        if record.name.startswith("prefect") and not failure:
            self._progress.message(record.getMessage())
