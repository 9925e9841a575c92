"""Masks: written = read, by our readers and by plain xarray."""

import tempfile
from datetime import timedelta

import numpy as np
import pytest
import rioxarray  # noqa: F401
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import store, types
from pipeline.errors import StoreError
from pipeline.store.arrays import create

few = settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def write(url, grid, make, count=2, tiles=None, key="run"):
    """Publish masks of all or some tiles and return them as whole arrays."""
    whole = np.zeros((count, *grid.geobox.shape), np.uint8)
    with store.open_writer(url, grid, title="test", run_key=key) as writer:
        writer.set_scenes(make.sensor, make.scenes(count))
        for tile in tiles or list(grid.tiles()):
            for at, time in enumerate(make.times(count)):
                codes = make.mask(tile, seed=100 * tile.row + 10 * tile.col + at)
                whole[(at, *tile.window)] = codes
                writer.write_mask(make.sensor, time, tile, codes, 1000 + at)
            writer.commit(f"tile {tile.name}")
        writer.publish({"run_id": key})
    return whole


@few
@given(
    shape=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    tiling=st.sampled_from([(64, 32), (64, 64), (96, 32), (32, 16)]),
    count=st.integers(1, 3),
    data=st.data(),
)
def test_written_is_read(make, shape, tiling, count, data):
    tile_px, chunk_px = tiling
    grid = make.grid(shape[0] * chunk_px, shape[1] * chunk_px, tile_px, chunk_px)
    tiles = data.draw(st.lists(st.sampled_from(list(range(9))), unique=True, min_size=1))
    chosen = [tile for n, tile in enumerate(grid.tiles()) if n in tiles] or [grid.tile(0, 0)]
    with tempfile.TemporaryDirectory() as folder:
        whole = write(f"{folder}/store", grid, make, count, chosen)
        masks = store.open_archive(f"{folder}/store").masks(make.sensor)
        np.testing.assert_array_equal(masks["mask"].to_numpy(), whole)
        for tile in grid.tiles():
            cell = masks.isel(tile_y=tile.row, tile_x=tile.col)
            written = any(tile.name == each.name for each in chosen)
            expected = [1000 + at for at in range(count)] if written else [0] * count
            assert cell["fingerprint"].to_numpy().tolist() == expected
            for at in range(count):
                codes = whole[(at, *tile.window)].ravel()
                counts = np.bincount(codes, minlength=7) if written else np.zeros(7)
                np.testing.assert_array_equal(cell["histogram"].to_numpy()[at], counts)


def test_plain_xarray_reads_masks_where_they_are(make, url):
    grid = make.grid()
    whole = write(url, grid, make)
    session = store.open_archive(url)._session
    opened = xr.open_zarr(session.store, group=f"masks/{make.sensor}", consolidated=False)

    assert opened["mask"].dtype == np.uint8
    np.testing.assert_array_equal(opened["mask"].to_numpy(), whole)
    np.testing.assert_array_equal(opened["x"], grid.geobox.coords["x"].values)
    np.testing.assert_array_equal(opened["y"], grid.geobox.coords["y"].values)
    stamps = [np.datetime64(time.replace(tzinfo=None)) for time in make.times(2)]
    assert opened["time"].to_numpy().tolist() == np.array(stamps, "M8[ns]").tolist()
    assert opened["platform"].to_numpy().tolist() == ["sentinel-2a"] * 2
    for each in (opened, opened["mask"]):
        assert each.rio.crs.to_epsg() == 32632
        assert each.odc.geobox == grid.geobox
    assert opened["mask"].rio.transform() == grid.geobox.transform
    assert "_FillValue" not in opened["mask"].attrs
    assert opened["mask"].attrs["flag_values"] == list(range(7))
    assert len(opened["mask"].attrs["flag_meanings"].split()) == 7


def test_archive_masks_know_crs_and_stay_integers(make, url):
    grid = make.grid()
    whole = write(url, grid, make)
    archive = store.open_archive(url)
    assert archive.sensors == (make.sensor,)
    assert archive.grid.geobox == grid.geobox
    for chunks in (None, {}, {"time": 1, "y": 64, "x": 64}):
        masks = archive.masks(make.sensor, chunks)
        assert masks["mask"].dtype == np.uint8
        assert (masks["mask"].chunks is None) == (chunks is None)
        assert masks["mask"].odc.crs == grid.geobox.crs
        assert masks["mask"].rio.crs.to_epsg() == 32632
        np.testing.assert_array_equal(masks["mask"].to_numpy(), whole)
    assert masks.attrs["tile_px"] == grid.tile_px


def test_a_tile_is_a_whole_number_of_shards(make):
    for tile_px, chunk_px in [(2048, 256), (4096, 256), (6144, 512), (64, 64), (8192, 4096)]:
        shard = create.shard_px(make.grid(tile_px=tile_px, chunk_px=chunk_px))
        assert tile_px % shard == 0
        assert shard % chunk_px == 0
        assert shard <= max(create.SHARD_PX, chunk_px)


