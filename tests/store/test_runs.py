"""Runs: locks, branches, kills, conflicts. Readers see finished runs only."""

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import icechunk
import numpy as np
import pytest
import zarr

from pipeline import store
from pipeline.errors import StoreConflictError, StoreError
from pipeline.store.base.location import locate_store

ROOT = Path(__file__).parents[2]


def begin(url, make, key="run"):
    return store.open_writer(url, make.grid(), title="test", run_key=key)


def write_tile(writer, make, row, col, fingerprint=9, *, commit=True):
    tile = make.grid().tile(row, col)
    writer.set_scenes(make.sensor, make.scenes(1))
    writer.write_mask(make.sensor, make.times(1)[0], tile, make.mask(tile), fingerprint)
    if commit:
        writer.commit(f"tile {tile.name}")


def fingerprints(url, make):
    return store.open_archive(url).masks(make.sensor)["fingerprint"].to_numpy()[0].tolist()


def branches(url):
    return locate_store(url).open().list_branches()


def test_readers_see_a_run_when_it_is_published(make, url):
    with begin(url, make) as writer:
        write_tile(writer, make, 0, 0)
        before = store.open_archive(url)
        assert before.sensors == ()
        published = writer.publish({"run_id": "first"})
    after = store.open_archive(url)
    assert before.sensors == ()
    assert after.snapshot == published
    assert after.sensors == (make.sensor,)
    assert after.title == "test"
    assert branches(url) == {"main"}
    assert [each.message for each in after.log()] == ["run first", "grid of the region"]


def test_a_second_run_without_news_makes_no_snapshot(make, url):
    ids, documents = make.documents(3)
    seen = []
    for _ in range(2):
        with begin(url, make) as writer:
            writer.item_positions(ids, documents)
            writer.set_scenes(make.sensor, make.scenes(1))
            writer.set_composite("c", make.roles, [make.june], {"method": "median"})
            if not writer.fingerprints(make.sensor)[make.times(1)[0]][0, 0]:
                write_tile(writer, make, 0, 0)
            seen.append((writer.changed, writer.publish({})))
    assert [changed for changed, _ in seen] == [True, False]
    assert seen[0][1] == seen[1][1]
    assert len(store.open_archive(url).records()) == 1


def test_records_name_the_state_that_shows_their_pixels(make, url):
    for row in range(2):
        with begin(url, make) as writer:
            write_tile(writer, make, row, 0)
            writer.publish({"run_id": str(row)})
    records = store.open_archive(url).records()
    assert [each["run_id"] for each in records] == ["0", "1"]
    # The ids are those of the log, newest first, below which is the empty beginning.
    log = [each.id for each in store.open_archive(url).log()]
    assert [each["snapshot"] for each in records] == log[-2::-1]
    old = store.open_archive(url, as_of=records[0]["snapshot"])
    assert old.masks(make.sensor)["fingerprint"].to_numpy()[0, :2, 0].tolist() == [9, 0]


def test_old_states_are_read_by_id_tag_and_instant(make, url):
    snapshots = []
    for row in range(2):
        with begin(url, make) as writer:
            write_tile(writer, make, row, 0)
            write_tile(writer, make, row, 1)
            snapshots.append(writer.publish({}))
    locate_store(url).open().create_tag("v1", snapshots[0])
    second, first, _grid = store.open_archive(url).log()
    between = first.time + (second.time - first.time) * 0.999
    for as_of in (snapshots[0], "v1", first.time, first.time.isoformat(), between):
        assert store.open_archive(url, as_of=as_of).snapshot == snapshots[0], as_of
    with pytest.raises(StoreError, match="nothing was published before 2020-01-01"):
        store.open_archive(url, as_of="2020-01-01")
    with pytest.raises(StoreError, match="no tag or snapshot"):
        store.open_archive(url, as_of="yesterday")
    with pytest.raises(StoreError, match="cannot read"):
        store.open_archive(url, as_of="A" * 20)


def test_a_run_goes_on_where_one_with_its_key_stopped(make, url):
    with begin(url, make) as writer:
        write_tile(writer, make, 0, 0)
        write_tile(writer, make, 1, 0, commit=False)
    with begin(url, make) as writer:
        assert writer.changed
        stored = writer.fingerprints(make.sensor)[make.times(1)[0]]
        assert stored.tolist() == [[9, 0], [0, 0], [0, 0]]
        writer.publish({})
    assert fingerprints(url, make) == [[9, 0], [0, 0], [0, 0]]


