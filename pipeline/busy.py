"""How long a process was busy with one kind of work, whatever number of threads did it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator


class BusyTime:
    """Measures the time in which at least one thread does something; overlaps count once.

    Parameters
    ----------
    count
        Called with wall seconds that no other thread has counted, and the CPU seconds of the thread that is done.
    """

    def __init__(self, count: Callable[[float, float], None]) -> None:
        self._count = count
        self._lock = threading.Lock()
        self._inside = 0
        self._since = 0.0

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Count the time inside."""
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._since = time.perf_counter()
        begun = time.thread_time()
        try:
            yield
        finally:
            cpu = time.thread_time() - begun
            with self._lock:
                self._inside -= 1
                now = time.perf_counter()
                self._count(now - self._since, cpu)
                self._since = now
