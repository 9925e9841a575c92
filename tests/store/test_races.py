"""Two runs at once where no lock keeps them apart: the second goes on top of the first, or is told."""

from contextlib import nullcontext
from datetime import timedelta

import pytest

from pipeline import store
from pipeline.errors import StoreConflictError
from pipeline.store.arrays import stored_grid
from pipeline.store.base.location import StoreLocation
from pipeline.store.versions import branches
from pipeline.store.write import open_writer


@pytest.fixture(autouse=True)
def no_lock(monkeypatch):
    """Let a local path be as open as an object store; within one process it is as safe."""
    monkeypatch.setattr(StoreLocation, "lock", lambda _: nullcontext())


def begin(url, make, key):
    return store.open_writer(url, make.grid(), title="t", run_key=key)


def write(writer, make, row, fingerprint):
    tile = make.grid().tile(row, 0)
    writer.set_scenes(make.sensor, make.scenes(1))
    writer.write_mask(make.sensor, make.times(1)[0], tile, make.mask(tile), fingerprint)


def work(url, make, key, row, fingerprint):
    with begin(url, make, key) as writer:
        write(writer, make, row, fingerprint)
        return writer.publish({"run_id": key})


def cells(url, make):
    return store.open_archive(url).masks(make.sensor)["fingerprint"].values[0, :, 0].tolist()


def test_a_live_run_whose_branch_was_dropped_is_told_and_starts_again(make, url, monkeypatch):
    with begin(url, make, "slow") as slow:
        write(slow, make, 0, 7)
        slow.commit("first tile")
        work(url, make, "quick", 1, 8)
        # This one finds the branch of the slow run left behind, and takes it for given up.
        monkeypatch.setattr(branches, "ABANDONED", timedelta(0))
        with begin(url, make, "third"):
            pass
        write(slow, make, 2, 7)
        with pytest.raises(StoreConflictError, match="has deleted the branch run-slow"):
            slow.commit("second tile")
        # As `Session.do_tile` does; and no later try does the tile's work for nothing.
        for late in (slow.discard, lambda: write(slow, make, 2, 7), lambda: slow.publish({})):
            with pytest.raises(StoreConflictError, match="start this run again"):
                late()
    with begin(url, make, "slow") as again:
        assert cells(url, make) == [0, 8, 0]
        write(again, make, 0, 7)
        write(again, make, 2, 7)
        again.publish({"run_id": "slow"})
    assert cells(url, make) == [7, 8, 7]


def test_the_same_run_twice_at_once(make, url):
    with begin(url, make, "same") as one, begin(url, make, "same") as other:
        write(one, make, 0, 7)
        one.commit("tile")
        write(other, make, 0, 7)
        with pytest.raises(StoreConflictError, match="works on the same run"):
            other.commit("tile")
        one.publish({"run_id": "one"})
        with pytest.raises(StoreConflictError):
            other.publish({"run_id": "other"})
    with begin(url, make, "same") as again:
        assert not again.changed
        again.publish({"run_id": "again"})
    assert [each["run_id"] for each in store.open_archive(url).records()] == ["one"]


def test_the_same_run_begun_while_the_first_publishes(make, url, monkeypatch):
    real = branches.move_main

    def interrupted(repository, base, target):
        # Another process adopts the branch and takes the record back, at the worst moment.
        with begin(url, make, "same"):
            pass
        real(repository, base, target)

    with begin(url, make, "same") as one:
        write(one, make, 0, 7)
        monkeypatch.setattr(branches, "move_main", interrupted)
        one.publish({"run_id": "one"})
    assert cells(url, make) == [7, 0, 0]
    assert [each["run_id"] for each in store.open_archive(url).records()] == ["one"]


def test_two_runs_that_make_the_same_store(make, url, monkeypatch):
    real = open_writer._ensure_root

    def late(*arguments):
        monkeypatch.setattr(open_writer, "_ensure_root", real)
        work(url, make, "quick", 1, 8)
        real(*arguments)

    monkeypatch.setattr(open_writer, "_ensure_root", late)
    work(url, make, "slow", 0, 7)
    assert cells(url, make) == [7, 8, 0]


def test_a_grid_written_by_two_at_once_is_a_conflict(make, url, monkeypatch):
    real = stored_grid.grid_attributes

    def late(grid):
        monkeypatch.setattr(stored_grid, "grid_attributes", real)
        with begin(url, make, "quick"):
            pass
        return real(grid)

    monkeypatch.setattr(stored_grid, "grid_attributes", late)
    with pytest.raises(StoreConflictError, match="start again"):
        work(url, make, "slow", 0, 7)
    work(url, make, "slow", 0, 7)
    assert cells(url, make) == [7, 0, 0]
