"""Makes the C library keep the memory that a network frees, because the next layer asks for it again.

By default glibc maps each large block separately, gives every thread its own heap in pieces of 64 MiB, and
returns all of it to the kernel on `free`. The next layer, in every thread, then waits for fresh pages that the
kernel zeroes. CPU seconds per megapixel of ukis-csmask on windows of 576 px in two threads, float32 and bfloat16:
1.43 and 0.92 with raised thresholds alone, 1.15 and 0.69 with all settings of this module. Under a Dask nanny,
which lowers the thresholds (``MALLOC_TRIM_THRESHOLD_=65536``), it was 2.68 before.
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
    # A threshold that is set is no longer adjusted by glibc.
    (_M_MMAP_THRESHOLD, 32 * 2**20),
    # Blocks above the threshold, whose maximum this is, come from the heap as well.
    (_M_MMAP_MAX, 0),
    # Later threads share one heap, so that one reuses what another freed. They seldom contend in `malloc`.
    (_M_ARENA_MAX, 1),
    # Heaps that threads have already are not returned piece by piece (64 MiB each).
    (_M_TOP_PAD, 64 * 2**20),
    # Free memory to keep at the end of the heap: more than the widest layer of any network here.
    (_M_TRIM_THRESHOLD, 2**30),
)
"""(parameter, value in bytes or a count). The peak does not grow: all memory that is kept was in use once."""


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
"""Free memory to keep for every thread that runs a network, at least."""
SHARE = 0.6
"""Share of a window's estimated memory to keep: windows of several threads are at different stages, and a window
never frees all that it takes."""
PATIENCE_S = 3.0
"""Least time between two trims: the window after a trim waits for fresh pages, for up to two thirds of the time
that the smallest window takes."""


class _Heap(ctypes.Structure):
    """The struct that mallinfo2(3) returns, in bytes or counts."""

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
    """Tracks the memory that was free after the last trim, and how much of it windows fill again."""

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
        """Return free memory to the system if there is more than usual; return whether there was."""
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
        # malloc's own count of free memory includes what it has returned already.
        return _idle(libc) - self._least_idle > self._usual * self._most


_keeper = _Keeper()


def expect(window_bytes: int) -> None:
    """Keep free memory for every thread by the stated memory of a model's window, in bytes."""
    _keeper.expect(window_bytes)


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Run a window, then return free memory beyond the usual to the system.

    Windows of other shapes, as at the edges of a swath, leave holes too small for the next ones: two threads
    that had run a hundred windows of all shapes kept 1.3 GB, of which 0.5 GB were in use.
    """
    _keeper.count(1)
    try:
        yield
    finally:
        _keeper.count(-1)
        _keeper.give_back()


def _idle(libc: ctypes.CDLL) -> int:
    """Return the resident bytes that malloc has not allocated: program code and free memory."""
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
