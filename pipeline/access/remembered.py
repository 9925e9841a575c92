"""A cache for answers of servers: bounded, expiring, each requested once."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from pipeline.errors import AccessUnavailableError

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Kept(Generic[V]):
    """A cached value, and how long it is valid."""

    value: V
    fresh_until: float
    """Seconds since the epoch; requested again after it."""
    usable_until: float
    """Seconds since the epoch; until then it is used if the server does not answer."""


class Remembered(Generic[V]):
    """Answers of servers by key; the least recently used is evicted first.

    Threads that want the same key wait for the first of them and share its answer or failure: a server
    gets one request, and one that stalls delays each of them once.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[Hashable, Kept[V]] = OrderedDict()
        self._lock = threading.Lock()
        self._asking: dict[Hashable, Future[Kept[V]]] = {}
        self._handed = threading.local()

    def get(self, key: Hashable, ask: Callable[[], Kept[V]]) -> V:
        """Return the value of a key, or request it.

        Raises
        ------
        AccessError
            Whatever `ask` raises; if there was no answer, a value that is still usable is returned instead.
        """
        kept = self._fresh(key) or self._asked_once(key, ask)
        vars(self._handed)["last"] = (key, kept.value)
        return kept.value

    def holds(self, key: Hashable) -> bool:
        """Whether the cache has a fresh value for a key."""
        return self._fresh(key) is not None

    def drop(self, key: Hashable) -> None:
        """Drop the value of a key, unless it is newer than the one that this thread last got.

        Many threads may be refused at once: only the first of them causes a new request.
        """
        last = vars(self._handed).get("last")
        with self._lock:
            kept = self._kept.get(key)
            renewed = last is not None and last[0] == key and kept and kept.value != last[1]
            if not renewed:
                self._kept.pop(key, None)

    def drop_where(self, meant: Callable[[Hashable], bool]) -> None:
        """Drop the keys that fulfil a condition."""
        with self._lock:
            for key in [key for key in self._kept if meant(key)]:
                del self._kept[key]

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._kept.clear()

    def _fresh(self, key: Hashable) -> Kept[V] | None:
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or kept.fresh_until <= time.time():
                return None
            self._kept.move_to_end(key)
            return kept

    def _asked_once(self, key: Hashable, ask: Callable[[], Kept[V]]) -> Kept[V]:
        with self._lock:
            found = self._asking.get(key)
            first = Future[Kept[V]]() if found is None else None
            if first is not None:
                self._asking[key] = first
        if found is not None:
            return found.result()
        assert first is not None
        try:
            # Another thread may have got it since this one looked.
            first.set_result(self._fresh(key) or self._asked(key, ask))
        except BaseException as error:
            first.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._asking[key]
        return first.result()

    def _asked(self, key: Hashable, ask: Callable[[], Kept[V]]) -> Kept[V]:
        try:
            kept = ask()
        except AccessUnavailableError:
            old = self._kept.get(key)
            if old is None or old.usable_until <= time.time():
                raise
            return old
        with self._lock:
            self._kept[key] = kept
            self._kept.move_to_end(key)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return kept
