"""Runs as a scheduler starts them: processes of their own, in sessions of their own.

A plain run is forked from a process that has imported all it needs and done nothing: two seconds
less for each, and the process that dies is as real as any.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from tests.nights.region import ROOT

IMPORTED = (
    "pipeline.cli.app",
    "pipeline.config",
    "pipeline.run",
    "pipeline.store",
    "pipeline.search",
    "tests.nights.counting",
)


class Running(Protocol):
    """What is asked of a process."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None:
        """Return how it ended; none: it runs."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end.

        Raises
        ------
        subprocess.TimeoutExpired
            It still runs.
        """
        ...


class Forked:
    """A process of `multiprocessing`, asked as one of `subprocess` is."""

    def __init__(self, process: multiprocessing.process.BaseProcess) -> None:
        self._process = process
        assert process.pid is not None
        self.pid = process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("run", timeout or 0)
        return self._process.exitcode


def cloudmask(
    arguments: Sequence[str], environment: Mapping[str, str], said: Path, *, forked: bool
) -> Running:
    """Start the command line; what it says is added to a file."""
    if forked:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["__main__", *IMPORTED])
        process = context.Process(target=_main, args=(arguments, dict(environment), str(said)))
        process.start()
        return Forked(process)
    with said.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "pipeline.cli", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd=ROOT,
            start_new_session=True,
        )


def _main(arguments: Sequence[str], environment: dict[str, str], said: str) -> None:
    """Be the command line, in a process that was just forked."""
    os.setsid()
    output = os.open(said, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = [
        each for each in environment["PYTHONPATH"].split(os.pathsep) if each not in sys.path
    ]
    sys.argv = ["cloudmask", *arguments]
    from pipeline.cli import main  # noqa: PLC0415  (not before the environment is this run's)

    main()