def test_late_scenes_are_appended_and_read_in_order(make, url):
    grid, times = make.grid(), make.times(3)
    scenes, tile = make.scenes(3), make.grid().tile(1, 0)
    for chosen in ([2], [0, 1]):
        with store.open_writer(url, grid, title="", run_key="run") as writer:
            writer.set_scenes(make.sensor, [scenes[at] for at in chosen])
            for at in chosen:
                writer.write_mask(make.sensor, times[at], tile, make.mask(tile, at), 50 + at)
            writer.publish({})
    masks = store.open_archive(url).masks(make.sensor)
    assert masks["time"].to_index().is_monotonic_increasing
    assert masks["fingerprint"].to_numpy()[:, 1, 0].tolist() == [50, 51, 52]
    for at in range(3):
        read = masks["mask"].isel(time=at).to_numpy()[tile.window]
        np.testing.assert_array_equal(read, make.mask(tile, at))
    assert masks["items"].to_numpy().tolist() == [f'["item-{at}"]' for at in range(3)]


def test_a_scene_whose_time_moves_stays_one_scene(make, url):
    grid, time = make.grid(), make.times(1)[0]
    tile, earlier = grid.tile(0, 0), time - timedelta(minutes=2)
    with store.open_writer(url, grid, title="", run_key="run") as writer:
        writer.set_scenes(make.sensor, [(time, "sentinel-2a", ["b"])])
        writer.write_mask(make.sensor, time, tile, make.mask(tile), 50)
        writer.publish({})
    with store.open_writer(url, grid, title="", run_key="run") as writer:
        writer.set_scenes(make.sensor, [(earlier, "sentinel-2a", ["a", "b"])])
        stored = writer.fingerprints(make.sensor)
        assert list(stored) == [earlier]
        assert stored[earlier][0, 0] == 50
        writer.publish({})
    masks = store.open_archive(url).masks(make.sensor)
    assert masks.sizes["time"] == 1
    assert masks["items"].item() == '["a", "b"]'


def test_uncommitted_work_is_seen_by_the_writer_and_can_be_discarded(make, url):
    grid, (first, second) = make.grid(), make.times(2)
    tile, other = grid.tile(0, 0), grid.tile(2, 1)
    with store.open_writer(url, grid, title="", run_key="run") as writer:
        writer.set_scenes(make.sensor, make.scenes(2))
        assert not writer.fingerprints(make.sensor)[first].any()
        writer.write_mask(make.sensor, first, tile, make.mask(tile), 50)
        read = writer.read_mask(make.sensor, [second, first], tile)
        assert not read[0].any()
        np.testing.assert_array_equal(read[1], make.mask(tile))
        assert writer.fingerprints(make.sensor)[first][0, 0] == 50
        kept = writer.commit("kept")

        writer.write_mask(make.sensor, second, other, make.mask(other), 60)
        writer.set_scenes(make.sensor, make.scenes(4))
        assert len(writer.fingerprints(make.sensor)) == 4
        writer.discard()
        stored = writer.fingerprints(make.sensor)
        assert list(stored) == [first, second]
        assert stored[first][0, 0] == 50
        assert not stored[second].any()
        assert not writer.read_mask(make.sensor, [second], other).any()
        assert writer.commit("nothing") == kept


def test_cells_without_pixels_are_told_apart(make, url):
    grid, (time,) = make.grid(), make.times(1)
    tile, other = grid.tile(0, 0), grid.tile(0, 1)
    with store.open_writer(url, grid, title="", run_key="run") as writer:
        writer.set_scenes(make.sensor, make.scenes(1))
        writer.write_mask(make.sensor, time, tile, None, types.UNCOVERED)
        writer.write_mask(make.sensor, time, other, None, types.UNREADABLE)
        writer.publish({})
    masks = store.open_archive(url).masks(make.sensor)
    assert masks["fingerprint"].to_numpy()[0].tolist() == [[1, 2], [0, 0], [0, 0]]
    assert masks["histogram"].to_numpy()[0, 0, 0].tolist() == [64 * 64, 0, 0, 0, 0, 0, 0]
    meanings = masks["fingerprint"].attrs["flag_meanings"].split()
    assert meanings[types.NEVER] == "never"
    assert meanings[types.UNREADABLE] == "unreadable"


@pytest.mark.parametrize(
    ("codes", "fingerprint"),
    [
        (np.zeros((64, 63), np.uint8), 5),
        (np.zeros((64, 64), np.int16), 5),
        (np.full((64, 64), 7, np.uint8), 5),
        (np.zeros((64, 64), np.uint8), 0),
    ],
)
def test_wrong_masks_are_refused(make, url, codes, fingerprint):
    with store.open_writer(url, make.grid(), title="", run_key="run") as writer:
        writer.set_scenes(make.sensor, make.scenes(1))
        tile = make.grid().tile(0, 0)
        with pytest.raises(ValueError, match="uint8|codes|fingerprint"):
            writer.write_mask(make.sensor, make.times(1)[0], tile, codes, fingerprint)


def test_unknown_scenes_and_sensors_are_named(make, url):
    tile = make.grid().tile(0, 0)
    with store.open_writer(url, make.grid(), title="", run_key="run") as writer:
        assert writer.fingerprints(make.sensor) == {}
        with pytest.raises(StoreError, match="set_scenes first"):
            writer.write_mask(make.sensor, make.times(1)[0], tile, None, 1)
        writer.set_scenes(make.sensor, make.scenes(1))
        with pytest.raises(StoreError, match="no scene of sentinel-2 at 2026-06-02"):
            writer.write_mask(make.sensor, make.times(2)[1], tile, None, 1)
