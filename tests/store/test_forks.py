"""Forks: whoever writes a tile, in whatever process, the store is the same bit for bit."""

import multiprocessing
import pickle
import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import store
from pipeline.errors import StoreError
from pipeline.store.write.tilestore import TileStore
from pipeline.types import UNCOVERED
from tests.store.making import JUNE, ROLES, Make

make = Make()
SCENES = 3
TILES = tuple(make.grid().tiles())
NAME = "monthly"


def begin(url, key="run"):
    return store.open_writer(url, make.grid(), title="t", run_key=key)


def axes(writer):
    writer.item_positions(*make.documents(9))
    writer.set_scenes(make.sensor, make.scenes(SCENES))
    writer.set_composite(NAME, ROLES, [JUNE], {"method": "median"})
    return writer.commit("axes")


def do_tile(tiles: TileStore, number: int, salt: int = 0) -> None:
    """Write a tile as a run does; salt 9 takes everything back: chunks then go."""
    tile = TILES[number]
    for n, time in enumerate(make.times(SCENES)):
        if salt == 9:
            tiles.write_mask(make.sensor, time, tile, None, UNCOVERED)
        else:
            seed = 100 * salt + 10 * number + n
            tiles.write_mask(make.sensor, time, tile, make.mask(tile, seed), seed + 3)
    seen = tiles.read_mask(make.sensor, make.times(SCENES), tile)
    made = make.composite(tile, seed=int(seen.sum()) % 1000)
    tiles.write_composite(NAME, JUNE.start, tile, made, int(seen.sum()) + 3)


def content(url) -> dict[str, xr.Dataset]:
    archive = store.open_archive(url)
    return {
        "masks": archive.masks(make.sensor).load(),
        "composite": archive.composite(NAME).load(),
    }


def same(one, other):
    for name in one:
        xr.testing.assert_identical(one[name], other[name])


def in_worker(fork: store.Fork, numbers: list[int], salt: int = 0) -> store.Fork:
    """Run in a process of its own."""
    for number in numbers:
        do_tile(fork, number, salt)
    fork.flush()
    return fork


def sent(fork: store.Fork) -> store.Fork:
    """Return what arrives at the other side of a wire."""
    return pickle.loads(pickle.dumps(fork))


def alone(url, salts=(0,)):
    for salt in salts:
        with begin(url) as writer:
            axes(writer)
            for number in range(len(TILES)):
                do_tile(writer, number, salt)
            writer.commit("all")
            writer.publish({})
    return content(url)


@lru_cache
def written_alone(salts) -> dict[str, xr.Dataset]:
    with tempfile.TemporaryDirectory() as folder:
        return alone(f"{folder}/alone", salts)


@pytest.mark.slow
@settings(max_examples=25)
@given(data=st.data())
def test_any_assignment_of_tiles_to_forks_gives_the_same_store(data):
    order = data.draw(st.permutations(range(len(TILES))))
    owners = data.draw(st.lists(st.integers(0, 3), min_size=len(TILES), max_size=len(TILES)))
    commits = data.draw(st.integers(0, 7), label="after which fork to commit, as bits")
    salts = data.draw(st.sampled_from([(0,), (0, 9), (9, 0)]))
    with tempfile.TemporaryDirectory() as folder:
        url = f"{folder}/forked"
        for salt in salts:
            with begin(url) as writer:
                axes(writer)
                forks = [sent(writer.fork()) for _ in range(3)]
                for number in order:
                    # The last owner is the coordinator itself.
                    do_tile(
                        writer if owners[number] == 3 else forks[owners[number]], number, salt
                    )
                for n, fork in enumerate(forks):
                    writer.merge([sent(fork)])
                    if commits >> n & 1:
                        writer.commit(f"fork {n}")
                writer.commit("last")
                writer.publish({})
        same(content(url), written_alone(salts))


@pytest.mark.quick(1)
def test_processes_write_through_forks(anywhere):
    with begin(anywhere) as writer, multiprocessing.get_context("spawn").Pool(2) as pool:
        axes(writer)
        shares = [list(range(0, len(TILES), 2)), list(range(1, len(TILES), 2))]
        results = [pool.apply_async(in_worker, (writer.fork(), share)) for share in shares]
        for result in results:
            # As they come, each in a commit of its own: the second fork is of an older one.
            writer.merge([result.get(timeout=120)])
            writer.commit("a worker's tiles")
        writer.publish({})
    same(content(anywhere), written_alone((0,)))


