"""Decoded blocks in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from numpy.typing import NDArray

Block = NDArray[Any]
"""(y, x) numbers of a part of a raster, in its own dtype; read-only."""

Blocks = Mapping[Hashable, Block]

Decode = Callable[[Sequence[Hashable]], Blocks]
"""Decodes all blocks of these keys."""


class BlockMemory:
    """Decoded blocks, bounded in bytes; the least recently used are dropped first.

    A thread decodes the blocks that no other is decoding and then waits for the others, so that threads that want
    neighbouring windows share the work.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._held: OrderedDict[Hashable, Block] = OrderedDict()
        self._bytes = 0
        self._pending: dict[Hashable, Future[Blocks]] = {}
        self._lock = threading.Lock()

    def get(
        self, keys: Sequence[Hashable], decode: Decode, beside: Sequence[Hashable] = ()
    ) -> Blocks:
        """Return the blocks of some keys, those that are not held from `decode`.

        If this thread decodes any, it decodes those `beside` them, too.

        Raises
        ------
        Exception
            Whatever `decode` raises in this thread. If another thread fails, this one decodes for itself.
        """
        found: dict[Hashable, Block] = {}
        while missing := [key for key in keys if key not in found]:
            mine, others = self._claim(missing, beside, found)
            if mine:
                found |= self._decoded(mine, decode)
            for key, decoding in others.items():
                made = decoding.result()
                # If the other thread has failed, this one decodes for itself.
                if key in made:
                    found[key] = made[key]
        return found

    def clear(self) -> None:
        """Drop all blocks."""
        with self._lock:
            self._held.clear()
            self._bytes = 0

    def _claim(
        self,
        keys: Sequence[Hashable],
        beside: Sequence[Hashable],
        found: dict[Hashable, Block],
    ) -> tuple[list[Hashable], dict[Hashable, Future[Blocks]]]:
        """Take what is held, and divide the rest: what this thread decodes, and what others are decoding."""
        mine, others = [], {}
        with self._lock:
            for key in keys:
                if key in self._held:
                    self._held.move_to_end(key)
                    found[key] = self._held[key]
                elif key in self._pending:
                    others[key] = self._pending[key]
                else:
                    mine.append(key)
            if mine:
                mine += [
                    key
                    for key in beside
                    if key not in (*mine, *others)
                    and key not in self._held
                    and key not in self._pending
                ]
                self._pending |= dict.fromkeys(mine, Future[Blocks]())
        return mine, others

    def _decoded(self, keys: Sequence[Hashable], decode: Decode) -> Blocks:
        made: Blocks = {}
        try:
            made = decode(keys)
        finally:
            with self._lock:
                for key, block in made.items():
                    self._hold(key, block)
                (decoding,) = {self._pending.pop(key) for key in keys}
            decoding.set_result(made)
        return made

    def _hold(self, key: Hashable, block: Block) -> None:
        self._held[key] = block
        self._bytes += block.nbytes
        while self._bytes > self._most_bytes:
            _, dropped = self._held.popitem(last=False)
            self._bytes -= dropped.nbytes


class Seen:
    """Which keys there were, by their hashes; when there are too many it begins anew."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._hashes: set[int] = set()
        self._lock = threading.Lock()

    def note(self, keys: Sequence[Hashable]) -> int:
        """Note keys; return how many of them were there before."""
        with self._lock:
            again = sum(hash(key) in self._hashes for key in keys)
            if len(self._hashes) + len(keys) > self._most:
                self._hashes.clear()
            self._hashes.update(map(hash, keys))
        return again
