"""Reads parts of stored arrays as they are stored, without xarray, and keeps what it read.

Arrays of pixels are read by `pipeline.store.read.shards`; what is not stored in just that way, by zarr.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.store.arrays import layout
from pipeline.store.base.reading import chunks_of, read
from pipeline.store.base.translate_errors import explained
from pipeline.store.read.chunk_cache import ChunkCache
from pipeline.store.read.runs import as_runs
from pipeline.store.read.shards import OVERHEAD, Shards


class Reading:
    """Reads parts of the arrays of a group; errors name the store's `url`."""

    def __init__(self, group: zarr.Group, url: str, cache: ChunkCache) -> None:
        self._group = group
        self._what = f"cannot read {group.path} of the store {url}"
        self._cache = cache
        self._opened: dict[str, Shards | zarr.Array[Any]] = {}

    def part(self, name: str, where: tuple[int | slice, ...]) -> NDArray[Any]:
        """Return a part of an array: `pipeline.types.series.Reader`."""
        with explained(self._what):
            found = self._array(name)
            if isinstance(found, Shards):
                return found.read(where)
            return _cells(found, where, self._cache)

    def runs(self, positions: Sequence[int], row: int, col: int) -> list[NDArray[np.uint32]]:
        """Return a chunk of some scenes as runs: `pipeline.types.series.RunReader`."""
        with explained(self._what):
            found = self._array("mask")
            if isinstance(found, Shards):
                return found.runs([(at, row, col) for at in positions])
            return [_runs(found, at, row, col) for at in positions]

    def _array(self, name: str) -> Shards | zarr.Array[Any]:
        if name not in self._opened:
            array = layout.array_of(self._group, name)
            self._opened[name] = Shards.of(array, self._cache) or array
        return self._opened[name]


def _cells(
    array: zarr.Array[Any], where: tuple[int | slice, ...], cache: ChunkCache
) -> NDArray[Any]:
    """Read a small array; kept by what was asked for."""
    chunks = list(product(*chunks_of(array, where)))
    key = cache.key_of_many(array.path, chunks, array.shape, *(str(each) for each in where))
    known = cache.get(key)
    if known is None:
        known = read(array, where)
        # All who ask get this array.
        known.flags.writeable = False
        cache.put(key, known, known.nbytes + OVERHEAD)
    found: NDArray[Any] = known
    return found


def _runs(array: zarr.Array[Any], at: int, row: int, col: int) -> NDArray[np.uint32]:
    edge = array.chunks[-1]
    window = slice(row * edge, (row + 1) * edge), slice(col * edge, (col + 1) * edge)
    codes = np.zeros((edge, edge), np.uint8)
    there = read(array, (at, *window))
    codes[: there.shape[0], : there.shape[1]] = there
    return as_runs(codes)
