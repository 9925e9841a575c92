"""The retry policy and its table of failures."""

import errno
import math
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.access import FailedAttempt, RetryPolicy, Verdict
from pipeline.access.failures import (
    verdict_of,
    verdict_of_os_error,
    verdict_of_status,
    verdict_of_text,
)
from pipeline.errors import (
    AssetError,
    AssetUnavailableError,
    CatalogUnavailableError,
    ModelError,
)

policies = st.builds(
    RetryPolicy,
    attempts=st.integers(1, 8),
    first_wait_s=st.floats(0, 10),
    longest_wait_s=st.floats(0, 60),
    total_s=st.floats(0, 200) | st.just(math.inf),
)


class Clock:
    """Lets time pass by sleeping, and by attempts."""

    def __init__(self, attempt_s=0.0):
        self.now, self.sleeps, self.begun, self.attempt_s = 1000.0, [], [], attempt_s

    def sleep(self, seconds):
        assert seconds >= 0
        self.sleeps.append(seconds)
        self.now += seconds

    def attempt(self, outcomes):
        self.begun.append(self.now - 1000.0)
        self.now += self.attempt_s
        outcome = next(outcomes)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


def calls(policy, *outcomes, attempt_s=0.0, **options):
    """Call with these outcomes, the last for ever; return the clock, and what became of it."""
    clock, left = Clock(attempt_s), list(outcomes)
    given = (left.pop(0) if len(left) > 1 else left[0] for _ in iter(int, 1))
    with pytest.MonkeyPatch.context() as patch:
        time = SimpleNamespace(monotonic=lambda: clock.now, sleep=clock.sleep)
        patch.setattr("pipeline.access.retry.time", time)
        try:
            return clock, policy.call(lambda: clock.attempt(given), **options)
        except Exception as error:  # noqa: BLE001  (it is what the tests look at)
            return clock, error


@given(policies, st.floats(0, 30))
def test_what_never_passes_ends_within_the_policy(policy, attempt_s):
    error = CatalogUnavailableError("down")
    clock, end = calls(policy, error, attempt_s=attempt_s)
    assert end is error
    assert len(clock.begun) <= policy.attempts
    assert clock.begun[-1] <= policy.total_s + 1e-6
    if policy.total_s == math.inf:
        assert len(clock.begun) == policy.attempts
    for failed, slept in enumerate(clock.sleeps, start=1):
        longest = min(policy.longest_wait_s, policy.first_wait_s * 2 ** (failed - 1))
        assert longest / 2 <= slept <= longest == policy.wait_s(failed)


@given(policies.filter(lambda each: each.total_s == math.inf), st.data())
def test_what_passes_in_time_succeeds(policy, data):
    failures = data.draw(st.integers(0, policy.attempts - 1))
    clock, end = calls(policy, *[CatalogUnavailableError("down")] * failures, "done")
    assert end == "done"
    assert len(clock.begun) == failures + 1


def test_many_that_fail_together_do_not_return_together():
    error = CatalogUnavailableError("down")
    waits = {calls(RetryPolicy(attempts=2), error)[0].sleeps[0] for _ in range(50)}
    assert len(waits) == 50


@pytest.mark.parametrize(
    ("verdict", "attempts"),
    [
        (Verdict.PERMANENT, 1),
        (Verdict.MALFORMED, 3),
        (Verdict.FORBIDDEN, 4),
        (Verdict.TRANSIENT, 9),
        (Verdict.UNKNOWN, 9),
    ],
)
def test_a_verdict_allows_so_many_attempts(verdict, attempts):
    clock, end = calls(RetryPolicy(attempts=9), FailedAttempt("failed", verdict))
    assert isinstance(end, FailedAttempt)
    assert len(clock.begun) == attempts


def test_failures_of_other_kinds_do_not_count():
    busy = FailedAttempt("busy", Verdict.TRANSIENT)
    cut = FailedAttempt("cut", Verdict.MALFORMED)
    clock, end = calls(RetryPolicy(attempts=9), busy, cut, busy, cut, busy, "done")
    assert end == "done"
    assert len(clock.begun) == 6


