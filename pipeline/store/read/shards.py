"""Arrays of pixels that are stored as ours are: a file of chunks (a shard) a tile and time.

Each chunk is compressed by zstd with a checksum. zarr reads the index of a shard again for each chunk, in some
milliseconds; a series of a field asks for one chunk of each of a hundred dates. So shards of masks, which are small, are
read whole and kept, of others the index and the chunks; a chunk is decoded in some ten microseconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterator, Sequence
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
from pipeline.store.base.reading import CANNOT_READ, explain, read
from pipeline.store.read.chunk_cache import ChunkCache
from pipeline.store.read.runs import as_runs

NOTHING = (1 << 64) - 1
"""Offset and length of a chunk that is not stored: it has the fill value."""
SMALL = 1
"""Bytes of a pixel up to which shards are read whole."""
OVERHEAD = 500
"""Bytes that a key and the bookkeeping of what is kept take, about."""
_CRC = 4

Window = tuple[slice, slice]
Index = NDArray[np.uint64]
Place = tuple[int, int, int]
"""Of a chunk: position in time, row and column."""


@dataclass(frozen=True, slots=True)
class Shards:
    """An array of pixels that is stored as ours are."""

    array: zarr.Array[Any]
    cache: ChunkCache
    edge: int
    """Of a chunk, pixels."""
    along: int
    """Chunks along each side of a shard."""

    @classmethod
    def of(cls, array: zarr.Array[Any], cache: ChunkCache) -> Shards | None:
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
            (chunk,) = self._chunks([(at, *at_once)])  # type: ignore[list-item]
            if chunk is not None:
                _, of_y = _overlap(ys, ys.start // self.edge * self.edge, self.edge)
                _, of_x = _overlap(xs, xs.start // self.edge * self.edge, self.edge)
                return chunk[of_y, of_x]
        out = np.empty((ys.stop - ys.start, xs.stop - xs.start), self.array.dtype)
        rows, cols = (
            range(each.start // self.edge, -(-each.stop // self.edge)) for each in window
        )
        chunks = [(at, row, col) for row in rows for col in cols]
        for (_, row, col), chunk in zip(chunks, self._chunks(chunks), strict=True):
            to_y, of_y = _overlap(ys, row * self.edge, self.edge)
            to_x, of_x = _overlap(xs, col * self.edge, self.edge)
            out[to_y, to_x] = self.array.fill_value if chunk is None else chunk[of_y, of_x]
        return out

    def _one(self, span: slice) -> int | None:
        """Return the chunk along one axis that holds all of a span; none: there are several, or nothing."""
        first, last = span.start // self.edge, (span.stop - 1) // self.edge
        return int(first) if first == last and span.start < span.stop else None

    def runs(self, wanted: Sequence[Place]) -> list[NDArray[np.uint32]]:
        """Return chunks of class codes as runs, see `pipeline.store.read.runs`; they are kept as such."""
        keys = [self._key(each, "runs") for each in wanted]
        found = [self.cache.get(each) for each in keys]
        missing = [n for n, each in enumerate(found) if each is None]
        try:
            chunks = self._chunks([wanted[n] for n in missing])
            for n, chunk in zip(missing, chunks, strict=True):
                found[n] = made = as_runs(self._empty_chunk if chunk is None else chunk)
                self.cache.put(keys[n], made, made.nbytes + OVERHEAD)
        except CANNOT_READ as error:
            for at, row, col in wanted:
                ys, xs = (
                    slice(each * self.edge, (each + 1) * self.edge) for each in (row, col)
                )
                read(self.array, (at, ys, xs))
            raise StoreError(f"cannot read {self.array.path}: {error}") from error
        return found

    def _chunks(self, wanted: Sequence[Place]) -> Iterator[NDArray[Any] | None]:
        """Return chunks; none: it is not stored."""
        found = [self.cache.get(self._key(each)) for each in wanted]
        missing = [each for each, known in zip(wanted, found, strict=True) if known is None]
        if missing:
            loaded = self._load(missing)
            found = [
                loaded[each] if known is None else known
                for each, known in zip(wanted, found, strict=True)
            ]
        return (self._decoded(each) for each in found)

    def _key(self, chunk: Place, *rest: str) -> Hashable:
        return self.cache.key(self.array.path, self._shard(chunk), *chunk[1:], *rest)

    def _shard(self, chunk: Place) -> Place:
        at, row, col = chunk
        return at, row // self.along, col // self.along

    @property
    def _empty_chunk(self) -> NDArray[Any]:
        return np.full((self.edge, self.edge), self.array.fill_value, self.array.dtype)

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

    def _load(self, wanted: Sequence[Place]) -> dict[Place, bytes]:
        """Read chunks, as they are stored, and keep them; empty: the chunk is not stored."""
        shards: dict[Place, list[Place]] = {}
        for each in wanted:
            shards.setdefault(self._shard(each), []).append(each)
        whole = self.array.dtype.itemsize <= SMALL
        load = self._whole if whole else self._parts
        found: dict[Place, bytes] = {}
        for some in sync(_all(load(shard, chunks) for shard, chunks in shards.items())):
            for chunk, stored in some.items():
                self.cache.put(self._key(chunk), stored, len(stored) + OVERHEAD)
            found |= some
        return found

    async def _whole(self, shard: Place, _: Sequence[Place]) -> dict[Place, bytes]:
        stored = await self._get(shard, None)
        if stored is None:
            return {chunk: b"" for _, chunk in self._places(shard)}
        index = self._index(stored[-self._index_bytes :]).tolist()
        return {
            chunk: b"" if start == NOTHING else stored[start : start + size]
            for n, chunk in self._places(shard)
            for start, size in [index[n]]
        }

    async def _parts(self, shard: Place, chunks: Sequence[Place]) -> dict[Place, bytes]:
        key = self.cache.key(self.array.path, shard, "index")
        index = self.cache.get(key)
        if index is None:
            stored = await self._get(shard, SuffixByteRequest(self._index_bytes))
            index = self._empty if stored is None else self._index(stored)
            self.cache.put(key, index, index.nbytes + OVERHEAD)
        loaded = await asyncio.gather(*(self._part(shard, index, each) for each in chunks))
        return dict(zip(chunks, loaded, strict=True))

    async def _part(self, shard: Place, index: Index, chunk: Place) -> bytes:
        row, col = (n % self.along for n in chunk[1:])
        start, size = index[row * self.along + col]
        if start == NOTHING:
            return b""
        span = RangeByteRequest(int(start), int(start + size))
        stored = await self._get(shard, span)
        if stored is None:
            raise ValueError("it is lost")
        return stored

    def _places(self, shard: Place) -> Iterator[tuple[int, Place]]:
        """Yield number and place of the chunks of a shard."""
        at, top, left = shard[0], shard[1] * self.along, shard[2] * self.along
        for n, (row, col) in enumerate(product(range(self.along), repeat=2)):
            yield n, (at, top + row, left + col)

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

    async def _get(self, shard: Place, span: ByteRequest | None) -> bytes | None:
        path = self.array.store_path / self.array.metadata.encode_chunk_key(shard)
        stored = await path.get(default_buffer_prototype(), byte_range=span)
        return None if stored is None else stored.to_bytes()


async def _all(loads: Iterator[Any]) -> list[dict[Place, bytes]]:
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
