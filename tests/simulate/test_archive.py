"""What an archive holds, read back with other people's tools."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pystac
import pytest
import rasterio
from rasterio.enums import Resampling
from rio_cogeo import cog_validate

from pipeline.errors import ConfigError
from pipeline.simulate import (
    ArchiveSettings,
    cloud_truth,
    make_archive,
    open_truth,
    shadow_truth,
    truth_path,
)
from pipeline.simulate.archive import products as products_module
from pipeline.simulate.bands import SENTINEL2
from pipeline.simulate.grids import halve, same
from pipeline.simulate.passes import passes


def read(item, key):
    with rasterio.open(item.assets[key].get_absolute_href()) as raster:
        return raster.read(1)


def reflectance(item, key="nir"):
    """Decode by the true rule: the offset is in the pixels of baseline 04.00 on unless taken out."""
    numbers = read(item, key).astype(np.float64)
    properties = item.properties
    if item.collection_id == "landsat-c2-l2":
        values = numbers * 2.75e-5 - 0.2
    else:
        new = float(properties["s2:processing_baseline"]) >= 4
        shifted = new and not properties["earthsearch:boa_offset_applied"]
        values = numbers * 1e-4 - (0.1 if shifted else 0.0)
    return np.where(numbers == 0, np.nan, values)


def on_landscape(item, key="nir"):
    """Lay a Sentinel-2 tile on the whole landscape at 10 m."""
    plane = np.full((192, 192), np.nan)
    values = reflectance(item, key)
    with rasterio.open(item.assets[key].get_absolute_href()) as raster:
        left = round((raster.transform.c - 696_320) / 10)
    plane[:, left : left + values.shape[1]] = values
    return plane


def sentinel2(items):
    return [item for item in items.values() if item.collection_id == "sentinel-2-l2a"]


# -- the folder --------------------------------------------------------------------------------


def test_the_same_settings_give_the_same_bytes(archive, settings, tmp_path):
    again = tmp_path / "again"
    make_archive(again, settings, workers=1)
    files = sorted(path.relative_to(archive) for path in archive.rglob("*") if path.is_file())
    assert files == sorted(p.relative_to(again) for p in again.rglob("*") if p.is_file())
    assert all((archive / name).read_bytes() == (again / name).read_bytes() for name in files)


def test_workers_change_nothing(tmp_path, settings):
    small = replace(settings, size_px=144, sentinel2_dates=1, landsat_dates=1)
    alone, together = tmp_path / "alone", tmp_path / "together"
    make_archive(alone, small, workers=1)
    make_archive(together, small, workers=2)
    for path in alone.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (together / path.relative_to(alone)).read_bytes()


def test_another_seed_gives_another_summer(archive, settings, tmp_path):
    other = tmp_path / "other"
    make_archive(
        other, replace(settings, seed=4, sentinel2_dates=1, landsat_dates=0), workers=1
    )
    assert not np.allclose(open_truth(other)["light"][0], open_truth(archive)["light"][0])


def test_a_finished_archive_is_left_alone(archive, settings):
    before = {path: path.stat().st_mtime_ns for path in archive.rglob("*")}
    assert make_archive(archive, settings) == archive / "catalog.json"
    assert before == {path: path.stat().st_mtime_ns for path in archive.rglob("*")}


def test_other_settings_are_refused(archive, settings):
    with pytest.raises(ConfigError, match="seed is 3, not 9.*remove it or choose"):
        make_archive(archive, replace(settings, seed=9))


def test_a_foreign_folder_is_refused(tmp_path, settings):
    (tmp_path / "thesis.txt").write_text("irreplaceable")
    with pytest.raises(ConfigError, match="neither empty nor an archive"):
        make_archive(tmp_path, settings)
    assert (tmp_path / "thesis.txt").exists()


def test_a_half_made_archive_is_made_again(tmp_path, settings, monkeypatch):
    small = replace(settings, size_px=144, sentinel2_dates=2, landsat_dates=0)

    def break_off(stage, done, total):
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_archive(tmp_path, small, workers=1, progress=break_off)
    assert not (tmp_path / "archive.json").exists()
    told = []
    make_archive(tmp_path, small, workers=1, progress=lambda *step: told.append(step))
    assert told[-1] == ("truth", 1, 1)
    assert (tmp_path / "archive.json").exists()
    assert not (tmp_path / "archive.unfinished").exists()


@pytest.mark.parametrize("wrong", [{"size_px": 100}, {"seed": -1}, {"sentinel2_dates": 99}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ConfigError):
        ArchiveSettings(**wrong)


# -- the catalogue -----------------------------------------------------------------------------


def test_every_asset_is_a_cog_that_its_item_describes(items):
    # Two tiles on nine dates, one of them twice, one tile missing; two Landsat scenes.
    assert len(items) == 2 * 9 + 2 - 1 + 2
    for item in items.values():
        for asset in item.assets.values():
            href = asset.get_absolute_href()
            valid, errors, _ = cog_validate(href)
            assert valid, errors
            with rasterio.open(href) as raster:
                shape = asset.extra_fields.get("proj:shape", item.properties.get("proj:shape"))
                transform = asset.extra_fields.get(
                    "proj:transform", item.properties.get("proj:transform")
                )
                described = asset.extra_fields["raster:bands"][0]
                assert list(raster.shape) == shape
                assert list(raster.transform)[:6] == transform
                assert raster.crs.to_epsg() == 32632
                assert raster.nodata == described["nodata"]
                assert raster.dtypes[0] == described["data_type"]


def test_the_archive_can_be_moved(archive, tmp_path):
    moved = shutil.copytree(archive, tmp_path / "moved")
    for path in moved.rglob("*.json"):
        assert str(archive) not in path.read_text()
    root = pystac.Catalog.from_file(moved / "catalog.json")
    item = next(root.get_items(recursive=True))
    assert item.assets["red"].get_absolute_href().startswith(str(moved))


def test_items_speak_like_earth_search(archive):
    for path in archive.glob("sentinel-2-l2a/*/*.json"):
        item = json.loads(path.read_text())
        properties = item["properties"]
        assert item["stac_version"] == "1.0.0"
        assert properties["proj:epsg"] == 32632
        assert properties["platform"] in ("sentinel-2a", "sentinel-2b")
        assert properties["view:sun_elevation"] > 40
        assert {"scl", "blue", "rededge3", "nir08", "swir22"} <= item["assets"].keys()
    for path in archive.glob("landsat-c2-l2/*/*.json"):
        properties = json.loads(path.read_text())["properties"]
        assert properties["platform"] in ("landsat-8", "landsat-9")
        assert properties["landsat:correction"] == "L2SP"


def test_the_zoo_of_offsets_is_complete(items):
    zoo = {
        (
            item.properties["s2:processing_baseline"],
            item.properties["earthsearch:boa_offset_applied"],
            item.assets["blue"].extra_fields["raster:bands"][0]["offset"],
        )
        for item in sentinel2(items)
    }
    assert zoo >= {
        ("03.01", False, 0.0),
        ("05.09", True, -0.1),
        ("05.09", True, 0.0),
        ("05.09", False, -0.1),
        ("05.00", True, -0.1),
    }


def test_every_month_is_well_observed():
    months = {6: [], 7: [], 8: []}
    for each in passes(ArchiveSettings()):
        months[each.instant.month].append(each.sensor)
        assert np.degrees(each.sun.zenith) < 50
    assert all(found.count("sentinel-2") >= 4 for found in months.values())
    assert all(found.count("landsat") >= 1 for found in months.values())


# -- the pixels --------------------------------------------------------------------------------


@pytest.mark.parametrize("index", [0, 1, 2, 3])
def test_every_encoding_decodes_to_the_simulated_reflectance(items, settings, index):
    overflight = passes(settings)[index]
    scene = products_module._simulate(settings, overflight)
    planes = scene.reflectance(SENTINEL2, lambda band: same if band.gsd_m == 10 else halve)
    day = f"{overflight.instant:%Y%m%d}"
    found = [item for item in sentinel2(items) if day in item.id]
    assert len(found) == 2 * len(overflight.processings)
    for item in found:
        values = on_landscape(item, "red")
        seen = np.isfinite(values) & (values > 0.0002) & (values < 6)
        assert seen.any()
        assert np.abs(values - planes["red"])[seen].max() <= 0.51e-4


def test_a_reprocessed_item_holds_the_same_scene(items):
    again = [item for item in sentinel2(items) if item.id.endswith("_1_L2A")]
    assert len(again) == 2
    for new in again:
        old = items[new.id.replace("_1_L2A", "_0_L2A")]
        assert old.datetime == new.datetime
        strips = [
            item.properties["s2:datastrip_id"].split("_S2")[-1][:16] for item in (old, new)
        ]
        assert len(set(strips)) == 1
        assert new.properties["s2:generation_time"] > old.properties["s2:generation_time"]
        assert reflectance(old) == pytest.approx(reflectance(new), abs=1e-9, nan_ok=True)
        assert np.isfinite(reflectance(new)).all()


def test_tiles_agree_where_they_overlap(items, settings):
    first = passes(settings)[0]
    west, east = (
        items[f"{first.platform}_{tile}_{first.instant:%Y%m%d}_0_L2A"] for tile in first.tiles
    )
    a, b = on_landscape(west), on_landscape(east)
    both = np.isfinite(a) & np.isfinite(b)
    assert 0.1 < both.mean() < 0.3
    assert (a[both] == b[both]).all()
    assert (np.isfinite(a) | np.isfinite(b)).all()
    assert 0 < (east.datetime - west.datetime).total_seconds() < 60


def test_the_swath_ends_in_an_oblique_wedge(items, settings):
    edge = passes(settings)[2]
    assert edge.edge.keep == "west"
    day = f"{edge.instant:%Y%m%d}"
    tiles = [item for item in sentinel2(items) if day in item.id]
    seen = np.any([np.isfinite(on_landscape(item)) for item in tiles], axis=0)
    widths = seen.sum(axis=1)
    assert 0.5 < seen.mean() < 0.9
    assert (np.diff(widths) <= 0).all()
    assert widths[0] > widths[-1] + 20
    for item in tiles:
        nodata = np.isnan(reflectance(item)).mean() * 100
        assert item.properties["s2:nodata_pixel_percentage"] == pytest.approx(nodata, abs=2)
        scl = read(item, "scl")
        assert ((scl == 0) == (read(item, "swir16") == 0)).all()


def test_one_date_lacks_a_tile(items, settings):
    day = f"{passes(settings)[7].instant:%Y%m%d}"
    assert [item.id[4:9] for item in sentinel2(items) if day in item.id] == ["32UPU"]


def test_landsat_has_fill_around_and_says_so(items):
    item = next(item for item in items.values() if item.collection_id == "landsat-c2-l2")
    red, quality = read(item, "red"), read(item, "qa_pixel")
    assert ((red == 0) == (quality == 1)).all()
    assert (red[:20] == 0).all()
    assert (red[20:-20, 20:-20] > 0).all()
    transform = item.properties["proj:transform"]
    assert transform[2] % 30 == 15
    assert transform[5] % 30 == 15
    # The usual values of Collection 2: clear land and water, cloud, shadow, dilated cloud, cirrus.
    usual = {1, 21824, 21952, 22280, 23888, 21762}
    assert np.isin(quality, list(usual)).mean() > 0.8


# -- the truth ---------------------------------------------------------------------------------


def test_truth_is_on_the_20_m_grid_with_a_time_for_each_scene(archive, items, settings):
    truth = open_truth(archive)
    assert truth_path(archive).name == "truth.zarr"
    assert truth.odc.crs.to_epsg() == 32632
    assert tuple(truth.odc.geobox.shape) == (96, 96)
    assert tuple(truth.odc.geobox.affine)[:6] == (20, 0, 696_320, 0, -20, 5_345_280)
    assert truth["time"].size == len(passes(settings))
    assert set(truth["sensor"].values) == {"sentinel-2", "landsat"}
    assert truth["clean_nir"].dtype.kind == "f"
    assert all(np.isfinite(truth[name]).all() for name in truth.data_vars)
    instants = {
        np.datetime64(item.datetime.replace(tzinfo=None), "ns") for item in items.values()
    }
    assert set(truth["time"].values) <= instants
    assert (np.diff(truth["time"].values) > np.timedelta64(0)).all()


def test_truth_lies_where_the_pixels_are(archive, items, settings):
    truth = open_truth(archive)
    clear = passes(settings)[6]
    assert not clear.covers
    clean = truth["clean_nir"].sel(time=clear.instant.replace(tzinfo=None)).to_numpy()
    item = items[f"{clear.platform}_32UPU_{clear.instant:%Y%m%d}_0_L2A"]
    seen = halve(reflectance(item).astype(np.float32))
    inner = seen[3:-3, 3:-3]

    def agreement(dy, dx):
        height, width = seen.shape
        moved = clean[3 + dy : height - 3 + dy, 3 + dx : width - 3 + dx]
        return np.corrcoef(moved.ravel(), inner.ravel())[0, 1]

    scores = {(dy, dx): agreement(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)}
    assert max(scores, key=scores.get) == (0, 0)
    assert scores[0, 0] > 0.97
    assert np.abs(clean[:, : seen.shape[1]] - seen).mean() < 0.03


def test_scl_and_qa_agree_with_the_truth(archive, items, settings):
    truth = open_truth(archive)
    cloud, shadow = cloud_truth(truth), shadow_truth(truth)
    assert not (cloud & shadow).any()
    cumulus = passes(settings)[3]
    assert cumulus.tiles[0] == "32UPU"
    instant = cumulus.instant.replace(tzinfo=None)
    item = items[f"{cumulus.platform}_32UPU_{cumulus.instant:%Y%m%d}_0_L2A"]
    scl = read(item, "scl")
    width = scl.shape[1]
    assert (np.isin(scl, (8, 9)) == cloud.sel(time=instant).to_numpy()[:, :width]).mean() > 0.99
    assert ((scl == 3) == shadow.sel(time=instant).to_numpy()[:, :width]).mean() > 0.99


def test_clouds_are_bright_and_shadows_dark(archive, items, settings):
    truth = open_truth(archive)
    cumulus = passes(settings)[3]
    at = truth.sel(time=cumulus.instant.replace(tzinfo=None))
    item = items[f"{cumulus.platform}_32UPU_{cumulus.instant:%Y%m%d}_0_L2A"]
    with rasterio.open(item.assets["nir"].get_absolute_href()) as raster:
        shape = raster.height // 2, raster.width // 2
        nir = raster.read(1, out_shape=shape, resampling=Resampling.average) * 1e-4
    tau, light, clean = (
        at[name].to_numpy()[:, : shape[1]] for name in ("optical_depth", "light", "clean_nir")
    )
    assert nir[tau > 4].mean() > 0.45
    dark = (light < 0.6) & (tau < 0.05)
    if dark.any():
        assert (nir / clean)[dark].mean() < 0.8
