"""A raster whose header and decoded blocks are cached: it is opened only for blocks that are not."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from odc.geo.converters import rio_geobox
from odc.geo.crs import CRS
from odc.geo.gcp import GCPGeoBox
from odc.geo.geobox import GeoBox
from rasterio.io import DatasetReader

from pipeline import access
from pipeline.cube import datasets
from pipeline.cube.blocks.memory import Block, BlockMemory
from pipeline.cube.blocks.units import (
    Shape,
    Span,
    Unit,
    copy_part,
    place,
    rectangles,
    unit_shape,
    units,
)
from pipeline.cube.opening import AssetRef, attempt, forget_raster, lent

T = TypeVar("T")

MEMORY_BYTES = 3 * 2**25
"""Decoded blocks of all rasters in this process. With GDAL's own cache (`pipeline.cube.gdal`) 128 MiB."""

BLOCKS = BlockMemory(MEMORY_BYTES)

FRESH_S = 300.0
"""How long the header of a remote raster is believed."""

MOST_HEADERS = 4096


@dataclass(frozen=True, eq=False)
class Header:
    """What is known of a raster, or of one of its overviews, once it was opened.

    Compared by identity: a raster that is replaced gets another header, so that blocks of the old one are not found.
    """

    geobox: GeoBox | GCPGeoBox
    has_crs: bool
    """Of its own, not of ground control points."""
    shape: Shape
    count: int
    dtypes: tuple[str, ...]
    unit: Shape | None
    """Rows and columns that are decoded together; None: windows are read as they are."""
    fresh_until: float
    """On the monotonic clock."""
    factors: dict[int, Sequence[int]] = field(default_factory=dict)
    """Band -> decimation factor of each overview, where they have been looked for."""
    notes: dict[Hashable, Any] = field(default_factory=dict)
    """What else was computed from this header: see `BlockRaster.once`."""


class BlockRaster:
    """A raster, or one of its overviews, made of cached blocks.

    It is opened when its header, or a block of a window, is not cached, by one thread at a time for each block.
    """

    def __init__(self, opening: access.Opening, level: int | None) -> None:
        self._opening, self._level = opening, level
        self._version = _version(opening)
        self._header = HEADERS.get((opening.path, level, self._version), self._asked)

    @property
    def geobox(self) -> GeoBox:
        """Where it lies.

        Raises
        ------
        TypeError
            It has no transform.
        """
        geobox = self._header.geobox
        if isinstance(geobox, GCPGeoBox):
            raise TypeError("it is placed by ground control points, not by a transform")
        return geobox

    @property
    def has_crs(self) -> bool:
        """Whether it states a CRS."""
        return self._header.has_crs

    @property
    def shape(self) -> Shape:
        """Rows and columns."""
        return self._header.shape

    @property
    def count(self) -> int:
        """Number of its bands."""
        return self._header.count

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return what a function of this raster's header returns, computed for the first who asks."""
        notes = self._header.notes
        if key not in notes:
            notes[key] = compute()
        made: T = notes[key]
        return made

    def overviews(self, band: int) -> Sequence[int]:
        """Return the decimation factor of each overview; looking for them may cost requests."""
        factors = self._header.factors
        if band not in factors:
            factors[band] = self._with(lambda raster: datasets.overviews(raster, band))
        return factors[band]

    def read(self, band: int, window: tuple[Span, Span]) -> NDArray[Any]:
        """Read the pixels ((top, bottom), (left, right)) of a band, all of them inside the raster.

        Returns
        -------
        (y, x) numbers in the raster's own dtype; maybe read-only.
        """
        header = self._header
        if header.unit is None:
            whole: NDArray[Any] = self._with(lambda raster: raster.read(band, window=window))
            return whole
        keys = {(header, band, at): at for at in units(window, header.unit)}
        blocks = BLOCKS.get(list(keys), partial(self._decoded, band))
        numbers = np.empty([last - first for first, last in window], header.dtypes[band - 1])
        for key, at in keys.items():
            copy_part(numbers, window, blocks[key], place(at, header.unit, header.shape))
        return numbers

    def _decoded(self, band: int, keys: Sequence[Hashable]) -> Mapping[Hashable, Block]:
        wanted: list[Unit] = [key[2] for key in keys]  # type: ignore[index]
        return self._with(partial(self._blocks, band, wanted))

    def _blocks(
        self, band: int, wanted: Sequence[Unit], raster: DatasetReader
    ) -> Mapping[Hashable, Block]:
        header, blocks = self._header, dict[Hashable, Block]()
        assert header.unit is not None
        shapes = rectangles(wanted) if self._opening.host else map(_alone, wanted)
        for rows, cols in shapes:
            (top, _), (left, _) = place((rows[0], cols[0]), header.unit, header.shape)
            (_, bottom), (_, right) = place(
                (rows[1] - 1, cols[1] - 1), header.unit, header.shape
            )
            read = raster.read(band, window=((top, bottom), (left, right)))
            for at in ((row, col) for row in range(*rows) for col in range(*cols)):
                (first, end), (start, stop) = place(at, header.unit, header.shape)
                block = read[first - top : end - top, start - left : stop - left]
                # A copy, lest a block hold the memory of all.
                block = block if block.shape == read.shape else block.copy()
                block.flags.writeable = False
                blocks[header, band, at] = block
        return blocks

    def _asked(self) -> Header:
        return self._with(_header)

    def _with(self, use: Callable[[DatasetReader], T]) -> T:
        with lent(self._opening, self._level, self._version) as raster:
            return use(raster)


