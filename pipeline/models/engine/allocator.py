"""Makes the C library keep the memory that a network frees, because the next layer asks for it again.

By default glibc maps large blocks one by one, gives every thread a heap of its own in pieces of 64 MiB, and
hands all of it back to the kernel on `free`: the next layer pays for fresh pages, zeroed by the kernel, and
so does every thread anew. The network of ukis-csmask on windows of 576 px in two threads, CPU seconds a
megapixel in float32 and bfloat16: 1.43 and 0.92 with the thresholds raised alone, 1.15 and 0.69 with all of
this. Under a Dask nanny, which lowers them (``MALLOC_TRIM_THRESHOLD_=65536``), it was 2.68 before.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import logging
import resource
import threading
import time
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)

# Parameter numbers of mallopt(3), from glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3
_M_MMAP_MAX = -4
_M_ARENA_MAX = -8

SETTINGS: tuple[tuple[int, int], ...] = (
    # Setting any threshold also ends glibc's own moving of it.
    (_M_MMAP_THRESHOLD, 32 * 2**20),
    # Blocks above that threshold, which goes no higher, come from the heap as well.
    (_M_MMAP_MAX, 0),
    # Threads to come share one heap: what one frees serves another. They seldom meet in `malloc`.
    (_M_ARENA_MAX, 1),
    # Heaps that other threads have already are not taken down piece by piece (64 MiB each).
    (_M_TOP_PAD, 64 * 2**20),
    # Free memory at the end of the heap that is kept: more than the widest layer of any network here.
    (_M_TRIM_THRESHOLD, 2**30),
)
"""(parameter, value in bytes or a number); what is kept free was in use once: the peak does not grow."""


@functools.cache
def keep_freed_memory() -> bool:
    """Change glibc's settings, for the whole process, once.

    Returns
    -------
    Whether they were changed; other C libraries are left as they are.
    """
    try:
        libc = ctypes.CDLL(None)
        libc.gnu_get_libc_version  # noqa: B018 - only glibc has it; musl's mallopt is an empty shell
        mallopt = libc.mallopt
    except (OSError, AttributeError, TypeError):
        return False
    mallopt.argtypes, mallopt.restype = (ctypes.c_int, ctypes.c_int), ctypes.c_int
    done = [bool(mallopt(parameter, value)) for parameter, value in SETTINGS]
    changed = all(done)
    log.debug("glibc's malloc settings %s", "changed" if changed else "could not be changed")
    return changed


# -- giving back -------------------------------------------------------------------------------

FREE_BYTES = 128 * 2**20
"""Free memory that is kept at least for every thread that runs a network."""
SHARE = 0.6
"""How much is kept of the stated memory of a window: while one begins, another is half-way, and not all that
a window takes is ever free."""
PATIENCE_S = 3.0
"""Least time between two givings back: a window after one pays for fresh pages, up to two thirds of the time
of the smallest."""


class _Heap(ctypes.Structure):
    """What mallinfo2(3) tells, in bytes or numbers."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    )


class _Keeper:
    """Knows how much memory lay free after the last giving back, and how much windows fill again."""

    def __init__(self) -> None:
        self._running = self._most = 0
        self._usual = FREE_BYTES
        self._least_idle: int | None = None
        self._given_s = 0.0
        self._counting, self._giving = threading.Lock(), threading.Lock()

    def expect(self, window_bytes: int) -> None:
        """Keep `SHARE` of what a window of a model takes, for every thread."""
        with self._counting:
            self._usual = max(self._usual, int(SHARE * window_bytes))

    def count(self, by: int) -> None:
        """Count a thread that begins (1) or ends (-1) a window."""
        with self._counting:
            self._running += by
            self._most = max(self._most, self._running)

    def give_back(self) -> bool:
        """Give back what is free if it is more than usual; return whether it was."""
        libc = _glibc()
        # If another thread is doing it, this one need not.
        if libc is None or not self._giving.acquire(blocking=False):
            return False
        try:
            if not self._unusual(libc):
                return False
            libc.malloc_trim(0)
            self._least_idle, self._given_s = _idle(libc), time.monotonic()
            return True
        finally:
            self._giving.release()

    def _unusual(self, libc: ctypes.CDLL) -> bool:
        if self._least_idle is None:
            return True
        if time.monotonic() - self._given_s < PATIENCE_S:
            return False
        # Not what malloc counts as free: that includes what was given back already.
        return _idle(libc) - self._least_idle > self._usual * self._most


_keeper = _Keeper()


def expect(window_bytes: int) -> None:
    """Keep free memory for every thread by the stated memory of a model's window, in bytes."""
    _keeper.expect(window_bytes)


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Run a window; afterwards give back to the system what is free beyond the usual.

    Windows of other shapes, as at the edges of a swath, leave holes that the next ones do not fit into: two
    threads that ran a hundred windows of all shapes kept 1.3 GB, of which 0.5 were in use.
    """
    _keeper.count(1)
    try:
        yield
    finally:
        _keeper.count(-1)
        _keeper.give_back()


def _idle(libc: ctypes.CDLL) -> int:
    """Return the bytes of memory that malloc did not give to anybody: program code, and what is free."""
    resident = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return resident * resource.getpagesize() - int(libc.mallinfo2().uordblks)


@functools.cache
def _glibc() -> ctypes.CDLL | None:
    """Return the C library if it is a glibc of 2.33 or later, which knows `mallinfo2`."""
    try:
        libc = ctypes.CDLL(None)
        libc.gnu_get_libc_version  # noqa: B018 - only glibc has it
        libc.mallinfo2.restype = _Heap
        libc.malloc_trim.argtypes = (ctypes.c_size_t,)
    except (OSError, AttributeError, TypeError):
        return None
    return libc
