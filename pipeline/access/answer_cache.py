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
class Cached(Generic[V]):
    """A cached value, and how long it is valid."""

    value: V
    fresh_until: float
    """Seconds since the epoch; requested again after it."""
    usable_until: float
    """Seconds since the epoch; until then it is used if the server does not answer."""


class AnswerCache(Generic[V]):
    """Answers of servers by key; the least recently used is evicted first.

    Threads that want the same key wait for the first of them and share its answer or failure: a server
    gets one request, and one that stalls delays each of them once.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._cached: OrderedDict[Hashable, Cached[V]] = OrderedDict()
        self._lock = threading.Lock()
        self._pending: dict[Hashable, Future[Cached[V]]] = {}
        self._last_seen = threading.local()

    def get(self, key: Hashable, request: Callable[[], Cached[V]]) -> V:
        """Return the value of a key, or request it.

        Raises
        ------
        AccessError
            Whatever `request` raises; if there was no answer, a value that is still usable is returned instead.
        """
        cached = self._fresh(key) or self._request_once(key, request)
        vars(self._last_seen)["last"] = (key, cached.value)
        return cached.value

    def is_fresh(self, key: Hashable) -> bool:
        """Whether the cache has a fresh value for a key."""
        return self._fresh(key) is not None

    def drop(self, key: Hashable) -> None:
        """Drop the value of a key, unless it is newer than the one that this thread last got.

        Many threads may be refused at once: only the first of them causes a new request.
        """
        last = vars(self._last_seen).get("last")
        with self._lock:
            cached = self._cached.get(key)
            renewed = last is not None and last[0] == key and cached and cached.value != last[1]
            if not renewed:
                self._cached.pop(key, None)

    def drop_where(self, condition: Callable[[Hashable], bool]) -> None:
        """Drop the keys for which `condition` returns true."""
        with self._lock:
            for key in [key for key in self._cached if condition(key)]:
                del self._cached[key]

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._cached.clear()

    def _fresh(self, key: Hashable) -> Cached[V] | None:
        with self._lock:
            cached = self._cached.get(key)
            if cached is None or cached.fresh_until <= time.time():
                return None
            self._cached.move_to_end(key)
            return cached

    def _request_once(self, key: Hashable, request: Callable[[], Cached[V]]) -> Cached[V]:
        with self._lock:
            found = self._pending.get(key)
            first = Future[Cached[V]]() if found is None else None
            if first is not None:
                self._pending[key] = first
        if found is not None:
            return found.result()
        assert first is not None
        try:
            # Another thread may have got it since this one looked.
            first.set_result(self._fresh(key) or self._request(key, request))
        except BaseException as error:
            first.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._pending[key]
        return first.result()

    def _request(self, key: Hashable, request: Callable[[], Cached[V]]) -> Cached[V]:
        try:
            cached = request()
        except AccessUnavailableError:
            old = self._cached.get(key)
            if old is None or old.usable_until <= time.time():
                raise
            return old
        with self._lock:
            self._cached[key] = cached
            self._cached.move_to_end(key)
            while len(self._cached) > self._size:
                self._cached.popitem(last=False)
        return cached
