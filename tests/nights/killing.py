"""Kills at chosen moments: a share of the files that a run writes, and a while more.

Files are a run's own clock: whatever the machine is busy with, shares drawn evenly meet every step of
its work, commits and the publishing too.
"""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.nights.running import Running

POLL_S = 0.005
PATIENCE_S = 900.0
"""For a run to end by itself once something that it needs was killed. None waits so long."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When a process is killed."""

    share: float
    """Of the files that the run will write, below 0: before it writes any."""
    more_s: float
    """A while after that."""

    @classmethod
    def draw(cls, random_: random.Random) -> Moment:
        share = random_.uniform(-0.05, 1.02)
        return cls(share, random_.uniform(0.2, 3.0) if share < 0 else random_.uniform(0, 0.06))


Clock = Callable[[], int]


def count_files(folder: Path) -> int:
    """Count the files of a store, those that are just being made too."""
    return sum(1 for each in folder.rglob("*") if each.is_file()) if folder.is_dir() else 0


def await_moment(process: Running, moment: Moment, clock: Clock, expected: int) -> bool:
    """Wait; say whether the moment came while the process lived.

    Parameters
    ----------
    process
        The run.
    moment
        When.
    clock
        Counts the steps of its work.
    expected
        What `clock` says when the run has ended.
    """
    before = clock()
    wanted = before + round(max(moment.share, 0) * max(expected - before, 1))
    while moment.share > 0 and clock() < wanted:
        if process.poll() is not None:
            return False
        time.sleep(POLL_S)
    time.sleep(moment.more_s)
    return process.poll() is None


# -- who is killed -----------------------------------------------------------------------------


def coordinator(family: Sequence[psutil.Process]) -> Sequence[psutil.Process]:
    """Choose a run's own process, the flow's where it is one."""
    return family[:1]


def embedded_server(family: Sequence[psutil.Process]) -> Sequence[psutil.Process]:
    """Choose the server that Prefect starts beside a flow."""
    return [each for each in family[1:] if "uvicorn" in told(each)]


def workers(family: Sequence[psutil.Process]) -> Sequence[psutil.Process]:
    """Choose the processes that Dask has started for a run."""
    return [each for each in family[1:] if "spawn_main" in told(each)]


def told(process: psutil.Process) -> str:
    """Return a process's command line; empty where it is gone."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def kill(victims: Iterable[psutil.Process]) -> int:
    """Kill, as a machine that is out of memory would; say how many there were."""
    killed = 0
    for each in victims:
        with suppress(psutil.NoSuchProcess):
            each.send_signal(signal.SIGKILL)
            killed += 1
    return killed


def family(process: Running) -> list[psutil.Process]:
    """Return a run's process and all that it has started."""
    try:
        first = psutil.Process(process.pid)
        return [first, *first.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def bury(processes: Iterable[psutil.Process]) -> list[str]:
    """Kill what still runs of a dead run; return what that was."""
    left = []
    for each in processes:
        with suppress(psutil.NoSuchProcess):
            # `is_running` knows a process whose number was given to another one.
            if each.is_running() and each.status() != psutil.STATUS_ZOMBIE:
                left.append(" ".join(each.cmdline()))
                each.kill()
    return left


def give_up(process: Running, patience_s: float) -> None:
    """Kill a run that does not end by itself soon."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(patience_s)
    if process.poll() is None:
        kill(family(process)[:1])


def ended(process: Running) -> int:
    """Wait for a run to end; it may not hang."""
    try:
        return process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        bury(family(process))
        raise
