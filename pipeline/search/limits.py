"""Limits on the requests to a catalogue: timeouts, sizes, rate."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from functools import cache

from pipeline.access import RetryPolicy

RETRY = RetryPolicy(first_wait_s=1.5, total_s=600.0)
"""Retry policy of one document; a longer Retry-After ends the search."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLimits:
    """Limits on the requests to one catalogue. Everything has an end: nothing hangs."""

    connect_s: float = 10.0
    """Timeout of one connection."""
    reach_s: float = 8.0
    """Timeout of the first connection, all attempts together: without a network a search fails soon."""
    silence_s: float = 60.0
    """Longest time without a byte. Large pages of a busy catalogue take half a minute."""
    answer_s: float = 180.0
    """Timeout of one whole answer, however steadily it arrives."""
    search_s: float = 7200.0
    """Timeout of all documents of one catalogue together."""
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
    del url  # Only the key of the cache: each catalogue has its own rate limit.
    return RateLimit(per_second)
