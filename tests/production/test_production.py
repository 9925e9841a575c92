"""A scheduled deployment on a real server with PostgreSQL: undisturbed, and with parts of it killed.

What is counted is the work: each tile is committed once, whoever was killed, and what was committed
before is taken over, not done again.
"""

import signal
from collections import Counter

import numpy as np

from pipeline import store
from tests.production.processes import wait_until
from tests.production.site import Site

BEFORE_KILL = 4
"""Tiles that are committed when somebody is killed."""


def assert_same_store(site: Site, undisturbed) -> None:
    """Compare pixels, counts, days and sources with what a plain run makes."""
    ours, plain = store.open_archive(str(site.store)), store.open_archive(str(undisturbed))
    pairs = [(ours.masks(each), plain.masks(each)) for each in plain.sensors]
    assert ours.sensors == plain.sensors
    pairs.append((ours.composite("monthly"), plain.composite("monthly")))
    assert list(ours.item_ids) == list(plain.item_ids)
    for found, expected in pairs:
        assert set(found.variables) == set(expected.variables)
        for name in expected.variables:
            np.testing.assert_array_equal(found[name].values, expected[name].values, name)


def tiles_of(undisturbed) -> list[str]:
    (record,) = store.open_archive(str(undisturbed)).records()
    return [each["tile"] for each in record["tiles"]]


def until_working(site: Site) -> None:
    wait_until("some tiles are committed", lambda: len(site.committed()) >= BEFORE_KILL)


def until_completed(site: Site, count: int = 1, patience_s: float = 900.0) -> None:
    """Wait until so many runs are completed; none may have failed."""

    def completed() -> bool:
        states = site.states()
        assert "Failed" not in states, [site.log(each) for each in site.runs()]
        return states.count("Completed") >= count

    wait_until("the run is completed", completed, patience_s)


def published(site: Site):
    return store.open_archive(str(site.store)).log()


def taken_over(site: Site) -> Counter[str]:
    """Count the cells of the last record by what its run did with them."""
    record = site.records()[-1]
    return Counter(cell["status"] for tile in record["tiles"] for cell in tile["cells"])


def test_the_schedule_runs_a_region_and_its_news_run_others(site, undisturbed):
    site.schedule("yearly")
    site.schedule("nightly")
    until_completed(site)
    (run,) = site.runs()
    assert run["auto_scheduled"]
    assert_same_store(site, undisturbed)
    assert sorted(site.committed()) == sorted(tiles_of(undisturbed))

    tasks = site.tasks(run)
    assert {"plan-" in each or each.startswith("tile ") for each in tasks} == {True}
    assert set(tasks.values()) == {1}
    assert site.slots() == {"cloudmask-catalogue": 0, "cloudmask-gpu": 0}
    (event,) = site.events("cloudmask.region.published")
    assert event["resource"]["prefect.resource.id"] == "cloudmask.region.alpine-foreland"
    assert event["payload"]["periods"] == ["2023-06-01", "2023-07-01", "2023-08-01"]
    assert event["payload"]["snapshot"] in {each.id for each in published(site)}

    wait_until("the years are composed", lambda: site.states("yearly") == ["Completed"])
    assert set(store.open_archive(str(site.store)).composite_names) == {"monthly", "yearly"}
    assert set(taken_over(site)) <= {"unchanged", "uncovered"}


def test_a_run_goes_on_without_a_server(site, undisturbed):
    site.schedule("nightly", limits=["catalogue"])
    until_working(site)
    site.server.stop(signal.SIGTERM)
    done = len(site.committed())
    wait_until("the run works without a server", lambda: len(site.committed()) > done + 1)
    site.start_server()
    as_if_nothing_had_happened(site, undisturbed)


def test_a_run_waits_for_a_server_that_died_with_its_slots(site, undisturbed):
    site.schedule("nightly")
    until_working(site)
    site.server.stop(signal.SIGKILL)
    site.start_server()
    as_if_nothing_had_happened(site, undisturbed)


def as_if_nothing_had_happened(site, undisturbed):
    until_completed(site)
    assert len(site.runs()) == 1
    assert sorted(site.committed()) == sorted(tiles_of(undisturbed))
    assert len(site.records()) == 1
    assert_same_store(site, undisturbed)
    # What was held when the server ended is known to it again, and so given back.
    wait_until("all slots are free", lambda: set(site.slots().values()) == {0})


def test_a_run_whose_worker_dies_is_run_again(site, undisturbed):
    # Of runs that its scheduler made, Prefect holds events back for a quarter of an hour.
    site.run_now("nightly")
    until_working(site)
    site.worker.stop(signal.SIGKILL)
    before = site.committed()
    site.worker.start()
    wait_until("the run is known to be lost", lambda: "Crashed" in site.states())
    until_completed(site)
    assert site.states() == ["Crashed", "Completed"]
    # The second run has made what the first one had not, and nothing else.
    assert sorted(site.committed()) == sorted(tiles_of(undisturbed))
    masked = {
        tile["tile"]
        for tile in site.records()[-1]["tiles"]
        if any(cell["status"] == "masked" for cell in tile["cells"])
    }
    assert not masked & set(before)
    assert_same_store(site, undisturbed)
