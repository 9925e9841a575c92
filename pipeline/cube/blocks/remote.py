"""Headers and decoded blocks of remote rasters that outlive the process, in a `DiskCache`.

They are found by where a raster is (without its signature) and by what its server says of its version: size, ETag, time
of the last change. The server is asked for these before anything is read, so that what is read is of that version or of a
later one. What a replaced raster leaves under the version before is never looked for again.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import rasterio
from numcodecs.blosc import Blosc

from pipeline.access.locations import unsigned
from pipeline.cube.blocks.disk import DiskCache
from pipeline.cube.blocks.memory import Block
from pipeline.cube.blocks.units import Shape, Unit

log = logging.getLogger(__name__)

FORMAT = 1
"""Of keys and entries; another one finds nothing of those before."""

SETTLED_S = 60.0
"""A time of the last change that is younger than this may be that of two versions: it has whole seconds."""

CODEC = Blosc("lz4", clevel=1, shuffle=Blosc.BITSHUFFLE)
"""Two thirds of the size for a tenth of what decoding DEFLATE takes."""

_disk: DiskCache | None = None


def use_disk(folder: Path | None, most_bytes: int) -> None:
    """Keep decoded blocks of remote rasters in a folder, from now on in this process.

    Parameters
    ----------
    folder
        Where; None: nowhere. If it cannot be used a warning says why, and nothing is kept.
    most_bytes
        Its size; 0: nothing is kept.
    """
    global _disk  # noqa: PLW0603  (as the blocks in memory, one for the process)
    _disk = None
    if folder is None or not most_bytes:
        return
    try:
        _disk = DiskCache(folder, most_bytes)
    except OSError as error:
        log.warning("decoded blocks are not kept on disk: %s", error)


def disk() -> DiskCache | None:
    """Return the cache of this process; None: there is none."""
    return _disk


# -- versions ----------------------------------------------------------------------------------


def version(headers: Mapping[str, str], now: datetime | None = None) -> str | None:
    """Return what tells a raster from the one that it replaced, from the headers of an answer (names in small letters).

    None if nothing does: there is neither a strong ETag nor a time of the last change that is old enough.
    """
    # Of buckets GDAL asks for the first bytes.
    _, part, whole = headers.get("content-range", "").rpartition("/")
    size, etag = whole if part else headers.get("content-length", ""), headers.get("etag", "")
    modified = headers.get("last-modified", "")
    strong = bool(etag) and not etag.startswith("W/")
    if not size.isdigit() or not (strong or _is_settled(modified, headers.get("date"), now)):
        return None
    return json.dumps([int(size), etag, modified])


def _is_settled(modified: str, date: str | None, now: datetime | None) -> bool:
    try:
        changed = parsedate_to_datetime(modified)
        asked = parsedate_to_datetime(date) if date else now or datetime.now(UTC)
        return (asked - changed).total_seconds() >= SETTLED_S
    except (ValueError, TypeError):
        return False


class Versions:
    """The versions of remote rasters by path, as their servers last said."""

    def __init__(self, most: int, fresh_s: float) -> None:
        self._most, self._fresh_s = most, fresh_s
        self._held: dict[str, tuple[str | None, float]] = {}
        self._lock = threading.Lock()

    def get(self, path: str) -> tuple[str | None] | None:
        """Return the version, which may be None, in a tuple; None if it has to be asked for."""
        with self._lock:
            found = self._held.get(path)
        return (found[0],) if found is not None and found[1] > time.monotonic() else None

    def set(self, path: str, found: str | None) -> None:
        """Note a version."""
        with self._lock:
            while len(self._held) >= self._most:
                del self._held[next(iter(self._held))]
            self._held[path] = found, time.monotonic() + self._fresh_s

    def drop(self, path: str | None = None) -> None:
        """Forget the version of a path, or of all."""
        with self._lock:
            self._held = {k: v for k, v in self._held.items() if path not in (None, k)}


# -- entries -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entries:
    """What is kept of one version of a raster, or of one of its overviews."""

    cache: DiskCache
    prefix: str

    @classmethod
    def of(cls, href: str, found: str, level: int | None) -> Entries | None:
        """Return the entries of a location in a version; None if nothing is kept in this process."""
        if _disk is None:
            return None
        where = unsigned(urlsplit(href))
        # One GDAL may decode otherwise than another.
        return cls(_disk, json.dumps([FORMAT, rasterio.__gdal_version__, where, found, level]))

    def header(self) -> Mapping[str, Any] | None:
        """Return what `keep_header` got; None: nothing is kept."""
        content = self.cache.get(self.prefix)
        return None if content is None else dict(json.loads(bytes(content)))

    def keep_header(self, facts: Mapping[str, Any]) -> None:
        """Keep plain facts of a header."""
        self.cache.put(self.prefix, json.dumps(facts).encode())

    def block(self, band: int, at: Unit, shape: Shape, dtype: str) -> Block | None:
        """Return a block of (rows, columns) `shape`, read-only; None: it is not kept."""
        content = self.cache.get(self._key(band, at, shape, dtype))
        if content is None:
            return None
        block = np.empty(shape, dtype)
        CODEC.decode(content, out=block)
        block.flags.writeable = False
        return block

    def keep_block(self, band: int, at: Unit, block: Block) -> None:
        """Keep a decoded block."""
        key = self._key(band, at, block.shape, str(block.dtype))
        self.cache.put(key, CODEC.encode(np.ascontiguousarray(block)))

    def _key(self, band: int, at: Unit, shape: Sequence[int], dtype: str) -> str:
        return f"{self.prefix} {json.dumps([band, at, shape, dtype])}"
