"""The options ``-v`` and ``-q`` of every command."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable
from typing import Annotated, Any

import typer

from pipeline.cli import show

OPTIONS = {
    "verbose": Annotated[
        int,
        typer.Option(
            "--verbose", "-v", count=True, help="Log progress; -vv: log details, too."
        ),
    ],
    "quiet": Annotated[
        bool,
        typer.Option("--quiet", "-q", help="Print only results and errors."),
    ],
}


def set_log_level(level: str) -> None:
    """Set the log level of our packages."""
    for ours in ("pipeline", "flows"):
        logging.getLogger(ours).setLevel(level)


def with_verbosity(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command that also takes `OPTIONS`."""

    @functools.wraps(command)
    def called(*given: Any, verbose: int, quiet: bool, **named: Any) -> None:  # noqa: ANN401
        if verbose:
            set_log_level("INFO" if verbose == 1 else "DEBUG")
        with show.quietly(quiet):
            command(*given, **named)

    own = inspect.signature(command, eval_str=True)
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=0, annotation=kind)
        for name, kind in OPTIONS.items()
    ]
    # typer reads the signature.
    vars(called)["__signature__"] = own.replace(parameters=[*own.parameters.values(), *added])
    called.__annotations__ = {
        name: each.annotation for name, each in own.parameters.items()
    } | OPTIONS
    return called
