"""Results made ahead come in order, no more of them than allowed, and errors in their turn."""

import threading
import time
from contextlib import closing
from datetime import UTC, datetime

import pystac
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.mask.queue import Turns
from pipeline.run.common.ahead import Ahead, in_order
from pipeline.run.common.threads import threads_of
from pipeline.testing import ThresholdModel
from pipeline.testing.jobs import make_job
from pipeline.types import Lattice, RunSettings

CARD = ThresholdModel(Lattice(core_px=64, halo_px=0)).card
few = settings(deadline=None, max_examples=30)


class Making:
    """Counts what was begun and not used yet; things take as many milliseconds as they say."""

    def __init__(self, broken=()):
        self.begun, self.used, self.most = [], 0, 0
        self._broken, self._lock = broken, threading.Lock()

    def __call__(self, given):
        number, milliseconds = given
        with self._lock:
            self.begun.append(number)
            self.most = max(self.most, len(self.begun) - self.used)
        time.sleep(milliseconds / 1e3)
        if number in self._broken:
            raise OSError(f"thing {number}")
        return number

    def use(self):
        with self._lock:
            self.used += 1


@few
@given(st.lists(st.integers(0, 3), max_size=8), st.integers(1, 3))
def test_results_come_in_order_and_never_too_many_are_made(durations, most):
    making, found = Making(), []
    for each in in_order(making, enumerate(durations), most=most):
        found.append(each)
        making.use()
    assert found == list(range(len(durations)))
    # One more is begun only when the consumer asks for the next, which is after it has used the last.
    assert making.most <= most


@few
@given(st.integers(0, 5), st.integers(1, 3))
def test_an_error_comes_in_its_turn_and_stops_the_rest(broken, most):
    making, found = Making({broken}), []
    with pytest.raises(OSError, match=f"thing {broken}$"):
        found.extend(in_order(making, ((n, 1) for n in range(9)), most=most))
    assert found == list(range(broken))
    assert max(making.begun) < broken + most


@few
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3)), max_size=8), st.data())
def test_whoever_adds_more_gets_all_in_order_and_no_more_are_made_than_each_allows(
    things, data
):
    """Each thing says how many may be under way once it is begun; some are added while results are used."""
    making, found, added = Making(), [], 0
    with closing(Ahead(making, most=lambda each: things[each[0]][1], at_once=8)) as ahead:
        while len(found) < len(things):
            if added == len(found) or data.draw(st.booleans()):
                ahead.add([(added, things[added][0])] if added < len(things) else [])
                added = min(added + 1, len(things))
                continue
            found.append(ahead.take())
            assert len(making.begun) <= max(len(found), most_begun(things, len(found)))
            making.use()
    assert found == list(range(len(things)))


def most_begun(things, taken):
    """Return how many may be begun when so many were taken, the last of which is still used."""
    begun = taken
    while begun < len(things) and begun - (taken - 1) < things[begun][1]:
        begun += 1
    return begun


def test_what_may_wait_is_made_while_nobody_takes_it_a_few_at_once():
    making, running, seen, lock = Making(), 0, [], threading.Lock()

    def do(thing):
        nonlocal running
        with lock:
            running += 1
            seen.append(running)
        try:
            return making(thing)
        finally:
            with lock:
                running -= 1

    with closing(Ahead(do, most=lambda _: 5, at_once=2)) as ahead:
        ahead.add((n, 2) for n in range(9))
        assert ahead.take() == 0
        limit = time.monotonic() + 20
        while len(making.begun) < 5 and time.monotonic() < limit:
            time.sleep(0.002)
        # Nobody takes them, and no more is begun.
        time.sleep(0.02)
        assert sorted(making.begun) == [0, 1, 2, 3, 4]
        assert max(seen) == 2


def test_who_wants_no_more_waits_for_nothing_that_has_not_begun():
    making, stopped = Making(), []
    ahead = Ahead(making, most=lambda _: 2, at_once=2, stop=lambda: stopped.append(True))
    ahead.add((n, 1) for n in range(9))
    assert ahead.take() == 0
    ahead.close()
    assert stopped == [True]
    assert max(making.begun) <= 2


def item_at(href):
    """Return an item with one raster."""
    item = pystac.Item("a", None, None, datetime(2023, 6, 1, tzinfo=UTC), {})
    item.add_asset("blue", pystac.Asset(href))
    return item


@pytest.mark.parametrize(
    ("asked", "batch", "href", "ahead"),
    [
        (None, 1, "/data/blue.tif", 0),
        (None, 1, "https://example.com/blue.tif", 3),
        (None, 8, "/data/blue.tif", 3),
        (0, 8, "https://example.com/blue.tif", 0),
        (5, 1, "/data/blue.tif", 5),
    ],
)
def test_threads_read_ahead_where_others_wait(asked, batch, href, ahead):
    job = make_job(run=RunSettings(workers=3, read_ahead=asked))
    items = [item_at("/data/blue.tif"), item_at(href)]
    threads = threads_of(job, ThresholdModel(CARD.lattice, batch=batch).card, items)
    assert (threads.computing, threads.ahead, threads.all) == (3, ahead, 3 + ahead)


@pytest.mark.parametrize("most", [1, 2])
def test_no_more_compute_at_once_than_may(most):
    turns, inside, seen, lock = Turns(), 0, [], threading.Lock()
    turns.allow(most)

    def compute():
        nonlocal inside
        # A model of models enters twice.
        with turns.taken(), turns.taken():
            with lock:
                inside += 1
                seen.append(inside)
            time.sleep(0.005)
            with lock:
                inside -= 1

    threads = [threading.Thread(target=compute) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(timeout=10)
    assert len(seen) == 6
    assert max(seen) == most
