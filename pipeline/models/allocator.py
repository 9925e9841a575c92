"""Makes the C library keep the memory that a network frees, because the next layer asks for it again.

By default glibc maps large blocks one by one, gives every thread a heap of its own in pieces of 64 MiB, and
hands all of it back to the kernel on `free`: the next layer pays for fresh pages, zeroed by the kernel, and
so does every thread anew. The network of ukis-csmask on windows of 576 px in two threads, CPU seconds a
megapixel in float32 and bfloat16: 1.43 and 0.92 with the thresholds raised alone, 1.15 and 0.69 with all of
this. Under a Dask nanny, which lowers them (``MALLOC_TRIM_THRESHOLD_=65536``), it was 2.68 before.
"""

from __future__ import annotations

import ctypes
import functools
import logging

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
