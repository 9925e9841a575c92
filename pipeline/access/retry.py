"""The retry policy: how often something is tried, how long to wait between attempts, when to give up.

The table in `pipeline.access.failures` says which failures are worth another attempt. Each user has its own
policy: a catalogue (`pipeline.search.limits`), a raster (`pipeline.cube.opening`), a store
that another run publishes to (`pipeline.store.write.run_branch`), a batch of tiles (`pipeline.run`), a
flow and its tasks (`flows.retries`).
"""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from pipeline.access.failures import Verdict, verdict_of

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How an operation that may fail temporarily is retried. Every policy ends."""

    attempts: int = 6
    """Most attempts in all; a verdict may allow fewer."""
    first_wait_s: float = 1.0
    """Wait before the second attempt; doubled before each later one."""
    longest_wait_s: float = 60.0
    total_s: float = math.inf
    """No attempt begins later than this after the first."""

    def wait_s(self, failed: int) -> float:
        """Return the longest wait, in seconds, after `failed` attempts that failed."""
        return min(self.longest_wait_s, self.first_wait_s * 2.0 ** min(failed - 1, 60))

    def call(
        self,
        do: Callable[[], T],
        *,
        judge: Callable[[Exception], Verdict] = verdict_of,
        before_wait: Callable[[Exception, float], None] = lambda *_: None,
    ) -> T:
        """Call a function until it succeeds or no further attempt is worth it.

        Each wait is between half and all of `wait_s` (jitter), so that clients that failed together do not return
        together. A longer `retry_after_s` of the error is respected, with a tenth of our own wait on top.

        Parameters
        ----------
        do
            One attempt.
        judge
            Says what a failure means for the next attempt.
        before_wait
            Called before each wait, with the failure and the wait in seconds.

        Raises
        ------
        Exception
            What the last attempt raised, as it is.
        """
        begun = time.monotonic()
        try:
            return do()
        except Exception as error:  # noqa: BLE001  (tenacity raises it again)
            failed = [error]

        def attempt() -> T:
            if failed:
                raise failed.pop()
            return do()

        # Only now: it imports tornado and asyncio, and a call takes 100 µs, as much as reading a cached window.
        from tenacity import Retrying  # noqa: PLC0415

        call = _Call(self, judge, before_wait, begun)
        return Retrying(
            retry=call.is_worth_another,
            wait=call.wait_s,
            stop=call.is_over,
            before_sleep=call.report,
            sleep=time.sleep,
            reraise=True,
        )(attempt)


@dataclass(slots=True)
class _Call:
    """The state of one call: tenacity asks in the order of the methods, after each failure."""

    policy: RetryPolicy
    judge: Callable[[Exception], Verdict]
    before_wait: Callable[[Exception, float], None]
    begun: float
    verdicts: Counter[Verdict] = field(default_factory=Counter)

    def is_worth_another(self, state: RetryCallState) -> bool:
        error = _error(state)
        if not isinstance(error, Exception):
            return False
        verdict = self.judge(error)
        self.verdicts[verdict] += 1
        return self.verdicts[verdict] < verdict.attempts

    def wait_s(self, state: RetryCallState) -> float:
        own = self.policy.wait_s(state.attempt_number) * random.uniform(0.5, 1.0)
        wanted_s: float | None = getattr(_error(state), "retry_after_s", None)
        return own if wanted_s is None else wanted_s + own / 10

    def is_over(self, state: RetryCallState) -> bool:
        deadline: float = getattr(_error(state), "deadline", math.inf)
        ends = min(self.begun + self.policy.total_s, deadline)
        last = state.attempt_number >= self.policy.attempts
        return last or time.monotonic() + state.upcoming_sleep > ends

    def report(self, state: RetryCallState) -> None:
        error = _error(state)
        assert isinstance(error, Exception)
        self.before_wait(error, state.upcoming_sleep)


def _error(state: RetryCallState) -> BaseException | None:
    assert state.outcome is not None
    return state.outcome.exception()
