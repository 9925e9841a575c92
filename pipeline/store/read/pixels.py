"""Reads parts of stored arrays as they are stored, without xarray, and keeps what it read.

An array of pixels of ours is a file of chunks (a shard) a tile and time, each chunk compressed by zstd with a
checksum. zarr reads the index of a shard again for each chunk, in some milliseconds; a series of a field asks for one
chunk of each of a hundred dates. So shards of masks, which are small, are read whole and kept, of others the index
and the chunks; a chunk is decoded in some ten microseconds. What is not stored in just this way is read by zarr.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import google_crc32c
import numpy as np
import zarr
from numcodecs.zstd import decompress
from numpy.typing import NDArray
from zarr.abc.store import ByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.codecs import BytesCodec, Crc32cCodec, ShardingCodec, ZstdCodec
from zarr.core.buffer import default_buffer_prototype
from zarr.core.metadata import ArrayV3Metadata
from zarr.core.sync import sync

from pipeline.errors import StoreError
from pipeline.store.arrays import layout
from pipeline.store.base.reading import CANNOT_READ, explain, read
from pipeline.store.base.translate_errors import explained
from pipeline.store.read.chunk_cache import ChunkCache
from pipeline.types.series import Reader

NOTHING = (1 << 64) - 1
"""Offset and length of a chunk that is not stored: it has the fill value."""
SMALL = 1
"""Bytes of a pixel up to which shards are read whole."""
_CRC = 4

Window = tuple[slice, slice]
Index = NDArray[np.uint64]


def reader_of(group: zarr.Group, url: str, cache: ChunkCache) -> Reader:
    """Return what reads parts of the arrays of a group; errors name the store's `url`."""
    opened: dict[str, _Shards | zarr.Array[Any]] = {}

    def reader(name: str, where: tuple[int | slice, ...]) -> NDArray[Any]:
        with explained(f"cannot read {group.path} of the store {url}"):
            if name not in opened:
                array = layout.array_of(group, name)
                opened[name] = _Shards.of(array, cache) or array
            found = opened[name]
            if isinstance(found, _Shards):
                return found.read(where)
            return _cells(found, where, cache)

    return reader


def _cells(
    array: zarr.Array[Any], where: tuple[int | slice, ...], cache: ChunkCache
) -> NDArray[Any]:
    """Read a small array; kept by what was asked for."""
    key = (array.path, *(str(each) for each in where))
    known = cache.get(key)
    if known is None:
        known = read(array, where)
        cache.put(key, known, known.nbytes)
    found: NDArray[Any] = known
    return found


