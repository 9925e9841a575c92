"""What windows leave free beyond the usual goes back to the system."""

import ctypes
import sys
import threading
import time

import numpy as np
import pytest

from pipeline.models.engine import allocator

pytestmark = pytest.mark.skipif(
    allocator._glibc() is None, reason="the C library is no glibc of 2.33 or later"
)

MIB = 2**20


@pytest.fixture
def keeper(monkeypatch):
    """One of its own, which has given back all that was free, and keeps 16 MiB a thread."""
    monkeypatch.setattr(allocator, "FREE_BYTES", 16 * MIB)
    monkeypatch.setattr(allocator, "PATIENCE_S", 0.0)
    allocator.keep_freed_memory()
    new = allocator._Keeper()
    new.count(1)
    assert new.give_back()
    return new


def leave_free(n_mib):
    """Use memory in blocks of 1 MiB, and free it."""
    blocks = [np.ones(MIB, np.uint8) for _ in range(n_mib)]
    # Something small above them, so that free memory does not lie at the heap's end.
    above = ctypes.create_string_buffer(64)
    blocks.clear()
    return above


def idle():
    return allocator._idle(allocator._glibc())


def test_a_little_is_kept(keeper):
    held = leave_free(8)
    assert not keeper.give_back()
    assert sys.getsizeof(held)


def test_more_is_given_back_once(keeper):
    held = leave_free(200)
    before = idle()
    assert keeper.give_back()
    assert before - idle() > 150 * MIB
    assert not keeper.give_back()
    assert sys.getsizeof(held)


def test_what_every_window_fills_again_is_kept(keeper):
    """To give it back had every window of ukis-csmask pay for fresh pages, up to two thirds of its time."""
    keeper.expect(400 * MIB)
    # A smaller model beside it changes nothing.
    keeper.expect(20 * MIB)
    held = [leave_free(200)]
    assert not keeper.give_back()
    held.append(leave_free(400))
    assert keeper.give_back()
    assert sys.getsizeof(held)


def test_it_is_given_back_once_in_a_while(keeper, monkeypatch):
    now = [time.monotonic()]
    monkeypatch.setattr(allocator, "PATIENCE_S", 3.0)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    held, given = [], []
    for _ in range(9):
        now[0] += 1
        held.append(leave_free(100))
        given.append(keeper.give_back())
    assert given == [False, False, True] * 3
    assert sys.getsizeof(held)


def test_every_thread_that_runs_keeps_its_share(keeper):
    for _ in range(19):
        keeper.count(1)
    for _ in range(19):
        keeper.count(-1)
    held = leave_free(200)
    assert not keeper.give_back()
    assert sys.getsizeof(held)


def test_nobody_waits_for_who_is_at_it(keeper):
    held = leave_free(200)
    with keeper._giving:
        assert not keeper.give_back()
    assert sys.getsizeof(held)


def test_a_window_that_fails_is_counted_out(monkeypatch):
    own = allocator._Keeper()
    monkeypatch.setattr(allocator, "_keeper", own)

    def run():
        with pytest.raises(ZeroDivisionError), allocator.bounded():
            raise ZeroDivisionError

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert own._running == 0
    assert 1 <= own._most <= 4
