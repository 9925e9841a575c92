"""What a reader has in memory stays of use after a publish, as far as nothing wrote it again."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from pipeline import store
from pipeline.errors import StoreError
from pipeline.store import ChunkCache
from pipeline.store.read.shards import Shards
from tests.serve.region import START, Region, fill

SENSOR = "sentinel-2"


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A store made once: tests change copies of it."""
    made = Region(str(tmp_path_factory.mktemp("filled") / "store"))
    fill(made, overviews=False, confidence=False)
    return made


@pytest.fixture
def region(filled, tmp_path):
    return replace(filled, url=str(shutil.copytree(filled.url, tmp_path / "store")))


@pytest.fixture
def loaded(monkeypatch):
    """Lists the shards (array, time, row, column) that are read from the store."""
    found = []
    get = Shards._get

    def counted(self, wanted):
        found.extend((self.array.path, *shard) for shard, _ in wanted)
        return get(self, wanted)

    monkeypatch.setattr(Shards, "_get", counted)
    return found


def everything(archive):
    """Read all masks, cells and a band."""
    masks = archive.stored_masks(SENSOR)
    ny, nx = archive.grid.geobox.shape
    whole = slice(0, ny), slice(0, nx)
    codes = [masks.codes(at, whole) for at in range(len(masks.scenes))]
    tiles = np.ndindex(archive.grid.shape_in_tiles)
    cells = [masks.fingerprints(*tile) for tile in tiles]
    runs = [
        run for chunk in ((0, 0), (3, 2)) for run in masks.runs_of(range(len(codes)), *chunk)
    ]
    red = archive.reader("composites", "monthly")("red", (0, *whole))
    return [*codes, *cells, *runs, red]


def opened(region, cache, before=None):
    archive = region.open()
    archive.keep_chunks(cache, before)
    return archive


def write(region, time, tile_number, code, made):
    """Publish one tile of a scene, all of one class."""
    with store.open_writer(region.url, region.grid, title="r", run_key="k") as writer:
        writer.set_scenes(SENSOR, [(time, "a", [f"{SENSOR}-{time:%d%H}"])])
        tile = list(region.grid.tiles())[tile_number]
        codes = np.full(tile.geobox.shape, code, np.uint8)
        writer.write_mask(SENSOR, time, tile, codes, made)
        return writer.publish({"run_id": str(made)})


def same(found, wanted):
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(a, b)


def test_only_what_was_written_is_read_again(region, loaded):
    cache = ChunkCache(1 << 24)
    first = opened(region, cache)
    before = everything(first)
    assert loaded
    write(region, START, 1, 5, 900)
    loaded.clear()
    second = opened(region, cache, first)
    found = everything(second)
    assert loaded == [(f"masks/{SENSOR}/mask", 2, 0, 1)]
    loaded.clear()
    same(everything(first), before)
    assert loaded == [], "the earlier state has its own still"
    same(found, everything(region.open()))
    assert (found[0][:64, 64:128] == 5).all()


def test_scenes_that_came_and_tiles_that_were_written_twice_are_new(region, loaded):
    cache = ChunkCache(1 << 24)
    archive = opened(region, cache)
    everything(archive)
    for number, (time, code) in enumerate(
        [(START, 5), (START + timedelta(days=90), 1), (START, 3), (START, 5)]
    ):
        write(region, time, 1, code, 901 + number)
        loaded.clear()
        archive = opened(region, cache, archive)
        found = everything(archive)
        written = {each for each in loaded if each[0].startswith("masks")}
        # Of a new scene, the tiles that have nothing are looked for once.
        assert len(written) == (12 if number == 1 else 1), written
        same(found, everything(region.open()))


def test_nothing_of_before_is_used_where_the_history_does_not_tell(region, loaded):
    cache = ChunkCache(1 << 24)
    first = opened(region, cache)
    everything(first)
    write(region, START, 1, 5, 900)
    second = opened(region, cache, first)
    everything(second)
    store.roll_back(region.url, first.snapshot)
    write(region, START, 1, 2, 901)
    loaded.clear()
    same(everything(opened(region, cache, second)), everything(region.open()))
    assert len(loaded) > 12
    store.expire(region.url, datetime.now(UTC))
    write(region, START, 1, 1, 902)
    same(everything(opened(region, cache, first)), everything(region.open()))


@pytest.mark.parametrize("array", ["mask", "red", "runs"])
def test_what_was_damaged_on_its_way_is_not_kept(region, monkeypatch, array):
    archive = region.open()
    masks, window = archive.stored_masks(SENSOR), (slice(0, 64), slice(0, 64))
    reads = {
        "mask": lambda: masks.codes(0, window),
        "runs": lambda: np.concatenate(masks.runs_of([0], 0, 0)),
        "red": lambda: archive.reader("composites", "monthly")("red", (0, *window)),
    }
    get = Shards._get
    with monkeypatch.context() as damaging:
        damaging.setattr(
            Shards,
            "_get",
            lambda *args: [each and bytes(255 - b for b in each) for each in get(*args)],
        )
        with pytest.raises((StoreError, ValueError)):
            reads[array]()
    found = reads[array]()
    archive.keep_chunks(ChunkCache(0))
    masks = archive.stored_masks(SENSOR)
    np.testing.assert_array_equal(found, reads[array]())


def test_what_is_kept_cannot_be_changed_by_who_reads_it(region):
    masks = region.open().stored_masks(SENSOR)
    for found in (
        masks.reader("fingerprint", (slice(None), 0, 0)),
        masks.reader("histogram", (slice(None), 0, 0)),
        *masks.runs_of([0], 0, 0),
    ):
        with pytest.raises(ValueError, match="read-only"):
            found[...] = 0


def test_stores_whose_earlier_states_used_no_cache_are_told_apart(tmp_path):
    cache = ChunkCache(1 << 24)
    for number, name in enumerate(("one", "other")):
        made = Region(str(tmp_path / name))
        fill(made, overviews=False, confidence=False)
        write(made, START, 0, 2 + number, 900)
        before = made.open()
        write(made, START, 1, 5, 901)
        after = opened(made, cache, before)
        same(everything(after), everything(made.open()))