@given(st.floats(0, 300))
def test_retry_after_is_honoured(asked_s):
    busy = FailedAttempt("busy", Verdict.TRANSIENT, retry_after_s=asked_s)
    told = []
    policy = RetryPolicy(total_s=100)
    clock, end = calls(policy, busy, "done", before_wait=lambda *each: told.append(each))
    if asked_s > 100:
        assert end is busy
        assert clock.sleeps == told == []
    else:
        assert end == "done" or asked_s > 99
        assert all(slept >= asked_s for slept in clock.sleeps)
        assert told == [(busy, slept) for slept in clock.sleeps]


def test_a_deadline_of_the_failure_is_kept():
    down = FailedAttempt("no network", Verdict.TRANSIENT, deadline=1008.0)
    clock, end = calls(RetryPolicy(attempts=99), down, attempt_s=0.5)
    assert end is down
    assert clock.begun[-1] <= 8


def test_an_interrupt_is_no_failure():
    with pytest.raises(KeyboardInterrupt):
        calls(RetryPolicy(), KeyboardInterrupt())


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 520])
def test_statuses_that_pass(status):
    assert verdict_of_status(status) is Verdict.TRANSIENT
    for text in (
        "HTTP response code: {}",
        "HTTP error code : {} - /vsis3/b/2023500/x",
        "status code: {} Busy",
    ):
        assert verdict_of_text(text.format(status)) is Verdict.TRANSIENT


@pytest.mark.parametrize("status", [400, 404, 405, 410, 413, 451, 501, 505])
def test_statuses_that_last(status):
    assert verdict_of_status(status) is Verdict.PERMANENT
    assert verdict_of_text(f"HTTP response code: {status}") is Verdict.PERMANENT


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("HTTP response code: 403", Verdict.FORBIDDEN),
        (
            "HTTP response code: 400; ExpiredToken: The provided token has expired",
            Verdict.FORBIDDEN,
        ),
        ("The specified key does not exist.", Verdict.PERMANENT),
        ("The specified bucket does not exist", Verdict.PERMANENT),
        ("Access Denied", Verdict.FORBIDDEN),
        ("Please reduce your request rate.", Verdict.UNKNOWN),
        ("Operation timed out after 30000 milliseconds", Verdict.TRANSIENT),
        ("CURL error: Could not resolve host: example.com", Verdict.TRANSIENT),
        ("CURL error: Recv failure: Connection reset by peer", Verdict.TRANSIENT),
        (
            "CURL error: Failed to connect to example.com port 443: Could not connect to server",
            Verdict.TRANSIENT,
        ),
        ("CURL error: SSL certificate problem: connection reset", Verdict.PERMANENT),
        ("TIFFReadEncodedTile() failed", Verdict.UNKNOWN),
        ("/data/503/B02.tif: No such file or directory", Verdict.UNKNOWN),
    ],
)
def test_texts(text, verdict):
    assert verdict_of_text(text) is verdict


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (OSError(errno.ESTALE, "Stale file handle"), Verdict.TRANSIENT),
        (OSError(errno.ENOSPC, "No space left"), Verdict.PERMANENT),
        (TimeoutError(), Verdict.TRANSIENT),
        (OSError("Connection reset by peer"), Verdict.TRANSIENT),
    ],
)
def test_errors_of_the_system(error, verdict):
    assert verdict_of_os_error(error) is verdict


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (AssetUnavailableError("item", "blue", "503"), Verdict.TRANSIENT),
        (AssetError("item", "blue", "404"), Verdict.PERMANENT),
        (ModelError("unknown"), Verdict.PERMANENT),
        (KeyError("blue"), Verdict.PERMANENT),
        (OSError("timed out"), Verdict.PERMANENT),
    ],
)
def test_errors_by_class(error, verdict):
    assert verdict_of(error) is verdict
