"""Counts the reads of this process, and GDAL's network requests.

GDAL counts its requests and the bytes of their answers, retries and failures included. rasterio does not expose these
counts, so they are read from the library that it has loaded. Where its functions are not available (on Windows),
both are None, not zero.
"""

from __future__ import annotations

import ctypes
import json
import threading
from functools import lru_cache
from typing import Any

import rasterio._base

from pipeline.cost import METER as COUNTED
from pipeline.cost import Cost

FORGET_BYTES = 2**20
"""GDAL counts every file separately; its counts are reset when their report exceeds this size."""


class CubeMeter:
    """Counts windows read, and adds GDAL's counts."""

    def add(self, cost: Cost) -> None:
        """Add a cost; thread-safe."""
        COUNTED.add(cost)

    def count(self, **amounts: int) -> None:
        """Add whole numbers of fields of `Cost`; thread-safe."""
        COUNTED.count(**amounts)

    def total(self) -> Cost:
        """Return the total so far; the difference of two calls is the cost between them."""
        return COUNTED.total() + _network()


METER = CubeMeter()

_lock = threading.Lock()
_before = Cost()


def _network() -> Cost:
    """Return GDAL's requests and bytes since the first call.

    A request of another thread between a report and the reset after it (`FORGET_BYTES`) is lost: one in thousands at
    most.
    """
    global _before  # noqa: PLW0603  (as GDAL's own numbers, one for the process)
    library = _library()
    if library is None:
        return Cost(bytes_fetched=None, requests=None)
    with _lock:
        text = _answer(library)
        total = _before + _cost(text)
        if len(text) > FORGET_BYTES:
            library.VSINetworkStatsReset()
            _before = total
        return total


def _answer(library: Any) -> bytes:  # noqa: ANN401  (functions of C)
    pointer = library.VSINetworkStatsGetAsSerializedJSON(None)
    try:
        return ctypes.string_at(pointer)
    finally:
        library.VSIFree(pointer)


def _cost(text: bytes) -> Cost:
    methods = json.loads(text).get("methods", {}).values()
    return Cost(
        requests=sum(each.get("count", 0) for each in methods),
        bytes_fetched=sum(each.get("downloaded_bytes", 0) for each in methods),
    )


@lru_cache(maxsize=1)
def _library() -> Any:  # noqa: ANN401  (functions of C)
    """Return the GDAL library that rasterio loaded, with counting enabled; None where it is not available."""
    try:
        library = ctypes.CDLL(rasterio._base.__file__)
        library.VSINetworkStatsGetAsSerializedJSON.argtypes = [ctypes.c_void_p]
        library.VSINetworkStatsGetAsSerializedJSON.restype = ctypes.c_void_p
        library.VSINetworkStatsReset.restype = None
        library.VSIFree.argtypes = [ctypes.c_void_p]
        library.VSIFree.restype = None
        library.CPLSetConfigOption.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
        library.CPLSetConfigOption.restype = None
    except (OSError, AttributeError):
        return None
    library.CPLSetConfigOption(b"CPL_VSIL_NETWORK_STATS_ENABLED", b"YES")
    # GDAL reads the option once, at its first request, which may have been earlier.
    library.VSINetworkStatsReset()
    return library