def test_left_work_on_an_old_base_is_taken_up(make, url):
    with begin(url, make, "a") as writer:
        write_tile(writer, make, 0, 0)
    with begin(url, make, "b") as writer:
        assert not writer.changed
        assert branches(url) == {"main", "run-a", "run-b"}
        write_tile(writer, make, 1, 0)
        writer.publish({})
    with begin(url, make, "a") as writer:
        assert writer.changed
        stored = writer.fingerprints(make.sensor)[make.times(1)[0]]
        assert stored.tolist() == [[9, 0], [9, 0], [0, 0]]
        writer.publish({})
    assert branches(url) == {"main"}


def test_work_that_nobody_goes_on_with_is_dropped_after_a_day(make, url, monkeypatch):
    with begin(url, make, "a") as writer:
        write_tile(writer, make, 0, 0)
    with begin(url, make, "b") as writer:
        write_tile(writer, make, 1, 0)
        writer.publish({})
    with begin(url, make, "c"):
        assert branches(url) == {"main", "run-a", "run-c"}
    monkeypatch.setattr("pipeline.store.versions.branches.ABANDONED", timedelta(0))
    with begin(url, make, "c"):
        assert branches(url) == {"main", "run-c"}


def test_a_run_killed_while_it_publishes_is_recorded_once(make, url):
    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    with begin(url, make) as writer:
        write_tile(writer, make, 0, 0)
        writer._work._move_main = killed
        with pytest.raises(Killed):
            writer.publish({"run_id": "killed"})
    with begin(url, make) as writer:
        writer.publish({"run_id": "second"})
    archive = store.open_archive(url)
    assert [each["run_id"] for each in archive.records()] == ["second"]
    assert len(archive.log()) == 2


def test_a_run_killed_after_main_moved_is_finished(make, url):
    with begin(url, make) as writer:
        write_tile(writer, make, 0, 0)
        tip = writer.publish({})
    locate_store(url).open().create_branch("run-run", tip)
    with begin(url, make) as writer:
        assert not writer.changed
        assert writer.publish({}) == tip
    assert branches(url) == {"main"}


def test_what_others_wrote_to_main_stays(make, url):
    with begin(url, make) as writer:
        write_tile(writer, make, 0, 0)
        session = locate_store(url).open().writable_session("main")
        zarr.open_group(session.store, mode="r+").attrs["who"] = "another"
        other = session.commit("another tool")
        shown = writer.publish({})
    archive = store.open_archive(url)
    assert archive.snapshot == shown != other
    assert archive._root.attrs["who"] == "another"
    assert fingerprints(url, make) == [[9, 0], [0, 0], [0, 0]]


def test_a_live_run_keeps_others_out(make, path):
    url = path
    with (
        begin(url, make, "a"),
        pytest.raises(StoreConflictError, match=r"store\.lock"),
        begin(url, make, "b"),
    ):
        pass
    with begin(url, make, "b"):
        pass


def test_nothing_is_written_after_publish(make, url):
    with begin(url, make) as writer:
        write_tile(writer, make, 0, 0)
        writer.publish({})
        for late in (lambda: write_tile(writer, make, 1, 0), lambda: writer.publish({})):
            with pytest.raises(StoreError, match="is published"):
                late()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"resolution": 10}, r"resolution_m is 20\.0, the job has 10\.0"),
        ({"tile_px": 96}, "tile_px is 64, the job has 96"),
        ({"chunk_px": 16}, "chunk_px is 32, the job has 16"),
        ({"nx": 128}, r"shape is \[160, 96\], the job has \[160, 128\]"),
    ],
)
def test_another_grid_is_refused(make, url, change, said):
    with begin(url, make) as writer:
        write_tile(writer, make, 0, 0)
        writer.publish({})
    with (
        pytest.raises(StoreError, match=said),
        store.open_writer(url, make.grid(**change), title="", run_key="run"),
    ):
        pass
    with pytest.raises(StoreError, match="Use another store, or the old grid"):
        store.open_archive(url).require_grid(make.grid(**change))
    store.open_archive(url).require_grid(make.grid())


def test_an_empty_store_takes_a_new_grid(make, url):
    with begin(url, make) as writer:
        write_tile(writer, make, 0, 0)
    wider = make.grid(nx=128)
    store.open_archive(url).require_grid(wider)
    with store.open_writer(url, wider, title="", run_key="run") as writer:
        assert not writer.changed
    assert store.open_archive(url).grid.geobox == wider.geobox


