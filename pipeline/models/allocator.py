"""Makes the C library keep the memory that a network frees, because the next layer asks for it again.

By default glibc gives large blocks back to the kernel on `free`, and the next layer pays for fresh pages.
One window of 640 px, CPU seconds a megapixel: 1.36 by default, 1.12 with the thresholds raised; under a
Dask nanny, which lowers them (``MALLOC_TRIM_THRESHOLD_=65536``), 2.68 and 1.14.
"""

from __future__ import annotations

import ctypes
import functools
import logging

log = logging.getLogger(__name__)

# Parameter numbers of mallopt(3), from glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3

MMAP_THRESHOLD = 32 * 2**20
"""The most that glibc accepts (half of a heap segment); larger blocks are still mapped one by one."""
TRIM_THRESHOLD = 256 * 2**20
"""Free memory at the top of an arena that is kept rather than returned."""


@functools.cache
def keep_freed_memory() -> bool:
    """Raise glibc's thresholds, for the whole process, once.

    Returns
    -------
    Whether they were raised; other C libraries are left as they are.
    """
    try:
        libc = ctypes.CDLL(None)
        libc.gnu_get_libc_version  # noqa: B018 - only glibc has it; musl's mallopt is an empty shell
        mallopt = libc.mallopt
    except (OSError, AttributeError, TypeError):
        return False
    mallopt.argtypes, mallopt.restype = (ctypes.c_int, ctypes.c_int), ctypes.c_int
    raised = bool(mallopt(_M_MMAP_THRESHOLD, MMAP_THRESHOLD)) and bool(
        mallopt(_M_TRIM_THRESHOLD, TRIM_THRESHOLD)
    )
    log.debug("glibc's malloc thresholds %s", "raised" if raised else "could not be raised")
    return raised
