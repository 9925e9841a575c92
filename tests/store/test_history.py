"""Going back to what was published, and forgetting what is old."""

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

import icechunk
import numpy as np
import pytest

from pipeline import store
from pipeline.errors import StoreConflictError, StoreError
from pipeline.store.base.location import locate_store
from pipeline.store.versions import rollback_expire


def publish(url, make, fingerprint: int) -> str:
    """Publish one tile whose pixels come of the fingerprint."""
    with store.open_writer(url, make.grid(), title="t", run_key=f"run{fingerprint}") as writer:
        tile = make.grid().tile(0, 0)
        writer.set_scenes(make.sensor, make.scenes(1))
        mask = make.mask(tile, seed=fingerprint)
        writer.write_mask(make.sensor, make.times(1)[0], tile, mask, fingerprint)
        return writer.publish({"run_id": str(fingerprint)})


def seen(url, make, as_of=None) -> int:
    archive = store.open_archive(url, as_of=as_of)
    return int(archive.masks(make.sensor)["fingerprint"].values[0, 0, 0])


@pytest.fixture
def no_safe_age(monkeypatch):
    """Let objects of a minute ago be old on an object store, too."""
    monkeypatch.setattr("pipeline.store.versions.rollback_expire.SAFE_AGE", timedelta(0))


def test_readers_go_back_and_forth(make, url):
    first, second = publish(url, make, 11), publish(url, make, 12)
    assert store.roll_back(url, first[:6]).id == first
    assert seen(url, make) == 11
    assert seen(url, make, as_of=second) == 12
    assert store.roll_back(url, second).id == second
    assert seen(url, make) == 12
    publish(url, make, 13)
    assert seen(url, make) == 13


def test_rolling_back_to_where_one_is_changes_nothing(make, url):
    tip = publish(url, make, 11)
    before = store.open_archive(url).log()
    assert store.roll_back(url, tip).id == tip
    assert store.open_archive(url).log() == before


@pytest.mark.parametrize("wanted", ["ZZZZ", "", "main"])
def test_what_was_never_published_is_refused_by_name(make, url, wanted):
    publish(url, make, 11)
    publish(url, make, 12)
    with pytest.raises(StoreError, match="cloudmask log"):
        store.roll_back(url, wanted)


def test_a_run_at_work_is_not_disturbed(make, path):
    url = path
    first = publish(url, make, 11)
    with (
        store.open_writer(url, make.grid(), title="t", run_key="other"),
        pytest.raises(StoreConflictError, match="another run"),
    ):
        store.roll_back(url, first)
    with (
        store.open_writer(url, make.grid(), title="t", run_key="other"),
        pytest.raises(StoreConflictError, match="another run"),
    ):
        store.expire(url, datetime.now(UTC))


def test_expiring_keeps_the_newest_state_whole_and_frees_the_rest(make, url, no_safe_age):
    for fingerprint in (11, 12, 13):
        publish(url, make, fingerprint)
    mask = store.open_archive(url).masks(make.sensor)["mask"].values
    gone = store.expire(url, datetime.now(UTC))
    assert gone.snapshots > 0
    assert gone.bytes > 0
    assert len(store.open_archive(url).log()) == 1
    assert seen(url, make) == 13
    np.testing.assert_array_equal(
        store.open_archive(url).masks(make.sensor)["mask"].values, mask
    )
    assert publish(url, make, 14)
    assert seen(url, make) == 14


def test_expiring_what_is_young_forgets_no_state(make, url):
    first, _ = publish(url, make, 11), publish(url, make, 12)
    store.expire(url, datetime.now(UTC) - timedelta(days=30))
    assert seen(url, make, as_of=first) == 11


def test_orphans_of_a_killed_run_are_collected_and_its_commits_are_not(make, url, no_safe_age):
    publish(url, make, 11)
    tiles = [make.grid().tile(row, 0) for row in range(2)]
    with store.open_writer(url, make.grid(), title="t", run_key="killed") as writer:
        for tile in tiles:
            writer.write_mask(make.sensor, make.times(1)[0], tile, make.mask(tile, 5), 20)
            if tile is tiles[0]:
                writer.commit("one tile")
        # The second tile is written, never committed: the process is gone.
        writer._groups().flush()
    before = datetime.now(UTC) - timedelta(days=0 if url.startswith("s3:") else 30)
    assert store.expire(url, before).chunks > 0
    with store.open_writer(url, make.grid(), title="t", run_key="killed") as writer:
        found = writer.fingerprints(make.sensor)[make.times(1)[0]]
        assert found[0, 0] == 20
        assert found[1, 0] == 0


