"""Arrays of pixels that are stored as ours are: a file of chunks (a shard) a tile and time.

Each chunk is compressed by zstd with a checksum. zarr reads the index of a shard again for each chunk, in some
milliseconds; a series of a field asks for one chunk of each of a hundred dates. So shards of masks, which are small, are
read whole and kept, of others the index and the chunks; a chunk is decoded in some ten microseconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
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
WHOLE, INDEX, PART, RUNS = "whole", "index", "part", "runs"
"""What is kept: of a shard all its bytes or its index; of a chunk its bytes or its runs."""
OF_CHUNKS = (PART, RUNS)
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
            self._forget(self._places(at, window))
            # zarr finds which chunk it is, or that it can be read after all.
            if isinstance(error, StoreError):
                raise
            explain(self.array, where, error)

    def _window(self, at: int, window: Sequence[Any]) -> NDArray[Any]:
        ys, xs = window
        at_once = self._chunk_of(ys), self._chunk_of(xs)
        if None not in at_once:
            # Of one chunk: nothing is copied.
            (chunk,) = self._chunks([(at, *at_once)])  # type: ignore[list-item]
            if chunk is not None:
                _, of_y = _overlap(ys, ys.start // self.edge * self.edge, self.edge)
                _, of_x = _overlap(xs, xs.start // self.edge * self.edge, self.edge)
                return chunk[of_y, of_x]
        out = np.empty((ys.stop - ys.start, xs.stop - xs.start), self.array.dtype)
        chunks = self._places(at, window)
        for (_, row, col), chunk in zip(chunks, self._chunks(chunks), strict=True):
            to_y, of_y = _overlap(ys, row * self.edge, self.edge)
            to_x, of_x = _overlap(xs, col * self.edge, self.edge)
            out[to_y, to_x] = self.array.fill_value if chunk is None else chunk[of_y, of_x]
        return out

    def _places(self, at: int, window: Sequence[Any]) -> list[Place]:
        """Return the chunks that a window touches."""
        rows, cols = (
            range(each.start // self.edge, -(-each.stop // self.edge)) for each in window
        )
        return [(at, row, col) for row in rows for col in cols]

    def _chunk_of(self, span: slice) -> int | None:
        """Return the chunk along one axis that holds all of a span; none: there are several, or nothing."""
        first, last = span.start // self.edge, (span.stop - 1) // self.edge
        return int(first) if first == last and span.start < span.stop else None

    def runs(self, wanted: Sequence[Place]) -> list[NDArray[np.uint32]]:
        """Return chunks of class codes as runs, see `pipeline.store.read.runs`; they are kept as such."""
        keys = [self._key(RUNS, each) for each in wanted]
        found = [self.cache.get(each) for each in keys]
        missing = [n for n, each in enumerate(found) if each is None]
        try:
            chunks = self._chunks([wanted[n] for n in missing])
            for n, chunk in zip(missing, chunks, strict=True):
                found[n] = made = as_runs(self._empty_chunk if chunk is None else chunk)
                # All who ask get this array.
                made.flags.writeable = False
                self.cache.put(keys[n], made, made.nbytes + OVERHEAD)
        except CANNOT_READ as error:
            self._forget(wanted)
            for at, row, col in wanted:
                ys, xs = (
                    slice(each * self.edge, (each + 1) * self.edge) for each in (row, col)
                )
                read(self.array, (at, ys, xs))
            raise StoreError(f"cannot read {self.array.path}: {error}") from error
        return found

    def _chunks(self, wanted: Sequence[Place]) -> Iterator[NDArray[Any] | None]:
        """Return chunks; none: it is not stored."""
        whole = self.array.dtype.itemsize <= SMALL
        found = self._of_whole_shards(wanted) if whole else self._one_by_one(wanted)
        return (self._decoded(each) for each in found)

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

    # -- loading: chunks as they are stored; empty: the chunk is not stored ----------------------

    def _of_whole_shards(self, wanted: Sequence[Place]) -> Iterator[bytes]:
        shards = self._kept({self._shard(each) for each in wanted}, self._load_whole, WHOLE)
        for chunk in wanted:
            stored = shards[self._shard(chunk)]
            start, size = self._span(stored[-self._index_bytes :], chunk)
            yield b"" if start == NOTHING else stored[start : start + size]

    def _one_by_one(self, wanted: Sequence[Place]) -> Iterator[bytes]:
        found = self._kept({*wanted}, self._load_parts, PART)
        return (found[each] for each in wanted)

    def _kept(
        self, wanted: set[Place], load: Callable[[list[Place]], list[bytes]], kind: str
    ) -> dict[Place, bytes]:
        """Return what is kept, and load and keep what is not."""
        keys = {each: self._key(kind, each) for each in wanted}
        found = {each: self.cache.get(key) for each, key in keys.items()}
        missing = [each for each, known in found.items() if known is None]
        if missing:
            for each, stored in zip(missing, load(missing), strict=True):
                found[each] = stored
                self.cache.put(keys[each], stored, len(stored) + OVERHEAD)
        return found

    def _key(self, kind: str, place: Place) -> Hashable:
        shard = self._shard(place) if kind in OF_CHUNKS else place
        return self.cache.key(self.array.path, shard, kind, place)

    def _forget(self, chunks: Sequence[Place]) -> None:
        """Forget what some chunks were decoded from: it may have been damaged on its way only, or be mended since."""
        for chunk in chunks:
            for kind in (WHOLE, INDEX, *OF_CHUNKS):
                place = chunk if kind in OF_CHUNKS else self._shard(chunk)
                self.cache.drop(self._key(kind, place))

    def _load_whole(self, shards: list[Place]) -> list[bytes]:
        """Read shards; one that is not stored is one of which no chunk is."""
        return [each or self._nothing for each in self._get([(each, None) for each in shards])]

    def _load_indexes(self, shards: list[Place]) -> list[bytes]:
        end = SuffixByteRequest(self._index_bytes)
        return [each or self._nothing for each in self._get([(each, end) for each in shards])]

    def _load_parts(self, chunks: list[Place]) -> list[bytes]:
        shards = {self._shard(each) for each in chunks}
        indexes = self._kept(shards, self._load_indexes, INDEX)
        spans = [self._span(indexes[self._shard(each)], each) for each in chunks]
        there = [n for n, (start, _) in enumerate(spans) if start != NOTHING]
        wanted = [
            (self._shard(chunks[n]), RangeByteRequest(spans[n][0], sum(spans[n])))
            for n in there
        ]
        found = [b""] * len(chunks)
        for n, stored in zip(there, self._get(wanted), strict=True):
            if stored is None:
                raise ValueError("it is lost")
            found[n] = stored
        return found

    def _span(self, index: bytes, chunk: Place) -> tuple[int, int]:
        """Return where a chunk begins in its shard, and how long it is."""
        start, size = self._index(index)[self._number(chunk)].tolist()
        return start, size

    def _number(self, chunk: Place) -> int:
        """Return the number of a chunk in its shard."""
        row, col = (n % self.along for n in chunk[1:])
        return row * self.along + col

    @property
    def _index_bytes(self) -> int:
        return 16 * self.along**2 + _CRC

    @property
    def _nothing(self) -> bytes:
        """A shard that has no chunk."""
        index = np.full((self.along**2, 2), NOTHING, "<u8").tobytes()
        checksum: int = google_crc32c.value(index)
        return index + checksum.to_bytes(_CRC, "little")

    def _index(self, stored: bytes) -> Index:
        content, checksum = stored[:-_CRC], int.from_bytes(stored[-_CRC:], "little")
        if google_crc32c.value(content) != checksum:
            raise ValueError("the checksum of its index is another")
        return np.frombuffer(content, "<u8").reshape(-1, 2)

    def _get(self, wanted: Sequence[tuple[Place, ByteRequest | None]]) -> list[bytes | None]:
        """Read shards, or parts of them, at once; none: it is not stored."""
        return sync(self._all(wanted))

    async def _all(
        self, wanted: Sequence[tuple[Place, ByteRequest | None]]
    ) -> list[bytes | None]:
        return list(await asyncio.gather(*(self._one(*each) for each in wanted)))

    async def _one(self, shard: Place, span: ByteRequest | None) -> bytes | None:
        path = self.array.store_path / self.array.metadata.encode_chunk_key(shard)
        stored: Any = await path.get(default_buffer_prototype(), byte_range=span)
        return None if stored is None else stored.to_bytes()


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
