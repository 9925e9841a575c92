"""A plain Zarr store: what the Icechunk store holds after the same run, and what it cannot do."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from pipeline import store
from pipeline.errors import StoreConflictError, StoreError
from pipeline.store.base.location import locate_store
from pipeline.types import NEVER
from tests.store.making import JULY, JUNE, ROLES
from tests.store.test_forks import (
    NAME,
    TILES,
    axes,
    content,
    do_tile,
    in_worker,
    same,
    sent,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def plain(tmp_path):
    return f"zarr+file://{tmp_path}/plain"


def begin(url, make, key="run", **settings):
    return store.open_writer(url, make.grid(), title="t", run_key=key, **settings)


def test_it_holds_what_the_icechunk_store_holds(make, plain, path):
    for url in (plain, path):
        for salt in (0, 9, 1):
            with begin(url, make, f"run-{salt}", overviews=True) as writer:
                axes(writer)
                for number in range(salt % 3, 4):
                    do_tile(writer, number, salt)
                    writer.commit("tile")
                # Another method under the same name would be refused.
                writer.set_composite("other", ROLES, [JUNE, JULY], {"method": "mean"})
                writer.publish({"run_id": f"{salt}"})
    same(content(plain), content(path))
    one, other = store.open_archive(plain), store.open_archive(path)
    assert one.item_ids == other.item_ids
    assert one.levels("masks", make.sensor) == (1, 2, 4, 8, 16)
    assert [each["run_id"] for each in one.records()] == ["0", "9", "1"]
    for factor in (2, 16):
        xr.testing.assert_identical(
            one.composite(NAME, level=factor).load(), other.composite(NAME, level=factor).load()
        )


def test_anything_that_reads_zarr_reads_it(make, plain, tmp_path):
    with begin(plain, make) as writer:
        axes(writer)
        do_tile(writer, 0)
        writer.publish({})
    found = xr.open_zarr(tmp_path / "plain" / "masks" / make.sensor, consolidated=False)
    np.testing.assert_array_equal(
        found["mask"].values[0][TILES[0].window], make.mask(TILES[0], 0)
    )


def test_forks_write_to_it(make, plain, path):
    with begin(plain, make) as writer:
        axes(writer)
        forks = [in_worker(sent(writer.fork()), numbers) for numbers in ([0, 3, 4], [1, 2, 5])]
        writer.merge([sent(fork) for fork in forks])
        writer.commit("all")
        writer.publish({})
    with begin(path, make) as writer:
        axes(writer)
        for number in range(6):
            do_tile(writer, number)
        writer.publish({})
        with pytest.raises(StoreError, match="is published"):
            writer.merge([])
    same(content(plain), content(path))


def test_forks_of_another_kind_are_refused(make, plain, path):
    with begin(plain, make) as one, begin(path, make) as other:
        axes(one)
        axes(other)
        for writer, fork in ((one, other.fork()), (other, one.fork())):
            with pytest.raises(TypeError, match="another kind of store"):
                writer.merge([fork])


def test_what_needs_a_history_is_refused(make, plain):
    with pytest.raises(StoreError, match="there is no store at"):
        store.open_archive(plain)
    assert store.find_archive(plain) is None
    with begin(plain, make) as writer:
        axes(writer)
        shown = writer.publish({"run_id": "one"})
        with pytest.raises(StoreError, match="is published"):
            writer.commit("late")
    archive = store.open_archive(plain)
    assert archive.snapshot == shown
    assert archive.records()[0]["snapshot"] == shown
    for refused in (
        archive.log,
        lambda: store.open_archive(plain, as_of="2026-06-01"),
        lambda: store.roll_back(plain, "A" * 20),
        lambda: store.expire(plain, datetime.now(UTC)),
        locate_store(plain).open,
    ):
        with pytest.raises(StoreError, match=r"plain Zarr store, which has no history: "):
            refused()


def test_nothing_new_is_not_published(make, plain):
    with begin(plain, make) as writer:
        axes(writer)
        do_tile(writer, 0)
        first = writer.publish({"run_id": "one"})
    with begin(plain, make) as writer:
        axes(writer)
        assert not writer.changed
        assert writer.publish({"run_id": "two"}) == first
    assert [each["run_id"] for each in store.open_archive(plain).records()] == ["one"]


def test_one_run_at_a_time(make, plain):
    with (
        begin(plain, make, "a"),
        pytest.raises(StoreConflictError, match=r"plain\.lock"),
        begin(plain, make, "b"),
    ):
        pass


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("zarr+s3://bucket/store", "lies on a local path"),
        ("zarr+zip:///a", "cannot store at"),
    ],
)
def test_where_it_cannot_lie(url, said):
    with pytest.raises(StoreError, match=said):
        store.find_archive(url)


def test_other_grids_and_other_things_are_refused(make, plain, tmp_path):
    with begin(plain, make) as writer:
        axes(writer)
        writer.publish({})
    with (
        pytest.raises(StoreError, match="tile_px is 64, the job has 96"),
        store.open_writer(plain, make.grid(tile_px=96), title="", run_key="run"),
    ):
        pass
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with (
        pytest.raises(StoreError, match="holds other things"),
        begin(f"zarr+{tmp_path}/full", make),
    ):
        pass
    zarr.create_group(tmp_path / "foreign")
    with pytest.raises(StoreError, match="no archive of cloudmask"):
        store.open_archive(f"zarr+{tmp_path}/foreign")


def test_what_waits_can_be_forgotten(make, plain):
    with begin(plain, make) as writer:
        axes(writer)
        do_tile(writer, 0)
        writer.discard()
        assert writer.changed
        assert writer.mask_fingerprint(make.sensor, make.times(1)[0], TILES[0]) == NEVER
        assert writer.composite_fingerprint(NAME, JUNE.start, TILES[0]) == NEVER


KILLED = """
import os, signal, sys
from pipeline.store.arrays import masks, overviews
from tests.store import test_forks as forks
from tests.store.test_plain import begin
from tests.store.making import Make

