"""Opens rasters by GDAL: settings for cloud storage, checks of untrusted files, a pool of open rasters.

A raster of a catalogue is untrusted input. GDAL would follow a VRT or a ``.aux.xml`` to any file of this machine,
and would allocate any size that a header of a hundred bytes declares.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
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
"""Formats that are read. COGs are GTiffs; neither format refers to other files."""

MAX_BLOCK_BYTES = 2**27
"""Largest tile or strip that is decoded; Sentinel-2 has 2e6, a strip as wide as a scene 3e4."""

MAX_UNTILED_PX = 2**28
"""Largest JPEG 2000, which may be a single tile whatever block size GDAL reports; Sentinel-2 has 1.2e8."""

SETTINGS: Mapping[str, str] = {
    # No listing of folders, and no search for .ovr, .msk, .aux.xml and world files beside a raster.
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_GEOREF_SOURCES": "INTERNAL",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_HTTP_MULTIPLEX": "YES",
    # A second copy of what /vsicurl/ caches for itself.
    "VSI_CACHE": "NO",
    # `opening` retries: it knows which failures are temporary, and clears the cached failure.
    "GDAL_HTTP_MAX_RETRY": "0",
}
"""GDAL's settings for every location."""


@contextmanager
def environment(options: Mapping[str, str], timeout_s: float) -> Iterator[None]:
    """Set GDAL up in this thread: ours, then the settings of the location (30 µs; not cached)."""
    timeouts = {
        "GDAL_HTTP_TIMEOUT": f"{timeout_s:g}",
        "GDAL_HTTP_CONNECTTIMEOUT": f"{min(timeout_s, 10):g}",
        "GDAL_HTTP_LOW_SPEED_TIME": f"{max(1, round(timeout_s / 2))}",
        "GDAL_HTTP_LOW_SPEED_LIMIT": "1000",
    }
    with rasterio.Env(session=_Given(options), **SETTINGS, **timeouts), gdal.quiet():
        yield


class _Given(Session):  # type: ignore[misc]
    """Passes options unchanged: rasterio takes keys of S3 only from a session."""

    def __init__(self, options: Mapping[str, str]) -> None:
        self._options = dict(options)

    def get_credential_options(self) -> dict[str, str]:
        return self._options

    def __repr__(self) -> str:
        # rasterio logs its environments.
        return f"<{len(self._options)} options>"


def opened(path: str, overview_level: int | None) -> DatasetReader:
    """Open a raster and check it; call it inside `environment`.

    Raises
    ------
    ValueError
        The raster is refused: see `_check`.
    RasterioIOError
        It cannot be opened, or its format is none of `DRIVERS`.
    OSError
        Its header was read only in part.
    """
    if overview_level is None:
        return _opened(path)
    # The raster itself is checked, before an overview is looked for.
    _opened(path).close()
    return _opened(path, overview_level=overview_level)


def _opened(path: str, **level: int) -> DatasetReader:
    with gdal.failed_requests() as failures:
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
    """Refuse rasters with incomplete headers, excessive sizes, or no valid geotransform."""
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
        # GDAL would open that file, wherever it is.
        raise ValueError("its metadata name another file for its overviews")
    # GDAL places a raster without a geotransform at the origin, with pixels of one unit.
    if not all(map(math.isfinite, place)) or not place.determinant or place.is_identity:
        raise ValueError(f"its geotransform {tuple(place)[:6]} is not valid")


# -- kept open ---------------------------------------------------------------------------------

Key = tuple[str, frozenset[tuple[str, str]], int | None, Hashable]
"""Path, options, overview level, version of a file of this machine."""


class Idle:
    """A pool of open rasters that no thread is using.

    Each raster is lent to one thread at a time: GDAL's datasets are not thread-safe, but may be used from any thread.
    """

    def __init__(self, *, most: int, longest_s: float) -> None:
        self._most = most
        self.longest_s = longest_s
        self._lock = threading.Lock()
        self._held: list[tuple[Key, float, DatasetReader]] = []

    @contextmanager
    def lent(self, key: Key) -> Iterator[DatasetReader]:
        """Lend a raster from the pool, or open it; it is closed if the reader fails.

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
        return time.monotonic() - since < self.longest_s


def _close(entries: Iterable[tuple[Key, float, DatasetReader]]) -> None:
    for _, _, raster in entries:
        raster.close()


# -- overviews ---------------------------------------------------------------------------------

REMEMBERED = 4096
"""Number of rasters whose overviews are cached."""

_remembered: dict[tuple[str, int], list[int]] = {}
_remembered_lock = threading.Lock()


def overviews(raster: DatasetReader, band: int) -> list[int]:
    """Return the decimation factor of each overview; call it inside `environment`.

    Raises
    ------
    OSError
        Their headers were read only in part.
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
    """Find the factors by opening the first overview: `DatasetReader.overviews` holds the GIL during requests."""
    try:
        with _opened(raster.name, overview_level=0) as first:
            factor = round(raster.width / first.width)
            return [factor, *(factor * each for each in first.overviews(band))]
    except RasterioIOError as error:
        if "Cannot open overview level" in str(error):
            return []
        raise