def test_what_was_being_written_when_a_process_died_is_collected(make, tmp_path):
    """A kill in the middle of a write leaves a file that Icechunk lists nowhere, and never collects."""
    url = str(tmp_path / "store")
    publish(url, make, 11)
    before = store.open_archive(url).masks(make.sensor)["mask"].values
    left = [
        tmp_path / "store" / folder / f"V8CG3BWEJK8ZYATYSCV0#{number}"
        for number, folder in enumerate(("chunks", "manifests", "snapshots"))
    ]
    for each in left:
        each.write_bytes(b"half of it")
    others = tmp_path / "store" / "notes #one.txt"
    others.write_text("somebody's own")
    assert store.expire(url, datetime.now(UTC)).bytes >= 30
    assert not any(each.exists() for each in left)
    assert others.exists()
    assert np.array_equal(store.open_archive(url).masks(make.sensor)["mask"].values, before)


def test_young_orphans_of_an_object_store_may_be_a_live_runs(make, url):
    if not url.startswith("s3:"):
        pytest.skip("the lock of a local path says that no run is at work")
    publish(url, make, 11)
    tile = make.grid().tile(1, 0)
    with store.open_writer(url, make.grid(), title="t", run_key="live") as writer:
        writer.write_mask(make.sensor, make.times(1)[0], tile, make.mask(tile, 5), 20)
        assert store.expire(url, datetime.now(UTC)).chunks == 0
        writer.publish({})
    found = store.open_archive(url).masks(make.sensor)["mask"].values[0]
    np.testing.assert_array_equal(found[tile.window], make.mask(tile, 5))


def test_killed_work_outlives_expiring_whatever_its_age(make, url, no_safe_age):
    publish(url, make, 11)
    tiles = [make.grid().tile(row, 0) for row in range(3)]
    with store.open_writer(url, make.grid(), title="t", run_key="killed") as writer:
        for tile in tiles:
            writer.write_mask(make.sensor, make.times(1)[0], tile, make.mask(tile, 5), 20)
            writer.commit(tile.name)
    store.expire(url, datetime.now(UTC))
    with store.open_writer(url, make.grid(), title="t", run_key="killed") as writer:
        assert writer.changed
        found = writer.fingerprints(make.sensor)[make.times(1)[0]]
        assert found[:, 0].tolist() == [20, 20, 20]
        writer.publish({})
    assert seen(url, make) == 20


def test_what_was_begun_before_a_rollback_does_not_bring_back_what_was_taken_back(make, url):
    first, _ = publish(url, make, 11), publish(url, make, 12)
    other = make.grid().tile(1, 1)
    with store.open_writer(url, make.grid(), title="t", run_key="killed") as writer:
        writer.write_mask(make.sensor, make.times(1)[0], other, make.mask(other), 20)
        left = writer.commit("other tile")
    store.roll_back(url, first)
    # As if the run had made its branch while the rollback was at work.
    locate_store(url).open().create_branch("run-killed", left)
    with store.open_writer(url, make.grid(), title="t", run_key="killed") as writer:
        assert not writer.changed
        assert writer.fingerprints(make.sensor)[make.times(1)[0]][0, 0] == 11
    assert seen(url, make) == 11


def test_a_rollback_that_loses_a_race_changes_nothing(make, url, monkeypatch):
    first = publish(url, make, 11)
    publish(url, make, 12)
    real = rollback_expire.move_main

    def late(repository, base, target):
        monkeypatch.setattr(
            "pipeline.store.base.location.StoreLocation.lock", lambda _: nullcontext()
        )
        publish(url, make, 13)
        real(repository, base, target)

    monkeypatch.setattr("pipeline.store.versions.rollback_expire.move_main", late)
    with pytest.raises(StoreConflictError, match="published meanwhile"):
        store.roll_back(url, first)
    assert seen(url, make) == 13
    assert locate_store(url).open().list_tags() == set()


def test_an_open_reader_is_not_moved_by_a_rollback(make, url):
    first, _ = publish(url, make, 11), publish(url, make, 12)
    masks = store.open_archive(url).masks(make.sensor)
    store.roll_back(url, first)
    tile = make.grid().tile(0, 0)
    np.testing.assert_array_equal(
        masks["mask"].values[0][tile.window], make.mask(tile, seed=12)
    )


def test_a_reader_of_an_expired_state_is_told_and_never_sees_half_of_it(make, url, no_safe_age):
    first = publish(url, make, 11)
    reader = store.open_archive(url)
    publish(url, make, 12)
    store.expire(url, datetime.now(UTC))
    with pytest.raises((StoreError, icechunk.IcechunkError), match="error|not"):
        reader.masks(make.sensor)["mask"].load()
    with pytest.raises(StoreError, match="cannot read"):
        store.open_archive(url, as_of=first)
