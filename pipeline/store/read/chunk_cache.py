"""A bounded memory for what readers read: stored chunks as bytes, and small arrays of cells."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from pipeline.store.read.changes import Changes, Index


@dataclass(slots=True)
class _Kept:
    """What is kept, least recently used first."""

    most: int
    values: OrderedDict[Hashable, tuple[Any, int]] = field(default_factory=OrderedDict)
    size: int = 0
    hits: int = 0
    misses: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class ChunkCache:
    """Values by key, up to a number of bytes; any number of threads and archives may share it."""

    def __init__(self, most_bytes: int) -> None:
        self._kept = _Kept(most_bytes)
        self._changes = Changes("")

    def of(self, changes: Changes) -> ChunkCache:
        """Return the same memory for one state, which finds there what earlier states have in common with it."""
        other = ChunkCache(0)
        other._kept, other._changes = self._kept, changes
        return other

    def key(self, path: str, chunk: Index, *rest: Hashable) -> Hashable:
        """Return the key of what was read of a stored chunk of an array, by its place on the grid of chunks."""
        return self._changes.first, path, chunk, self._changes.writer(path, chunk), rest

    def key_of_many(self, path: str, chunks: list[Index], *rest: Hashable) -> Hashable:
        """Return the key of what was read of some stored chunks."""
        return self._changes.first, path, self._changes.writers(path, chunks), rest

    def get(self, key: Hashable) -> Any:  # noqa: ANN401
        """Return a value; none: it is not there."""
        kept = self._kept
        with kept.lock:
            found = kept.values.get(key)
            if found is None:
                kept.misses += 1
                return None
            kept.hits += 1
            kept.values.move_to_end(key)
            return found[0]

    def put(self, key: Hashable, value: object, size: int) -> None:
        """Keep a value of so many bytes; what was used longest ago goes."""
        kept = self._kept
        if size > kept.most:
            return
        with kept.lock:
            kept.size += size - kept.values.pop(key, (None, 0))[1]
            kept.values[key] = value, size
            while kept.size > kept.most:
                kept.size -= kept.values.popitem(last=False)[1][1]

    def drop(self, key: Hashable) -> None:
        """Drop a value, if it is there."""
        kept = self._kept
        with kept.lock:
            kept.size -= kept.values.pop(key, (None, 0))[1]

    @property
    def bytes(self) -> int:
        """Bytes that are kept."""
        return self._kept.size

    @property
    def asked(self) -> tuple[int, int]:
        """How many values were there, and how many were not."""
        return self._kept.hits, self._kept.misses
