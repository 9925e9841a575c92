"""Functions of GDAL that rasterio does not pass on, called in the library that it has loaded.

Where they cannot be reached (Windows hides them) reads go on: a failed request may then be
remembered for as long as the process lives, and half a header be taken for a whole one.
"""

from __future__ import annotations

import ctypes
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import rasterio._base

CACHE_BYTES = 2**27
"""Decoded blocks that GDAL holds, of all rasters together."""

FAILED = re.compile(
    r"Got response_code=(?:0|4(?!16)\d\d|5\d\d)\b|DownloadRegion\(.*msg=\S"
    r"|Range downloading not supported|Failed to read directory"
)
"""GDAL's messages about requests that failed or were cut short."""

TELLING = b"VSICURL,S3,GS,AZURE"
"""The parts of GDAL that make requests."""

_Handler = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_int, ctypes.c_char_p)
_heard = threading.local()


def forget_answers(path: str) -> None:
    """Clear what GDAL has cached of a path: it caches failures without limit of time."""
    library = _library()
    if library is not None:
        library.VSICurlPartialClearCache(path.encode())


@contextmanager
def quiet() -> Iterator[None]:
    """Keep GDAL's messages of this thread out of rasterio's log; errors are raised all the same.

    rasterio's handler runs under a lock of GDAL and needs the GIL. A thread that holds the GIL and logs a message
    itself needs that lock: a deadlock.
    """
    library = _library()
    if library is None:
        yield
        return
    library.CPLPushErrorHandler(library.CPLQuietErrorHandler)
    try:
        yield
    finally:
        library.CPLPopErrorHandler()


@contextmanager
def listening() -> Iterator[list[str]]:
    """Hear which requests of this thread fail.

    GDAL goes on without an overview, a CRS or half of the blocks if their part of the header did not
    come, and reports it in debug messages only.

    Only for what does not hold the GIL while it waits for a server: see `quiet`.

    Yields
    ------
    Its words, as they come.
    """
    failures: list[str] = []
    library = _library()
    if library is None:
        yield failures
        return
    _heard.failures = failures
    library.CPLPushErrorHandler(_hear)
    library.CPLSetThreadLocalConfigOption(b"CPL_DEBUG", TELLING)
    try:
        yield failures
    finally:
        library.CPLSetThreadLocalConfigOption(b"CPL_DEBUG", None)
        library.CPLPopErrorHandler()
        del _heard.failures


@_Handler  # type: ignore[untyped-decorator]
def _hear(_kind: int, _number: int, message: bytes) -> None:
    text = message.decode(errors="replace")
    if FAILED.search(text) and text not in _heard.failures:
        _heard.failures.append(text)


@lru_cache(maxsize=1)
def _library() -> Any:  # noqa: ANN401  (functions of C)
    """Return GDAL as rasterio loaded it, none where its functions cannot be reached."""
    try:
        library = ctypes.CDLL(rasterio._base.__file__)
        for name in ("VSICurlPartialClearCache", "CPLPushErrorHandler", "CPLPopErrorHandler"):
            getattr(library, name).restype = None
        library.VSICurlPartialClearCache.argtypes = [ctypes.c_char_p]
        library.CPLSetThreadLocalConfigOption.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
        library.CPLSetThreadLocalConfigOption.restype = None
        library.GDALGetCacheMax64.restype = ctypes.c_longlong
        library.GDALSetCacheMax64.argtypes = [ctypes.c_longlong]
        library.GDALSetCacheMax64.restype = None
        _ = library.CPLQuietErrorHandler
    except (OSError, AttributeError):
        return None
    # Rasters that are kept open keep their decoded blocks: not 5 % of the machine's memory.
    library.GDALSetCacheMax64(min(library.GDALGetCacheMax64(), CACHE_BYTES))
    return library
