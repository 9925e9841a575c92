"""What the stages of a run spend in this process: seconds, bytes and requests.

::

    with measured(stages, name): …   adds what is spent inside to a stage's cost
    unmeasured()                     returns what was spent outside of all stages

A process has one clock of CPU time, and GDAL one count of requests: where two stages run in one process
at the same time, each count goes to the stage that ends first. No count goes to two, so that the costs of
stages, tiles and processes add up to what was really spent.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager

from pipeline import cube
from pipeline.types import Cost


class Clock:
    """Everything that this process spends, handed out stage by stage."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._last = _now()
        self._rest = Cost()

    def start(self) -> None:
        """Begin a stage."""
        with self._lock:
            if not self._running:
                self._rest += self._since_last()
            self._running += 1

    def stop(self, *, failed: bool) -> Cost:
        """End a stage and return its cost; that of a failed one counts as spent outside of all stages."""
        with self._lock:
            self._running -= 1
            cost = self._since_last()
            if failed:
                self._rest += cost
            return cost

    def rest(self) -> Cost:
        """Return what was spent outside of all stages since the last call."""
        with self._lock:
            if not self._running:
                self._rest += self._since_last()
            rest, self._rest = self._rest, Cost()
            return rest

    def _since_last(self) -> Cost:
        before, self._last = self._last, _now()
        return self._last - before


def _now() -> Cost:
    counted = cube.METER.total()
    return dataclasses.replace(
        counted, seconds=time.perf_counter(), cpu_seconds=time.process_time()
    )


_CLOCK = Clock()


@contextmanager
def measured(stages: MutableMapping[str, Cost], name: str) -> Iterator[None]:
    """Add what this process spends inside to a stage's cost.

    What an error interrupts is not added, because a failed try leaves no receipt: `unmeasured` returns it.
    """
    _CLOCK.start()
    try:
        yield
    except BaseException:
        _CLOCK.stop(failed=True)
        raise
    stages[name] = stages.get(name, Cost()) + _CLOCK.stop(failed=False)


def unmeasured() -> Cost:
    """Return what this process spent outside of all stages since the last call.

    Commits, waits for workers, and tries that failed.
    """
    return _CLOCK.rest()
