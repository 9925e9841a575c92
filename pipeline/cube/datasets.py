"""Rasters opened by GDAL: told how to read from the cloud, held to what is trusted, kept open.

A raster of a catalogue is untrusted input. GDAL would follow a VRT or a ``.aux.xml`` to any file
of this machine, and would make room for whatever size a header of a hundred bytes declares.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import rasterio
from rasterio.enums import Interleaving
from rasterio.errors import RasterioIOError
from rasterio.io import DatasetReader
from rasterio.session import Session

from pipeline.cube import gdal
from pipeline.cube.metadata.roles import MAX_RASTER_PX

DRIVERS = ("GTiff", "JP2OpenJPEG")
"""Formats that are read. COGs are GTiffs; none of the two points to another file."""

MAX_BLOCK_BYTES = 2**27
"""Largest tile or strip that is decoded; Sentinel-2 has 2e6, a strip as wide as a scene 3e4."""

MAX_UNTILED_PX = 2**28
"""Largest JPEG 2000, which may be a single tile whatever blocks GDAL tells; Sentinel-2 has 1.2e8."""

SETTINGS: Mapping[str, str] = {
    # No listing of folders, and no search for .ovr, .msk, .aux.xml and world files beside a raster.
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_GEOREF_SOURCES": "INTERNAL",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_HTTP_MULTIPLEX": "YES",
    # A second copy of what /vsicurl/ caches for itself.
    "VSI_CACHE": "NO",
    # `opening` tries again: it knows which failures pass, and throws the cached failure away.
    "GDAL_HTTP_MAX_RETRY": "0",
}
"""How GDAL reads, whichever place it reads from."""


@contextmanager
def environment(options: Mapping[str, str], timeout_s: float) -> Iterator[None]:
    """Set GDAL up in this thread: settings of the place on top of ours (30 µs; not cached)."""
    timeouts = {
        "GDAL_HTTP_TIMEOUT": f"{timeout_s:g}",
        "GDAL_HTTP_CONNECTTIMEOUT": f"{min(timeout_s, 10):g}",
        "GDAL_HTTP_LOW_SPEED_TIME": f"{max(1, round(timeout_s / 2))}",
        "GDAL_HTTP_LOW_SPEED_LIMIT": "1000",
    }
    with rasterio.Env(session=_Given(options), **SETTINGS, **timeouts), gdal.quiet():
        yield


class _Given(Session):  # type: ignore[misc]
    """Options as they are: rasterio takes keys of S3 from a session alone."""

    def __init__(self, options: Mapping[str, str]) -> None:
        self._options = dict(options)

    def get_credential_options(self) -> dict[str, str]:
        return self._options

    def __repr__(self) -> str:
        # rasterio logs its environments.
        return f"<{len(self._options)} options>"


def opened(path: str, overview_level: int | None) -> DatasetReader:
    """Open a raster that is fit to be read; call it inside `environment`.

    Raises
    ------
    ValueError
        It is not: see `_check`.
    RasterioIOError
        It cannot be opened, or its format is none of `DRIVERS`.
    OSError
        Not all of its header came.
    """
    if overview_level is None:
        return _opened(path)
    # Whether it is fit shows in the raster itself, before an overview is looked for.
    _opened(path).close()
    return _opened(path, overview_level=overview_level)


def _opened(path: str, **level: int) -> DatasetReader:
    with gdal.listening() as failures:
        try:
            # `rasterio.open` takes one driver only.
            raster = DatasetReader(path, driver=list(DRIVERS), sharing=False, **level)
        except RasterioIOError as error:
            if failures:
                raise OSError("; ".join(failures)) from error
            raise
    try:
        _check(raster, failures)
    except BaseException:
        raster.close()
        raise
    return raster


def _check(raster: DatasetReader, failures: Sequence[str]) -> None:
    """Refuse what did not come whole, sizes that cannot be meant, and places that are none."""
    if failures:
        raise OSError("; ".join(failures))
    size = f"{raster.width} × {raster.height} pixels"
    if raster.width * raster.height > MAX_RASTER_PX:
        raise ValueError(f"it has {size}; at most {MAX_RASTER_PX} are read")
    if raster.driver == "JP2OpenJPEG" and raster.width * raster.height > MAX_UNTILED_PX:
        raise ValueError(f"it is a JPEG 2000 of {size}; at most {MAX_UNTILED_PX} are read")
    dtypes = [np.dtype(name) for name in set(raster.dtypes)]
    if any(dtype.kind not in "uif" for dtype in dtypes):
        raise ValueError(f"its pixels are {raster.dtypes[0]}, not integers or floats")
    rows, cols = raster.block_shapes[0]
    together = raster.count if raster.interleaving == Interleaving.pixel else 1
    block = rows * cols * together * max(dtype.itemsize for dtype in dtypes)
    if block > MAX_BLOCK_BYTES:
        raise ValueError(
            f"it has blocks of {rows} × {cols} pixels, {block} bytes; "
            f"at most {MAX_BLOCK_BYTES} are decoded at once"
        )
    place = raster.transform
    if raster.tags(ns="OVERVIEWS"):
        # GDAL would open that file, whatever and wherever it is.
        raise ValueError("its metadata name another file for its overviews")
    # GDAL puts a raster that does not say where it lies at the origin, one unit a pixel.
    if not all(map(math.isfinite, place)) or not place.determinant or place.is_identity:
        raise ValueError(f"its geotransform {tuple(place)[:6]} is none")


# -- kept open ---------------------------------------------------------------------------------

Key = tuple[str, frozenset[tuple[str, str]], int | None]
"""Path, options, overview level."""


class Idle:
    """Open rasters that nobody reads now.

    Each is lent to one thread at a time: GDAL's are not thread safe, but do not care which
    thread they are used from.
    """

    def __init__(self, *, most: int, longest_s: float) -> None:
        self._most = most
        self._longest_s = longest_s
        self._lock = threading.Lock()
        self._held: list[tuple[Key, float, DatasetReader]] = []

    @contextmanager
    def lent(self, key: Key) -> Iterator[DatasetReader]:
        """Lend an open raster, or open it; it is closed if its reader fails.

        Raises
        ------
        ValueError, RasterioIOError
            As `opened` does.
        """
        raster, since = self._take(key) or (opened(key[0], key[2]), time.monotonic())
        try:
            yield raster
        except BaseException:
            raster.close()
            raise
        self._give(key, raster, since)

    def drop(self, path: str | None = None) -> None:
        """Close the rasters of a path, or all."""
        with self._lock:
            gone = [each for each in self._held if path in (None, each[0][0])]
            self._held = [each for each in self._held if each not in gone]
        _close(gone)

    def _take(self, key: Key) -> tuple[DatasetReader, float] | None:
        with self._lock:
            for at, (held, since, raster) in enumerate(self._held):
                if held == key and self._is_fresh(since):
                    del self._held[at]
                    return raster, since
        return None

    def _give(self, key: Key, raster: DatasetReader, since: float) -> None:
        with self._lock:
            self._held.append((key, since, raster))
            fresh = [each for each in self._held if self._is_fresh(each[1])][-self._most :]
            gone = [each for each in self._held if each not in fresh]
            self._held = fresh
        _close(gone)

    def _is_fresh(self, since: float) -> bool:
        return time.monotonic() - since < self._longest_s


def _close(entries: Iterable[tuple[Key, float, DatasetReader]]) -> None:
    for _, _, raster in entries:
        raster.close()


# -- overviews ---------------------------------------------------------------------------------

REMEMBERED = 4096
"""Rasters whose overviews are remembered."""

_remembered: dict[tuple[str, int], list[int]] = {}
_remembered_lock = threading.Lock()


def overviews(raster: DatasetReader, band: int) -> list[int]:
    """Return how many times coarser each overview is; call it inside `environment`.

    Raises
    ------
    OSError
        Not all of their headers came.
    """
    path = raster.name
    if not path.startswith("/vsi"):
        return list(raster.overviews(band))
    with _remembered_lock:
        found = _remembered.get((path, band))
    if found is None:
        found = _looked_for(raster, band)
        with _remembered_lock:
            while len(_remembered) >= REMEMBERED:
                _remembered.pop(next(iter(_remembered)))
            _remembered[path, band] = found
    return found


def _looked_for(raster: DatasetReader, band: int) -> list[int]:
    """Ask for the headers by opening the first: `DatasetReader.overviews` would hold the GIL."""
    try:
        with _opened(raster.name, overview_level=0) as first:
            factor = round(raster.width / first.width)
            return [factor, *(factor * each for each in first.overviews(band))]
    except RasterioIOError as error:
        if "Cannot open overview level" in str(error):
            return []
        raise