def test_missing_and_foreign_stores_are_explained(make, path):
    url = path
    assert store.find_archive(url) is None
    with pytest.raises(StoreError, match="no store at .*cloudmask run"):
        store.open_archive(url)
    assert not Path(url).exists()
    for strange in ("ftp://host/store", "s3:///prefix", "s3://bucket/x?colour=red"):
        with pytest.raises(StoreError, match="cannot store at|unknown options"):
            store.open_archive(strange)
    repository = icechunk.Repository.create(icechunk.local_filesystem_storage(url))
    assert store.find_archive(url) is None
    session = repository.writable_session("main")
    zarr.create_group(session.store)
    session.commit("somebody else's")
    with pytest.raises(StoreError, match="no archive of cloudmask"):
        store.open_archive(url)


def test_urls_of_local_stores(make, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with begin("~/a b", make) as writer:
        write_tile(writer, make, 0, 0)
        writer.publish({})
    snapshots = {
        store.open_archive(url).snapshot
        for url in ("~/a b", f"{tmp_path}/a b", f"file://{tmp_path}/a%20b")
    }
    assert len(snapshots) == 1


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://bucket/a/b?endpoint_url=http://127.0.0.1:9&region=x", "bucket=bucket"),
        ("gs://bucket/a%20b", "prefix=a b"),
        ("az://box/a/b?account=me", "account=me, container=box, prefix=a/b"),
        ("abfs://box@me.dfs.core.windows.net/a", "account=me, container=box, prefix=a"),
        ("abfss://box@me.dfs.core.windows.net/a", "account=me, container=box, prefix=a"),
    ],
)
def test_object_stores_are_known_by_url(url, said):
    where = locate_store(url)
    assert where.path is None
    assert said in str(where.storage)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("az://box/a", "cannot tell the account"),
        ("abfs://@me.dfs.core.windows.net/a", "cannot tell the account"),
        ("az://box/a?account=me&key=s", r"unknown options \['key'\].*known are account"),
        ("gs://bucket/a?region=x", "known are none"),
        ("azure://box/a?account=me", "cannot store at"),
    ],
)
def test_urls_that_lack_a_part_are_explained(url, said):
    with pytest.raises(StoreError, match=said):
        locate_store(url)


KILLED = """
import sys
sys.path[:0] = [{here!r}, {root!r}]
from conftest import Make
from pipeline import store
make = Make()
grid = make.grid(1024, 1024, tile_px=64, chunk_px=32)
with store.open_writer({url!r}, grid, title="", run_key="run") as writer:
    writer.set_scenes(make.sensor, make.scenes(4))
    for tile in grid.tiles():
        for at, time in enumerate(make.times(4)):
            writer.write_mask(make.sensor, time, tile, make.mask(tile, at), 40 + at)
        writer.commit(tile.name)
        print(tile.name, flush=True)
"""


@pytest.mark.parametrize("tiles_before", [4])
def test_a_killed_process_leaves_whole_tiles_and_main_untouched(make, url, tiles_before):
    code = KILLED.format(here=str(Path(__file__).parent), root=str(ROOT), url=url)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    for _ in range(tiles_before):
        assert process.stdout.readline()
    # Somewhere within the tiles that follow.
    time.sleep(0.013)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()

    assert store.open_archive(url).sensors == ()
    grid = make.grid(1024, 1024, tile_px=64, chunk_px=32)
    with store.open_writer(url, grid, title="", run_key="run") as writer:
        stored = writer.fingerprints(make.sensor)
        done = [tile for tile in grid.tiles() if stored[make.times(4)[0]][tile.row, tile.col]]
        assert tiles_before <= len(done) < 256
        for tile in done:
            read = writer.read_mask(make.sensor, make.times(4), tile)
            for at, instant in enumerate(make.times(4)):
                assert stored[instant][tile.row, tile.col] == 40 + at
                np.testing.assert_array_equal(read[at], make.mask(tile, at))
        writer.publish({})
    assert store.open_archive(url).masks(make.sensor).sizes["time"] == 4


def test_sixteen_scenes_of_a_tile_take_less_than_a_second(make, url):
    grid = make.grid(512, 512, tile_px=512, chunk_px=256)
    tile = grid.tile(0, 0)
    masks = [make.mask(tile, at) for at in range(16)]
    with store.open_writer(url, grid, title="", run_key="run") as writer:
        writer.set_scenes(make.sensor, make.scenes(16))
        start = time.process_time()
        for at, instant in enumerate(make.times(16)):
            writer.write_mask(make.sensor, instant, tile, masks[at], 40 + at)
        writer.commit("tile")
        assert time.process_time() - start < 1


def test_memory_is_arithmetic():
    assert store.bytes_needed(2048, 100) == 2048 * 2048 * 124
