"""The archives of a server: each by an id, each request on one snapshot of it."""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime

from pipeline.config import ServeSettings
from pipeline.errors import StoreError, StoreUnavailableError
from pipeline.serve.problems import Refused
from pipeline.serve.state import State
from pipeline.store import ChunkCache, latest_snapshot, open_archive

EARLIER = 8
"""Earlier states of an archive that stay open."""
_SNAPSHOT = re.compile(r"[0-9A-HJKMNP-TV-Z]{20}")


class Archive:
    """One archive: its newest state, and earlier ones that were asked for."""

    def __init__(self, name: str, url: str, settings: ServeSettings, cache: ChunkCache) -> None:
        self.name = name
        self._url = url
        self._cache = cache
        self._refresh_s = settings.refresh_s
        self._lock = threading.Lock()
        self._newest: State | None = None
        self._looked = 0.0
        self._earlier: OrderedDict[str, State] = OrderedDict()

    def state(self, as_of: str | None = None) -> State:
        """Return the newest state, or that of a snapshot or instant.

        Raises
        ------
        Refused
            There is no such state: 404; or `as_of` is no snapshot and no instant: 422.
        StoreError
            The store cannot be read.
        """
        return self._now() if as_of is None else self._then(as_of)

    def _now(self) -> State:
        newest = self._newest
        if newest is not None and time.monotonic() - self._looked < self._refresh_s:
            return newest
        # One request looks, the others go on with what there is.
        if self._lock.acquire(blocking=newest is None):
            try:
                return self._look()
            finally:
                self._lock.release()
        assert newest is not None
        return newest

    def _look(self) -> State:
        newest = self._newest
        if newest is not None and time.monotonic() - self._looked < self._refresh_s:
            return newest
        if newest is None or latest_snapshot(self._url) != newest.snapshot:
            if newest is not None:
                # Whoever holds on to it is told when it is expired, or gets the answer.
                self._keep(newest.snapshot, newest)
            self._newest = newest = self._state(None, newest)
        self._looked = time.monotonic()
        return newest

    def _then(self, as_of: str) -> State:
        newest = self._now()
        # What an instant means is decided anew for each newest state: one to come may be before it, too.
        key = as_of if _SNAPSHOT.fullmatch(as_of) else f"{_instant(as_of)} in {newest.snapshot}"
        if key == newest.snapshot:
            return newest
        with self._lock:
            if key in self._earlier:
                self._earlier.move_to_end(key)
                return self._earlier[key]
        state = self._open(as_of)
        if state.snapshot == newest.snapshot:
            state = newest
        with self._lock:
            self._keep(key, state)
        return state

    def _keep(self, key: str, state: State) -> None:
        self._earlier[key] = state
        while len(self._earlier) > EARLIER:
            self._earlier.popitem(last=False)

    def _open(self, as_of: str) -> State:
        try:
            return self._state(as_of)
        except StoreUnavailableError:
            raise
        except StoreError:
            raise Refused(
                404,
                f"archive {self.name} has no snapshot {as_of}: leave as_of out for the newest",
            ) from None

    def _state(self, as_of: str | None, before: State | None = None) -> State:
        archive = open_archive(self._url, as_of=as_of)
        archive.keep_chunks(self._cache, None if before is None else before.archive)
        return State(self.name, archive)

    def is_gone(self, state: State) -> bool:
        """Say whether a state was expired since it was opened, so that parts of it may be deleted."""
        try:
            open_archive(self._url, as_of=state.snapshot)
        except StoreUnavailableError:
            return False
        except StoreError:
            return True
        return False


class Archives:
    """All archives of a server, by id."""

    def __init__(self, urls: Mapping[str, str], settings: ServeSettings) -> None:
        self.cache = ChunkCache(int(settings.cache_bytes))
        self._archives = {
            name: Archive(name, url, settings, self.cache) for name, url in urls.items()
        }

    @property
    def names(self) -> tuple[str, ...]:
        """Their ids, in the order in which they were given."""
        return tuple(self._archives)

    def get(self, name: str) -> Archive:
        """Return an archive.

        Raises
        ------
        Refused
            There is none: 404.
        """
        if name not in self._archives:
            raise Refused(404, "there is no such archive: /archives lists those that there are")
        return self._archives[name]


def _instant(text: str) -> str:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise Refused(
            422, "as_of: expected the id of a snapshot, or a date or time in ISO 8601"
        ) from None
    return text