@dataclass(frozen=True, slots=True)
class _Shards:
    """An array of pixels that is stored as ours are."""

    array: zarr.Array[Any]
    cache: ChunkCache
    edge: int
    """Of a chunk, pixels."""
    along: int
    """Chunks along each side of a shard."""

    @classmethod
    def of(cls, array: zarr.Array[Any], cache: ChunkCache) -> _Shards | None:
        """Return the array, if it is stored as ours are."""
        if not _is_ours(array) or array.shards is None:
            return None
        edge = int(array.chunks[-1])
        return cls(array, cache, edge, int(array.shards[-1]) // edge)

    def read(self, where: tuple[int | slice, ...]) -> NDArray[Any]:
        """Return the pixels (y, x) of a time and window; other parts are read by zarr."""
        at, *window = where
        if not isinstance(at, int) or len(window) != 2 or not all(map(_is_plain, window)):
            return read(self.array, where)
        try:
            return self._window(at, window)
        except (*CANNOT_READ, StoreError) as error:
            # zarr finds which chunk it is, or that it can be read after all.
            if isinstance(error, StoreError):
                raise
            explain(self.array, where, error)

    def _window(self, at: int, window: Sequence[Any]) -> NDArray[Any]:
        ys, xs = window
        at_once = self._one(ys), self._one(xs)
        if None not in at_once:
            # Of one chunk: nothing is copied.
            (chunk,) = self._chunks(at, [at_once])  # type: ignore[list-item]
            if chunk is not None:
                _, of_y = _overlap(ys, ys.start // self.edge * self.edge, self.edge)
                _, of_x = _overlap(xs, xs.start // self.edge * self.edge, self.edge)
                return chunk[of_y, of_x]
        out = np.empty((ys.stop - ys.start, xs.stop - xs.start), self.array.dtype)
        rows, cols = (
            range(each.start // self.edge, -(-each.stop // self.edge)) for each in window
        )
        chunks = [(row, col) for row in rows for col in cols]
        for (row, col), chunk in zip(chunks, self._chunks(at, chunks), strict=True):
            to_y, of_y = _overlap(ys, row * self.edge, self.edge)
            to_x, of_x = _overlap(xs, col * self.edge, self.edge)
            out[to_y, to_x] = self.array.fill_value if chunk is None else chunk[of_y, of_x]
        return out

    def _one(self, span: slice) -> int | None:
        """Return the chunk along one axis that holds all of a span; none: there are several, or nothing."""
        first, last = span.start // self.edge, (span.stop - 1) // self.edge
        return int(first) if first == last and span.start < span.stop else None

    def _chunks(
        self, at: int, wanted: Sequence[tuple[int, int]]
    ) -> Iterator[NDArray[Any] | None]:
        found = [self.cache.get((self.array.path, at, *each)) for each in wanted]
        missing = [each for each, known in zip(wanted, found, strict=True) if known is None]
        if missing:
            loaded = self._load(at, missing)
            found = [
                loaded[each] if known is None else known
                for each, known in zip(wanted, found, strict=True)
            ]
        return (self._decoded(each) for each in found)

    def _decoded(self, stored: bytes) -> NDArray[Any] | None:
        if not stored:
            return None
        content, checksum = stored[:-_CRC], int.from_bytes(stored[-_CRC:], "little")
        if google_crc32c.value(content) != checksum:
            raise ValueError("its checksum is another")
        return np.frombuffer(decompress(content), self.array.dtype).reshape(
            self.edge, self.edge
        )

    # -- loading -------------------------------------------------------------------------------

    def _load(self, at: int, wanted: Sequence[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
        """Read chunks, as they are stored, and keep them; empty: the chunk is not stored."""
        shards: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for row, col in wanted:
            shards.setdefault((row // self.along, col // self.along), []).append((row, col))
        whole = self.array.dtype.itemsize <= SMALL
        load = self._whole if whole else self._parts
        found: dict[tuple[int, int], bytes] = {}
        for each in sync(_all(load(at, shard, chunks) for shard, chunks in shards.items())):
            for (row, col), stored in each.items():
                self.cache.put((self.array.path, at, row, col), stored, len(stored) + 200)
            found |= each
        return found

    async def _whole(
        self, at: int, shard: tuple[int, int], _: Sequence[tuple[int, int]]
    ) -> dict[tuple[int, int], bytes]:
        stored = await self._get(at, shard, None)
        if stored is None:
            return {(row, col): b"" for _, row, col in self._places(shard)}
        index = self._index(stored[-self._index_bytes :])
        return {
            (row, col): b"" if start == NOTHING else stored[int(start) : int(start + size)]
            for (n, row, col) in self._places(shard)
            for start, size in [index[n]]
        }

    async def _parts(
        self, at: int, shard: tuple[int, int], chunks: Sequence[tuple[int, int]]
    ) -> dict[tuple[int, int], bytes]:
        key = (self.array.path, "index", at, *shard)
        index = self.cache.get(key)
        if index is None:
            stored = await self._get(at, shard, SuffixByteRequest(self._index_bytes))
            index = self._empty if stored is None else self._index(stored)
            self.cache.put(key, index, index.nbytes)
        loaded = await asyncio.gather(*(self._part(at, shard, index, each) for each in chunks))
        return dict(zip(chunks, loaded, strict=True))

    async def _part(
        self, at: int, shard: tuple[int, int], index: Index, chunk: tuple[int, int]
    ) -> bytes:
        row, col = (n % self.along for n in chunk)
        start, size = index[row * self.along + col]
        if start == NOTHING:
            return b""
        span = RangeByteRequest(int(start), int(start + size))
        stored = await self._get(at, shard, span)
        if stored is None:
            raise ValueError("it is lost")
        return stored

    def _places(self, shard: tuple[int, int]) -> Iterator[tuple[int, int, int]]:
        """Yield number, row and column of the chunks of a shard."""
        top, left = (each * self.along for each in shard)
        for n, (row, col) in enumerate(product(range(self.along), repeat=2)):
            yield n, top + row, left + col

    @property
    def _index_bytes(self) -> int:
        return 16 * self.along**2 + _CRC

    @property
    def _empty(self) -> Index:
        return np.full((self.along**2, 2), NOTHING, np.uint64)

    def _index(self, stored: bytes) -> Index:
        content, checksum = stored[:-_CRC], int.from_bytes(stored[-_CRC:], "little")
        if google_crc32c.value(content) != checksum:
            raise ValueError("the checksum of its index is another")
        return np.frombuffer(content, "<u8").reshape(-1, 2)

    async def _get(
        self, at: int, shard: tuple[int, int], span: ByteRequest | None
    ) -> bytes | None:
        path = self.array.store_path / self.array.metadata.encode_chunk_key((at, *shard))
        stored = await path.get(default_buffer_prototype(), byte_range=span)
        return None if stored is None else stored.to_bytes()


async def _all(loads: Iterator[Any]) -> list[dict[tuple[int, int], bytes]]:
    return list(await asyncio.gather(*loads))


def _is_plain(part: object) -> bool:
    return isinstance(part, slice) and part.step is None and isinstance(part.start, int)


def _overlap(wanted: slice, start: int, edge: int) -> tuple[slice, slice]:
    """Return where a chunk's pixels go along one axis, and which they are."""
    first, last = max(wanted.start, start), min(wanted.stop, start + edge)
    return slice(first - wanted.start, last - wanted.start), slice(first - start, last - start)


def _is_ours(array: zarr.Array[Any]) -> bool:
    metadata = array.metadata
    if not isinstance(metadata, ArrayV3Metadata) or array.ndim != 3 or array.chunks[0] != 1:
        return False
    [*before, outer] = metadata.codecs
    if before or not isinstance(outer, ShardingCodec) or outer.index_location.value != "end":
        return False
    square = array.chunks[1] == array.chunks[2] and array.shards is not None
    return (
        square
        and _kinds(outer.index_codecs) == (BytesCodec, Crc32cCodec)
        and _kinds(outer.codecs) == (BytesCodec, ZstdCodec, Crc32cCodec)
        and array.dtype.newbyteorder("<") == array.dtype
    )


def _kinds(codecs: Sequence[object]) -> tuple[type, ...]:
    return tuple(type(each) for each in codecs)
