"""What is known of a raster once it was opened, in memory and on disk."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from affine import Affine
from odc.geo.converters import rio_geobox
from odc.geo.crs import CRS
from odc.geo.gcp import GCPGeoBox
from odc.geo.geobox import GeoBox
from rasterio.io import DatasetReader

from pipeline import access
from pipeline.cube.blocks.memory import Block
from pipeline.cube.blocks.remote import Entries
from pipeline.cube.blocks.units import Shape, Unit, place, unit_shape

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
    block_shape: Shape
    """Rows and columns of its own blocks."""
    entries: Entries | None = None
    """What of it is kept on disk; None: nothing."""
    fresh_until: float = field(default_factory=lambda: time.monotonic() + FRESH_S)
    """On the monotonic clock."""
    factors: dict[int, Sequence[int]] = field(default_factory=dict)
    """Band -> decimation factor of each overview, where they have been looked for."""
    notes: dict[Hashable, Any] = field(default_factory=dict)
    """What else was computed from this header: see `BlockRaster.once`."""
    unit: Shape | None = field(init=False)
    """Rows and columns that are decoded together; None: windows are read as they are."""

    def __post_init__(self) -> None:
        itemsize = max(np.dtype(name).itemsize for name in self.dtypes)
        unit = unit_shape(self.block_shape, self.shape, itemsize)
        object.__setattr__(self, "unit", unit)

    def keep(self) -> None:
        """Keep this header on disk, where it can be written as plain facts."""
        facts = None if self.entries is None else _facts(self)
        if facts is not None:
            assert self.entries is not None
            self.entries.keep_header(facts)

    def kept_blocks(self, band: int, wanted: Sequence[Unit]) -> dict[Unit, Block]:
        """Return the blocks of a band that are on disk."""
        if self.entries is None or self.unit is None:
            return {}
        found = {}
        for at in wanted:
            rows, cols = place(at, self.unit, self.shape)
            shape = rows[1] - rows[0], cols[1] - cols[0]
            block = self.entries.block(band, at, shape, self.dtypes[band - 1])
            if block is not None:
                found[at] = block
        return found

    def keep_blocks(self, band: int, blocks: Mapping[Unit, Block]) -> None:
        """Keep blocks of a band on disk."""
        if self.entries is None:
            return
        for at, block in blocks.items():
            self.entries.keep_block(band, at, block)


def header_of(raster: DatasetReader, entries: Entries | None = None) -> Header:
    """Return the header of an open raster."""
    rows, cols = raster.block_shapes[0]
    return Header(
        geobox=_geobox(raster),
        has_crs=raster.crs is not None,
        shape=(raster.height, raster.width),
        count=raster.count,
        dtypes=tuple(raster.dtypes),
        block_shape=(rows, cols),
        entries=entries,
    )


_known_crs: dict[str, CRS] = {}


def _geobox(raster: DatasetReader) -> GeoBox | GCPGeoBox:
    """Return where a raster lies, with the CRS object of those before it."""
    geobox = rio_geobox(raster)
    if isinstance(geobox, GCPGeoBox) or geobox.crs is None:
        return geobox
    return GeoBox(geobox.shape, geobox.transform, _same_crs(geobox.crs))


def _same_crs(crs: CRS) -> CRS:
    """Return the CRS object that was first seen of those that are equal.

    A CRS finds its EPSG code when it is first asked; for EPSG:3031 that takes .1 s, twenty times as long as a window.
    """
    if len(_known_crs) >= MOST_HEADERS:
        _known_crs.clear()
    return _known_crs.setdefault(str(crs), crs)


# -- on disk -----------------------------------------------------------------------------------


def kept_header(entries: Entries) -> Header | None:
    """Return the header that is kept on disk; None: there is none."""
    try:
        facts = entries.header()
        return None if facts is None else _from_facts(facts, entries)
    except (ValueError, TypeError, LookupError):
        # Not what this version writes.
        return None


def _from_facts(facts: Mapping[str, Any], entries: Entries) -> Header:
    crs = None if facts["crs"] is None else _same_crs(CRS(facts["crs"]))
    shape = (facts["shape"][0], facts["shape"][1])
    return Header(
        geobox=GeoBox(shape, Affine(*facts["transform"]), crs),
        has_crs=facts["has_crs"],
        shape=shape,
        count=facts["count"],
        dtypes=tuple(facts["dtypes"]),
        block_shape=tuple(facts["block_shape"]),
        entries=entries,
        factors={int(band): each for band, each in facts["factors"].items()},
    )


def _facts(header: Header) -> Mapping[str, Any] | None:
    """Write a header down; None where its place cannot be found again from text."""
    geobox = header.geobox
    if isinstance(geobox, GCPGeoBox):
        return None
    text = None if geobox.crs is None else str(geobox.crs)
    if text is not None and str(CRS(text)) != text:
        return None
    return {
        "crs": text,
        "transform": list(geobox.transform)[:6],
        "has_crs": header.has_crs,
        "shape": header.shape,
        "count": header.count,
        "dtypes": header.dtypes,
        "block_shape": header.block_shape,
        "factors": {band: list(each) for band, each in header.factors.items()},
    }


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


def file_version(opening: access.Opening) -> Hashable:
    """Return a key that changes when a file of this machine is replaced; None: it is remote, or not there."""
    if opening.host is not None:
        return None
    try:
        found = os.stat(opening.path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino
