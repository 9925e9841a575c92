"""The second net: what libraries log, warn of and die of is fit to be seen, too.

Our own errors and reasons are fit from the start (`pipeline.errors`). What GDAL, requests, botocore, pystac_client,
Dask or Prefect say is not: they log URLs with their queries, and tracebacks with both. Records are cleaned
when they are made, so that no handler, be it a terminal's, a file's or Prefect's, has anything to leak.
"""

from __future__ import annotations

import functools
import logging
import sys
import threading
import traceback
import warnings
from types import TracebackType
from typing import Any

from pipeline.shown import printable, shown


@functools.cache
def watch_output() -> None:
    """Clean what this process logs, warns of and dies of; for programs of ours, not for their callers.

    The command line, flows and workers call it once they run.
    """
    logging.setLogRecordFactory(_Factory(logging.getLogRecordFactory()))
    warnings.formatwarning = _Formatted(warnings.formatwarning)
    sys.excepthook = _died
    threading.excepthook = lambda args: (
        None
        if args.exc_type is SystemExit
        else _died(args.exc_type, args.exc_value, args.exc_traceback)
    )


def fit(text: str) -> str:
    """Return a text of several lines as it may be seen."""
    return printable(shown(text))


class _Factory:
    def __init__(self, make: Any) -> None:  # noqa: ANN401 -- a callable of logging's
        self._make = make

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:  # noqa: ANN401
        record: logging.LogRecord = self._make(*args, **kwargs)
        try:
            said = record.getMessage()
        except (TypeError, ValueError, KeyError):
            # Wrong arguments: logging says so itself when it comes to print it.
            return record
        if (seen := fit(said)) != said:
            record.msg, record.args = seen, ()
        if record.exc_info and record.exc_info[1] is not None:
            # A formatter takes the text that is there already.
            record.exc_text = fit(
                "".join(traceback.format_exception(*record.exc_info))
            ).rstrip()
        return record


class _Formatted:
    def __init__(self, make: Any) -> None:  # noqa: ANN401 -- a callable of warnings'
        self._make = make

    def __call__(self, *args: Any, **kwargs: Any) -> str:  # noqa: ANN401
        return fit(self._make(*args, **kwargs))


def _died(
    kind: type[BaseException], error: BaseException | None, where: TracebackType | None
) -> None:
    lines = traceback.format_exception(kind, error, where)
    sys.stderr.write(fit("".join(lines)))
