"""Functions of GDAL that rasterio does not expose, called in the library that rasterio has loaded.

Where they are not available (on Windows) rasters are read without them: GDAL may then cache a failed request for the
life of the process, and take an incomplete header for a complete one.
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

CACHE_BYTES = 2**25
"""Size of GDAL's cache of decoded blocks, for all rasters together; those that are used again are kept by
`pipeline.cube.blocks`."""

FAILED = re.compile(
    r"Got response_code=(?:0|4(?!16)\d\d|5\d\d)\b|DownloadRegion\(.*msg=\S"
    r"|Range downloading not supported|Failed to read directory"
)
"""GDAL's messages about requests that failed or were cut short."""

TELLING = b"VSICURL,S3,GS,AZURE"
"""Modules of GDAL that make requests, in its debug messages."""

_Handler = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_int, ctypes.c_char_p)
_heard = threading.local()


def forget_answers(path: str) -> None:
    """Clear GDAL's cache for a path: it caches failures without a time limit."""
    library = _library()
    if library is not None:
        library.VSICurlPartialClearCache(path.encode())


def answer_headers(path: str) -> dict[str, str]:
    """Ask a server for the headers of a raster, by one request without a body; names in small letters.

    GDAL keeps the answer for the next opening. Empty where GDAL offers no such function, or not for this kind of storage.

    Raises
    ------
    OSError
        The raster is not there, or its server does not answer; GDAL forgets it again. An opening would ask the same, with
        the same answer.
    """
    library = _library()
    if library is None:
        return {}
    library.VSIErrorReset()
    lines = library.VSIGetFileMetadata(path.encode(), b"HEADERS", None)
    # Without a request: it says whether the answer was the raster's.
    opened = library.VSIFOpenL(path.encode(), b"rb") if lines else None
    try:
        if not opened:
            said = library.VSIGetLastErrorMsg().decode(errors="replace")
            forget_answers(path)
            if said:
                raise OSError(said)
            # It has not asked: not every kind of storage tells headers.
            return {}
        library.VSIFCloseL(opened)
        pairs = [lines[at].decode("latin-1") for at in range(library.CSLCount(lines))]
    finally:
        library.CSLDestroy(lines)
    return {name.lower(): value for name, _, value in (pair.partition("=") for pair in pairs)}


@contextmanager
def quiet() -> Iterator[None]:
    """Keep GDAL's messages of this thread out of rasterio's log; errors are raised all the same.

    rasterio's handler runs under a lock of GDAL and needs the GIL, whereas a thread that holds the GIL and logs a
    message needs that lock: a deadlock.
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
def failed_requests() -> Iterator[list[str]]:
    """Collect GDAL's messages about failed requests of this thread.

    If a part of a header cannot be read, GDAL goes on without an overview, a CRS or half of the blocks, and reports
    it in debug messages only.

    Use it only round calls that release the GIL while they wait for a server: see `quiet`.

    Yields
    ------
    The list of messages, which grows as they arrive.
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
    """Return the GDAL library that rasterio loaded; None where its functions are not available."""
    try:
        library = ctypes.CDLL(rasterio._base.__file__)
        for name in ("VSICurlPartialClearCache", "CPLPushErrorHandler", "CPLPopErrorHandler"):
            getattr(library, name).restype = None
        library.VSICurlPartialClearCache.argtypes = [ctypes.c_char_p]
        library.VSIGetFileMetadata.argtypes = [
            ctypes.c_char_p,
            ctypes.c_char_p,
            ctypes.c_void_p,
        ]
        library.VSIGetFileMetadata.restype = ctypes.POINTER(ctypes.c_char_p)
        library.VSIFOpenL.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
        library.VSIFOpenL.restype = ctypes.c_void_p
        library.VSIFCloseL.argtypes = [ctypes.c_void_p]
        library.VSIGetLastErrorMsg.restype = ctypes.c_char_p
        library.VSIErrorReset.restype = None
        for name in ("CSLCount", "CSLDestroy"):
            getattr(library, name).argtypes = [ctypes.POINTER(ctypes.c_char_p)]
        library.CSLDestroy.restype = None
        library.CPLSetThreadLocalConfigOption.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
        library.CPLSetThreadLocalConfigOption.restype = None
        library.GDALGetCacheMax64.restype = ctypes.c_longlong
        library.GDALSetCacheMax64.argtypes = [ctypes.c_longlong]
        library.GDALSetCacheMax64.restype = None
        _ = library.CPLQuietErrorHandler
    except (OSError, AttributeError):
        return None
    # Rasters in the pool keep their decoded blocks; GDAL's default would be 5 % of the machine's memory.
    library.GDALSetCacheMax64(min(library.GDALGetCacheMax64(), CACHE_BYTES))
    return library
