"""Selected masks and exported files lie on the pixels of the archive."""

from datetime import UTC, datetime
from importlib.util import find_spec

import numpy as np
import pytest
import rasterio
import rioxarray  # noqa: F401
import xarray as xr

from pipeline import query
from pipeline.errors import QueryError
from pipeline.query.selection import scenes_in
from pipeline.types import Period

needs_h5py = pytest.mark.skipif(find_spec("h5py") is None, reason="h5netcdf comes without h5py")
NETCDF = pytest.param(".nc", marks=needs_h5py)


@pytest.fixture
def selected(region):
    return query.select_masks(region.masks, region.aoi(((20, 30), (100, 40), (60, 120))))


def test_selection_is_the_archive_within_the_aoi(region, selected):
    mask = selected["mask"]
    assert mask.dtype == np.uint8
    assert selected["sensor"].to_numpy().tolist() == ["landsat", "sentinel-2"] * 3
    assert selected["time"].to_index().is_monotonic_increasing
    assert mask.odc.crs == region.grid.geobox.crs
    left, top = ~region.grid.geobox.affine @ (mask.odc.geobox.affine @ (0, 0))
    assert (left, top) == (20, 30)
    ys, xs = slice(30, 30 + mask.sizes["y"]), slice(20, 20 + mask.sizes["x"])
    drawn = (mask != 0).any("time").to_numpy()
    assert drawn.any()
    assert not drawn[0, -1]
    for at, sensor in enumerate(selected["sensor"].to_numpy()):
        whole = np.maximum(region.whole[sensor][at // 2, ys, xs], 0)
        np.testing.assert_array_equal(mask[at].to_numpy()[drawn], whole[drawn])


def test_selection_of_the_region_is_the_archive(region):
    chosen = query.select_masks({"landsat": region.masks["landsat"]}, None)
    np.testing.assert_array_equal(chosen["mask"], np.maximum(region.whole["landsat"], 0))
    assert chosen["mask"].odc.geobox == region.grid.geobox


def test_selection_needs_masks(region):
    with pytest.raises(QueryError, match="no masks"):
        query.select_masks({}, None)


@pytest.mark.parametrize("suffix", [".zarr", NETCDF])
def test_datasets_come_back(region, selected, tmp_path, suffix):
    for name, dataset in {
        "mask": selected,
        "composite": region.archive.composite("all"),
    }.items():
        path = query.export(dataset, tmp_path / f"{name}{suffix}")
        engine = {"engine": "zarr", "consolidated": False} if suffix == ".zarr" else {}
        with xr.open_dataset(path, decode_coords="all", **engine) as read:
            # Others read days as dates; `test_query_exports` holds them to the numbers.
            same = [each.drop_vars("day", errors="ignore").load() for each in (read, dataset)]
            xr.testing.assert_equal(*same)
            assert read.odc.geobox == dataset.odc.geobox
            assert read.rio.crs.to_epsg() == 32632
        assert [each.name for each in tmp_path.glob(f".{name}*")] == []
    assert read["red"].dtype == np.float32


@pytest.mark.parametrize("suffix", [".zarr", NETCDF, ".tif"])
def test_whole_archive_masks_can_be_exported(region, tmp_path, suffix):
    path = query.export(region.masks["landsat"], tmp_path / f"all{suffix}")
    if suffix == ".tif":
        with rasterio.open(path) as raster:
            np.testing.assert_array_equal(raster.read(), np.maximum(region.whole["landsat"], 0))


def test_geotiff_lies_on_the_same_pixels(region, selected, tmp_path):
    path = query.export(selected, tmp_path / "masks.tif")
    with rasterio.open(path) as raster:
        assert raster.dtypes == ("uint8",) * 6
        assert raster.nodata == 0
        assert raster.crs.to_epsg() == 32632
        assert raster.transform == selected["mask"].odc.geobox.affine
        assert raster.descriptions[0] == "2026-06-01T10:30:20Z"
        assert raster.tags(2)["sensor"] == "sentinel-2"
        np.testing.assert_array_equal(raster.read(), selected["mask"].to_numpy())
        for at, name in enumerate(("red", "red")):
            assert name
            y, x = float(selected["y"][3 + at]), float(selected["x"][40])
            assert (
                next(raster.sample([(x, y)]))[0] == selected["mask"].to_numpy()[0, 3 + at, 40]
            )


def test_composites_become_bands(region, tmp_path):
    composite = region.archive.composite("all")
    path = query.export(composite, tmp_path / "composite.tif")
    with rasterio.open(path) as raster:
        names = list(raster.descriptions)
        assert set(names) == {"red", "nir", "count", "day", "source"}
        for number, name in enumerate(names, start=1):
            expected = composite[name].isel(time=0).to_numpy().astype("float32")
            np.testing.assert_array_equal(raster.read(number), expected)
        assert np.isnan(raster.nodata)
    one = query.export(composite["red"].isel(time=0).to_dataset(), tmp_path / "red.tif")
    with rasterio.open(one) as raster:
        assert raster.count == 1


@pytest.mark.parametrize("suffix", [".zarr", NETCDF, ".tif"])
def test_files_are_replaced_only_when_allowed(selected, tmp_path, suffix):
    path = tmp_path / f"masks{suffix}"
    query.export(selected, path)
    with pytest.raises(QueryError, match="is there already"):
        query.export(selected, path)
    query.export(selected, path, overwrite=True)
    beside = {"masks.tif.aux.xml", "masks.qml"} if suffix == ".tif" else set()
    assert {each.name for each in tmp_path.iterdir()} == {path.name, *beside}


def test_folders_that_are_not_ours_are_kept(selected, tmp_path):
    (tmp_path / "mine.zarr").mkdir()
    with pytest.raises(QueryError, match="remove it yourself"):
        query.export(selected, tmp_path / "mine.zarr", overwrite=True)


def test_what_cannot_be_exported_is_explained(region, selected, tmp_path):
    with pytest.raises(QueryError, match=r"end it with \.zarr, \.nc, \.tif"):
        query.export(selected, tmp_path / "masks.jpg")
    with pytest.raises(QueryError, match="one date, not 6"):
        query.export(selected, tmp_path / "masks.png")
    before = Period(
        start=datetime(2000, 1, 1, tzinfo=UTC), end=datetime(2001, 1, 1, tzinfo=UTC)
    )
    empty = query.select_masks(region.masks, None, before)
    assert empty.sizes["time"] == 0
    with pytest.raises(QueryError, match="no scenes"):
        query.export(empty, tmp_path / "empty.tif")
    assert list(tmp_path.iterdir()) == []
    assert scenes_in(region.masks["landsat"], before).sizes["time"] == 0
