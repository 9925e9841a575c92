"""How long a catalogue is waited for, how much of it is read, and how fast it may be asked."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from functools import cache

from pipeline.access import RetryPolicy

RETRY = RetryPolicy(first_wait_s=1.5, total_s=600.0)
"""Of one document; a longer Retry-After ends the search."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits on the requests to one catalogue. Everything has an end: nothing hangs."""

    connect_s: float = 10.0
    """Until a connection stands."""
    reach_s: float = 8.0
    """Until the first connection stands, all attempts together: without a network nobody waits long."""
    silence_s: float = 60.0
    """Without a single byte. Large pages of a busy catalogue take half a minute."""
    answer_s: float = 180.0
    """For one answer, however steadily it trickles."""
    search_s: float = 7200.0
    """For all documents of one catalogue."""
    document_bytes: int = 256 * 2**20
    """Largest document; a page of 1000 items is about 30 MB."""
    retry: RetryPolicy = RETRY


class RateLimit:
    """A token bucket of one token: the requests of all threads, evenly spaced."""

    def __init__(self, per_second: float | None) -> None:
        self._gap_s = 1 / per_second if per_second else 0.0
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Wait until the next request may be sent."""
        if not self._gap_s:
            return
        with self._lock:
            turn = max(self._next, time.monotonic())
            self._next = turn + self._gap_s
        time.sleep(max(turn - time.monotonic(), 0))


@cache
def rate_limit(url: str, per_second: float | None) -> RateLimit:
    """Return the rate limit of a catalogue, shared by all searches of this process."""
    del url  # The key of the cache: every catalogue has a limit of its own.
    return RateLimit(per_second)