url, death = sys.argv[1], int(sys.argv[2])
steps = 0
import zarr.storage
real = zarr.storage.LocalStore.set
async def counted(self, key, value):
    global steps
    steps += 1
    if steps == death:
        os.kill(os.getpid(), signal.SIGKILL)
    await real(self, key, value)
with begin(url, Make()) as writer:
    forks.axes(writer)
    zarr.storage.LocalStore.set = counted
    for number in range(3):
        forks.do_tile(writer, number, 1)
        writer.commit("tile")
    print("FINISHED", steps)
"""


@pytest.mark.parametrize(
    "death", [9, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 14, 23))]
)
def test_an_unfinished_cell_is_one_that_was_never_made(make, plain, path, death):
    for url in (plain, path):
        with begin(url, make) as writer:
            axes(writer)
            for number in range(3):
                do_tile(writer, number)
            writer.publish({})
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, plain, str(death)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stdout + ended.stderr
    archive = store.open_archive(plain)
    masks, made = archive.masks(make.sensor).load(), archive.composite(NAME).load()
    told = 0
    for number, tile in enumerate(TILES[:3]):
        for n in range(3):
            stored = int(masks["fingerprint"].values[n, tile.row, tile.col])
            if stored != NEVER:
                told += 1
                # Whatever a fingerprint says is there, whole.
                np.testing.assert_array_equal(
                    masks["mask"].values[n][tile.window], make.mask(tile, stored - 3)
                )
                assert stored - 3 in {10 * number + n, 100 + 10 * number + n}
        if made["fingerprint"].values[0, tile.row, tile.col]:
            assert int(made["count"].values[0][tile.window].sum())
    assert told < 9
    for url in (plain, path):
        with begin(url, make) as writer:
            for number in range(3):
                do_tile(writer, number, 1)
            writer.publish({})
    same(content(plain), content(path))