def test_a_fork_made_while_others_are_merged_but_not_committed(tmp_path):
    url = str(tmp_path / "store")
    with begin(url) as writer:
        axes(writer)
        writer.merge([in_worker(sent(writer.fork()), [0])])
        later = sent(writer.fork())
        assert later.mask_fingerprint(make.sensor, make.times(1)[0], TILES[0]) == 0
        writer.commit("first")
        now = sent(writer.fork())
        assert now.mask_fingerprint(make.sensor, make.times(1)[0], TILES[0]) == 3
        writer.merge([in_worker(later, [1]), in_worker(now, [2])])
        stored = writer.fingerprints(make.sensor)[make.times(1)[0]]
        assert [int(stored[tile.row, tile.col]) for tile in TILES] == [3, 13, 23, 0, 0, 0]
        writer.publish({})
    assert store.open_archive(url).masks(make.sensor)["fingerprint"].values[0].max() == 23


def test_what_is_not_merged_is_not_there(tmp_path):
    url = str(tmp_path / "store")
    with begin(url) as writer:
        axes(writer)
        lost, kept = writer.fork(), writer.fork()
        in_worker(sent(lost), [0])
        in_worker(kept, [1])
        writer.merge([kept])
        # A batch that fails after the merge is forgotten as a whole.
        writer.discard()
        assert writer.mask_fingerprint(make.sensor, make.times(1)[0], TILES[1]) == 0
        # A worker was lost: its tile is done again elsewhere.
        writer.merge([in_worker(sent(writer.fork()), [0, 1])])
        writer.publish({})
    stored = store.open_archive(url).masks(make.sensor)["fingerprint"].values[0]
    assert [int(stored[tile.row, tile.col]) for tile in TILES] == [3, 13, 0, 0, 0, 0]


def test_a_fork_is_small_and_so_is_what_it_brings_home(tmp_path):
    with begin(str(tmp_path / "store")) as writer:
        axes(writer)
        fork = writer.fork()
        there = len(pickle.dumps(fork))
        home = len(pickle.dumps(in_worker(sent(fork), [0])))
    # Nothing in it grows with the region; chunks come home as references.
    assert there < 2_000
    assert home < 6_000


def test_forks_see_what_was_committed_and_nothing_else(tmp_path):
    with begin(str(tmp_path / "store")) as writer:
        early = writer.fork()
        with pytest.raises(StoreError, match="call set_scenes first"):
            early.read_mask(make.sensor, make.times(1), TILES[0])
        assert early.fingerprints(make.sensor) == {}
        assert early.composite_fingerprints(NAME) == {}
        axes(writer)
        fork = writer.fork()
        with pytest.raises(StoreError, match="no period"):
            fork.composite_fingerprint(NAME, make.july.start, TILES[0])
        assert list(fork.fingerprints(make.sensor)) == make.times(SCENES)
        do_tile(writer, 0)
        assert not fork.read_mask(make.sensor, make.times(1), TILES[0]).any()
        assert fork.mask_fingerprint(make.sensor, make.times(1)[0], TILES[0]) == 0


def test_cells_are_asked_one_by_one_or_together(tmp_path):
    with begin(str(tmp_path / "store")) as writer:
        axes(writer)
        for tiles in (writer, writer.fork()):
            first = make.times(1)[0]
            assert tiles.mask_fingerprint(make.sensor, first, TILES[2]) == 0
            do_tile(tiles, 2)
            assert tiles.mask_fingerprint(make.sensor, first, TILES[2]) == 23
            where = TILES[2].row, TILES[2].col
            assert tiles.fingerprints(make.sensor)[first][where] == 23
            composed = tiles.composite_fingerprints(NAME)[JUNE.start][where]
            assert composed == tiles.composite_fingerprint(NAME, JUNE.start, TILES[2])


def test_forks_of_another_store_are_refused(tmp_path):
    with begin(str(tmp_path / "one")) as one:
        axes(one)
        fork = one.fork()
        fork._origin = object()
        with pytest.raises(TypeError, match="another kind of store"):
            one.merge([fork])


def test_workers_say_what_is_wrong_with_the_store(tmp_path):
    path = Path(tmp_path / "store")
    with begin(str(path)) as writer:
        axes(writer)
        fork = writer.fork()
        arrived = sent(fork)
        (path / "snapshots").rename(path / "elsewhere")
        with pytest.raises(StoreError, match="cannot open the store in a worker|cannot"):
            do_tile(arrived, 0)
        (path / "elsewhere").rename(path / "snapshots")


def test_pixels_of_forks_are_those_that_were_given(tmp_path):
    with begin(str(tmp_path / "store")) as writer:
        axes(writer)
        fork = sent(writer.fork())
        tile = TILES[5]
        fork.write_mask(make.sensor, make.times(1)[0], tile, make.mask(tile, 77), 77)
        writer.merge([sent(fork)])
        found = writer.read_mask(make.sensor, make.times(1), tile)[0]
        np.testing.assert_array_equal(found, make.mask(tile, 77))
