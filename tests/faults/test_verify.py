"""`cloudmask verify` on stores that real runs made: no false alarm, and damage that a run makes good."""

from datetime import UTC, datetime

import pytest

from pipeline import run, store
from tests.faults.small_region import EAST, LANDSAT, assert_same, contents
from tests.store.flipping import flip


def sound(url: str) -> None:
    found = store.verify(url)
    assert found.damages == ()
    assert found.cells


@pytest.mark.quick(1)
@pytest.mark.parametrize("kind", ["", "zarr+"])
def test_what_runs_made_is_whole(region, kind):
    url = f"{kind}{region.store}"
    job = region.job(store=url)
    whole = region.truncate(EAST)
    run.run(job)
    # With cells that could not be read, then made good; with a scene less; with states forgotten.
    sound(url)
    region.asset(EAST, "blue").write_bytes(whole)
    run.run(job)
    sound(url)
    region.remove_items(LANDSAT)
    run.run(job)
    sound(url)
    if not kind:
        store.expire(url, datetime.now(UTC))
        sound(url)


def test_the_next_run_makes_again_what_was_damaged(ran, undisturbed):
    url = str(ran.store)
    chunks = sorted((ran.store / "chunks").iterdir(), key=lambda each: each.stat().st_size)
    # The largest are pixels; not all of them, so that others show that they are left alone.
    for file in chunks[-6:]:
        flip(file, 4 * file.stat().st_size)
    found = store.verify(url, mend=True)
    assert {each.mend for each in found.damages} >= {"again"}
    run.run(ran.job())
    assert_same(contents(ran), undisturbed)
    sound(url)
