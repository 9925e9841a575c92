"""What is tried again when a catalogue fails, how often, and how fast it may be asked."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus

from pipeline.access.watch import fit
from pipeline.errors import CatalogUnavailableError, SearchError


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a catalogue is waited for. Everything has an end: nothing hangs."""

    connect_s: float = 10.0
    """Until a connection stands."""
    reach_s: float = 8.0
    """Until the first connection stands, all attempts together: without a network nobody waits long."""
    silence_s: float = 60.0
    """Without a single byte. Large pages of a busy catalogue take half a minute."""
    answer_s: float = 180.0
    """For one answer, however steadily it trickles."""
    document_s: float = 600.0
    """For one document, all attempts and waits together; a longer Retry-After ends the search."""
    search_s: float = 7200.0
    """For all documents of one catalogue."""
    backoff_s: float = 1.0
    """Before the second attempt; doubled each time, with jitter."""
    attempts: int = 6
    """Of one document, where trying again can help."""
    document_bytes: int = 256 * 2**20
    """Largest document; a page of 1000 items is about 30 MB."""

    def waits(self) -> Iterator[float]:
        """Yield the seconds before the second, third … attempt: doubling, half of it by chance.

        Many workers that fail together must not come back together.
        """
        wait = self.backoff_s
        while True:
            yield wait * random.uniform(0.5, 1.5)
            wait = min(wait * 2, 60.0)


class Failure(Exception):
    """One attempt that failed: not an error yet, it may be tried again."""

    def __init__(
        self,
        reason: str,
        *,
        attempts: int | None = None,
        retry_after_s: float | None = None,
        status: int | None = None,
        unreached: bool = False,
        final: type[SearchError] = CatalogUnavailableError,
    ) -> None:
        super().__init__(fit(reason))
        self.attempts = attempts
        """At most so many; none: as many as `Patience` has."""
        self.retry_after_s = retry_after_s
        """Seconds that the server asks to wait."""
        self.status = status
        """HTTP status; none: there was no whole answer."""
        self.unreached = unreached
        """Whether no connection stood at all."""
        self.final = final
        """What it is in the end."""


TOO_LARGE = frozenset(
    {HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE}
)
"""What servers answer when a page is more than they can put together (Element84/earth-search#17)."""

_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_FORBIDDEN = 4
"""Attempts after 403: Earth Search says Forbidden when it throttles (Element84/earth-search#19)."""
NONSENSE = 3
"""Attempts after an answer that is no JSON: a page of maintenance, or cut off unnoticed."""


def failure_of_status(status: int, text: str, retry_after_s: float | None) -> Failure:
    """Judge an answer by its status.

    Parameters
    ----------
    status
        HTTP status, not 2xx.
    text
        Beginning of the answer.
    retry_after_s
        Seconds that its Retry-After asks to wait, if it has one.
    """
    try:
        name = f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        name = str(status)
    reason = f"{name}: {text}" if text else name
    if status in _TRY_AGAIN:
        return Failure(reason, retry_after_s=retry_after_s, status=status)
    if status == HTTPStatus.FORBIDDEN:
        reason += " (it throttles, or wants a login)"
        return Failure(reason, attempts=_FORBIDDEN, retry_after_s=retry_after_s, status=status)
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return Failure(reason, attempts=1, status=status)
    return Failure(reason, attempts=1, status=status, final=SearchError)


class Pace:
    """A token bucket of one token: requests of all threads, evenly spaced."""

    def __init__(self, per_second: float | None) -> None:
        self._gap_s = 1 / per_second if per_second else 0.0
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Wait for one's turn."""
        if not self._gap_s:
            return
        with self._lock:
            turn = max(self._next, time.monotonic())
            self._next = turn + self._gap_s
        time.sleep(max(turn - time.monotonic(), 0))


@cache
def pace_of(url: str, per_second: float | None) -> Pace:
    """Return the pace of a catalogue, shared by all searches of this process."""
    del url  # The key of the cache: every catalogue keeps its own pace.
    return Pace(per_second)
