"""What was read in this process, and what GDAL asked the network for.

GDAL counts its requests and the bytes of their answers by itself, retries and failures included, and
rasterio does not pass the numbers on: they are asked for in the library that it has loaded. Where that
cannot be reached (Windows hides its functions) both are unknown, which is not zero.
"""

from __future__ import annotations

import ctypes
import json
import threading
from functools import lru_cache
from typing import Any

import rasterio._base

from pipeline.types.record import METER as COUNTED
from pipeline.types.record import Cost

FORGET_BYTES = 2**20
"""GDAL keeps the numbers of every file for itself; from this size of its answer on it is told to
start again."""


class CubeMeter:
    """Counts windows, and adds what GDAL counts."""

    def add(self, cost: Cost) -> None:
        """Count something; threads may do so at once."""
        COUNTED.add(cost)

    def total(self) -> Cost:
        """Return everything so far; the difference of two calls is what happened between."""
        return COUNTED.total() + _network()


METER = CubeMeter()

_lock = threading.Lock()
_before = Cost()


def _network() -> Cost:
    """Return GDAL's requests and bytes since this was first called.

    A request of another thread between the question and the fresh start of `FORGET_BYTES` is lost:
    one in thousands at most.
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
    """Return GDAL as rasterio loaded it, counting from now on; none where it cannot be reached."""
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
    # GDAL looks at the option once, at its first request: that may have been before.
    library.VSINetworkStatsReset()
    return library