def read_blocks(
    ref: AssetRef, use: Callable[[BlockRaster], T], *, overview_level: int | None = None
) -> T:
    """Call a function with a raster that reads from cached blocks; otherwise as `opening.read_asset`.

    Raises
    ------
    AssetError, AssetUnavailableError
        As of `opening.read_asset`.
    """
    return attempt(ref, partial(_used, use, overview_level))


def _used(use: Callable[[BlockRaster], T], level: int | None, opening: access.Opening) -> T:
    try:
        return use(BlockRaster(opening, level))
    except Exception:
        if opening.host is not None:
            HEADERS.drop(opening.path)
            forget_raster(opening.path)
        raise


def _alone(at: Unit) -> tuple[Span, Span]:
    """Return one unit as a rectangle: without a server, fewer reads save nothing, and blocks need no copy."""
    row, col = at
    return (row, row + 1), (col, col + 1)


def _version(opening: access.Opening) -> Hashable:
    """Return a key that changes when a file of this machine is replaced; None: it is remote, or not there."""
    if opening.host is not None:
        return None
    try:
        found = os.stat(opening.path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


_known_crs: dict[str, CRS] = {}


def _geobox(raster: DatasetReader) -> GeoBox | GCPGeoBox:
    """Return where a raster lies, with the CRS object of those before it.

    A CRS finds its EPSG code when it is first asked; for EPSG:3031 that takes .1 s, twenty times as long as a window.
    """
    geobox = rio_geobox(raster)
    if isinstance(geobox, GCPGeoBox) or geobox.crs is None:
        return geobox
    if len(_known_crs) >= MOST_HEADERS:
        _known_crs.clear()
    crs = _known_crs.setdefault(str(geobox.crs), geobox.crs)
    return GeoBox(geobox.shape, geobox.transform, crs)


def _header(raster: DatasetReader) -> Header:
    shape = (raster.height, raster.width)
    itemsize = max(np.dtype(name).itemsize for name in raster.dtypes)
    rows, cols = raster.block_shapes[0]
    return Header(
        geobox=_geobox(raster),
        has_crs=raster.crs is not None,
        shape=shape,
        count=raster.count,
        dtypes=tuple(raster.dtypes),
        unit=unit_shape((rows, cols), shape, itemsize),
        fresh_until=time.monotonic() + FRESH_S,
    )


Key = tuple[str, int | None, Hashable]
"""Path, overview level, version of a file of this machine."""


class Headers:
    """Headers of rasters; those used longest ago are dropped first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: dict[Key, Header] = {}
        self._lock = threading.Lock()

    def get(self, key: Key, ask: Callable[[], Header]) -> Header:
        """Return a header, from the raster if it is not held or no longer fresh."""
        with self._lock:
            held = self._held.pop(key, None)
            if held is not None and (key[2] is not None or held.fresh_until > time.monotonic()):
                self._held[key] = held
                return held
        made = ask()
        with self._lock:
            # Threads that asked at once agree on the first answer, since blocks are found by it.
            made = self._held.pop(key, made)
            self._held[key] = made
            while len(self._held) > self._most:
                del self._held[next(iter(self._held))]
        return made

    def drop(self, path: str | None = None) -> None:
        """Drop the headers of a path, or all."""
        with self._lock:
            self._held = {k: v for k, v in self._held.items() if path not in (None, k[0])}


HEADERS = Headers(MOST_HEADERS)
