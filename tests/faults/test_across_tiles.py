"""Where threads read ahead, a tile is begun while the one before is composed: nothing of it is written before its turn."""

import threading

import pytest

from pipeline import run
from pipeline.errors import AssetUnavailableError
from pipeline.run.executors import local
from pipeline.run.plan import memory
from pipeline.run.tile.making import Making
from pipeline.types import RunSettings
from tests.faults.small_region import assert_same, contents, copy_of

WAIT_S = 60


@pytest.fixture
def begun(monkeypatch):
    """Tell of each tile when its first scenes are being masked."""
    events, make = {}, Making.do

    def told(self, pool):
        events.setdefault(self.task.tile.name, threading.Event()).set()
        return make(self, pool)

    monkeypatch.setattr(Making, "do", told)
    return events


def ahead(region, most, **others):
    """Return a job of one scene at a time."""
    return region.job(run=RunSettings(workers=1, read_ahead=most, **others))


def composing(monkeypatch, before):
    """Call something with the number of each tile before it is composed."""
    composed, compose = [], local.compose_tile

    def with_it(task, masked, *rest):
        composed.append(task.tile.name)
        before(len(composed), task)
        return compose(task, masked, *rest)

    monkeypatch.setattr(local, "compose_tile", with_it)
    return composed


def test_the_next_tile_is_begun_while_one_is_composed_and_the_store_is_the_same(
    region, pristine, tmp_path_factory, begun, monkeypatch
):
    found = []

    def next_is_begun(number, task):
        names = [tile.name for tile in plan.tiles_to_do]
        following = names.index(task.tile.name) + 1
        if following < len(names):
            each = begun.setdefault(names[following], threading.Event())
            found.append(each.wait(WAIT_S if plan.memory.across_tiles else 0))

    composing(monkeypatch, next_is_begun)
    stores = []
    for most in (1, 0):
        one = copy_of(pristine, tmp_path_factory.mktemp("tiles"))
        plan = run.plan_job(ahead(one, most))
        assert plan.memory.across_tiles == bool(most)
        begun.clear()
        run.execute(plan)
        stores.append(contents(one))
    half = len(found) // 2
    assert half >= 1
    assert found == [True] * half + [False] * half
    assert_same(*stores)


def test_without_memory_for_both_tiles_do_not_overlap(region, monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda _: memory.BASE_BYTES)
    assert not run.plan_job(ahead(region, 1)).memory.across_tiles


def test_a_tile_that_fails_is_tried_again_and_the_next_is_begun_again(
    region, pristine, tmp_path_factory, monkeypatch
):
    one, other = (copy_of(pristine, tmp_path_factory.mktemp("tried")) for _ in range(2))
    run.run(ahead(one, 0))

    def fail_once(number, task):
        if number == 1:
            raise AssetUnavailableError(task.items.items[0].id, "blue", "is away for now")

    composed = composing(monkeypatch, fail_once)
    record = run.run(ahead(other, 1))
    assert composed[0] == composed[1]
    assert len(composed) == len(record.tiles) + 1
    assert not [each for each in record.dropped if each.tile]
    assert_same(contents(one), contents(other))
