"""Pixels: what GDAL and odc-stac read is what the store has."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import odc.stac
import pystac
import pytest
import rasterio
import rasterio.shutil
from rasterio.enums import ColorInterp
from rio_cogeo import cog_validate
from shapely.geometry import box

from pipeline import store
from pipeline.errors import QueryError
from pipeline.publish import publish
from pipeline.publish.styles import style_of
from pipeline.types import LEGEND
from tests.publish.small_store import JUNE, ROLES, Region, grid_of, month, write

MASKS = "upper-bavaria-masks-sentinel-2"
MONTHLY = "upper-bavaria-composites-monthly"


@pytest.fixture(scope="module")
def made(region: Region, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("out") / "catalogue"
    publish(region.open(), out, cogs=True)
    return out


def collection_items(out: Path, name: str) -> list[pystac.Item]:
    catalogue = pystac.Catalog.from_file(out / "catalog.json")
    return sorted(catalogue.get_child(name).get_items(), key=lambda item: item.id)


def test_odc_stac_reads_the_masks_of_the_store(made, region):
    items = collection_items(made, MASKS)
    loaded = odc.stac.load(items)
    # The store's own asset is no raster for it.
    assert list(loaded.data_vars) == ["mask"]
    stored = region.open().masks("sentinel-2")
    assert loaded.odc.geobox == region.grid.geobox == stored.odc.geobox
    assert loaded["mask"].dtype == np.uint8
    np.testing.assert_array_equal(loaded["mask"].to_numpy(), stored["mask"].to_numpy())
    np.testing.assert_array_equal(loaded["mask"].to_numpy()[0], region.masks["sentinel-2", 0])
    assert (loaded["time"].to_numpy() == stored["time"].to_numpy()).all()


def test_odc_stac_reads_the_composites_of_the_store(made, region):
    items = collection_items(made, MONTHLY)
    loaded = odc.stac.load(items)
    assert sorted(loaded.data_vars) == sorted([*ROLES, "count", "day", "source"])
    assert loaded.odc.geobox == region.grid.geobox
    stored = region.open().composite("monthly")
    for name in loaded.data_vars:
        whole = np.stack([region.composites[number][name] for number in range(2)])
        assert loaded[name].dtype == whole.dtype
        np.testing.assert_array_equal(loaded[name].to_numpy(), whole)
    for role in ROLES:
        band = items[0].assets[role].to_dict()["bands"][0]
        numbers = loaded[role].to_numpy()
        reflectance = numbers * band["raster:scale"] + band["raster:offset"]
        reflectance[numbers == loaded[role].attrs["nodata"]] = np.nan
        np.testing.assert_allclose(reflectance, stored[role].to_numpy(), rtol=1e-6)
        assert np.isnan(reflectance).any()


def test_every_file_is_a_cog_that_says_what_it_is(made):
    paths = sorted(made.rglob("*.tif"))
    assert len(paths) == 4 + 2 * 5
    for path in paths:
        valid, errors, _ = cog_validate(path, quiet=True, strict=True)
        assert valid, (path, errors)
        with rasterio.open(path) as raster:
            assert raster.descriptions == (path.stem,)
            if path.stem in ROLES:
                assert (raster.scales, raster.offsets) == ((1e-4,), (0.0,))
                assert raster.nodata == -32768
            if path.stem == "mask":
                assert raster.nodata == 0
                assert raster.colorinterp == (ColorInterp.palette,)
                assert raster.files[1:] == [str(path) + ".aux.xml"]
                colours = raster.colormap(1)
                assert [colours[int(e.code)][:3] for e in LEGEND] == [
                    tuple(bytes.fromhex(e.colour[1:])) for e in LEGEND
                ]


def test_quality_layers_have_colours_and_names(made):
    """All numbers that a layer may have, in steps that are named."""
    styles = sorted(made.rglob("*.qml"))
    assert {each.stem for each in styles} == {"count"}
    assert len(styles) == len([*made.rglob("count.tif")])
    for name in ("count", "suspect", "score"):
        steps = [*ET.fromstring(style_of(name)).iter("item")]
        limits = [float(each.get("value")) for each in steps]
        assert limits == sorted(limits)
        assert limits[-1] == np.inf
        assert all(each.get("label") for each in steps)
        assert len({each.get("color") for each in steps}) == len(steps)
    no_data, *_ = ET.parse(styles[0]).iter("item")
    assert (no_data.get("value"), no_data.get("alpha")) == ("0", "0")


def test_gdal_finds_the_names_of_the_classes(made, tmp_path):
    rasterio.shutil.copy(next(made.rglob("mask.tif")), tmp_path / "told.vrt", driver="VRT")
    band = ET.parse(tmp_path / "told.vrt").find("VRTRasterBand")
    names = [each.text for each in band.findall("CategoryNames/Category")]
    assert names == [entry.label for entry in LEGEND]


def test_overviews_of_masks_are_classes_and_of_bands_means(tmp_path):
    """Average of codes would make clear (1) and shadow (6) of each other's neighbours."""
    big = Region(str(tmp_path / "store"), grid_of(1040, 600, tile_px=512, chunk_px=256))
    write(big)
    publish(big.open(), tmp_path / "out", cogs=True)
    (mask,) = (tmp_path / "out").glob("*landsat/*/mask.tif")
    june = sorted((tmp_path / "out" / MONTHLY).glob("*/red.tif"))[0]
    assert all(cog_validate(each, quiet=True, strict=True)[0] for each in (mask, june))
    with rasterio.open(mask) as raster:
        assert raster.overviews(1) == [2, 4]
        assert raster.profile["blockxsize"] == 512
        np.testing.assert_array_equal(raster.read(1), big.masks["landsat", 0])
    with rasterio.open(mask, overview_level=0) as raster:
        smaller, codes = raster.read(1), big.masks["landsat", 0]
        four = np.stack([codes[y : y + 1040 : 2, x::2] for y in (0, 1) for x in (0, 1)])
        assert (smaller == four).any(axis=0).all()
    with rasterio.open(june, overview_level=0) as raster:
        smaller, red = raster.read(1, masked=True), big.composites[0]["red"].astype(float)
        red[red == -32768] = np.nan
        four = np.stack([red[y::2, x::2] for y in (0, 1) for x in (0, 1)])
        whole = ~np.isnan(four).any(axis=0)
        assert np.abs(smaller.data[whole] - four.mean(axis=0)[whole]).max() <= 1


def test_an_area_cuts_files_to_whole_chunks(region, tmp_path):
    # Pixels 40 to 60 of the rows and 10 to 70 of the columns.
    edges = region.grid.geobox[40:60, 10:70].geographic_extent.boundingbox
    aoi = box(*edges).buffer(-1e-5)
    publish(region.open(), tmp_path / "out", cogs=True, aoi=aoi)
    loaded = odc.stac.load(collection_items(tmp_path / "out", MASKS))
    assert loaded.odc.geobox == region.grid.geobox[32:64, 0:96]
    for number, name in enumerate(loaded["mask"].to_numpy()):
        np.testing.assert_array_equal(name, region.masks["sentinel-2", number][32:64])
    item = collection_items(tmp_path / "out", MASKS)[1]
    told = item.assets["mask"].extra_fields["classification:classes"]
    counts = np.bincount(region.masks["sentinel-2", 1][32:64].ravel(), minlength=7)
    assert [each["count"] for each in told] == counts.tolist()


def test_an_area_elsewhere_is_refused(region, tmp_path):
    with pytest.raises(QueryError, match="outside"):
        publish(region.open(), tmp_path / "out", aoi=box(0, 0, 1, 1))
    assert not (tmp_path / "out").exists()


def test_layers_of_a_method_are_files_of_floats(tmp_path):
    grid = grid_of()
    tile = next(iter(grid.tiles()))
    values = month(tile.geobox.shape, np.random.default_rng(0))
    score = np.where(values["count"] == 0, np.nan, 0.25).astype(np.float32)
    values = values.assign(score=(("y", "x"), score))
    url, made_by = str(tmp_path / "store"), {"method": "best", "layers": ["score"]}
    with store.open_writer(url, grid, title="t", run_key="k") as writer:
        layers = {"score": "how good it is"}
        writer.set_composite("monthly", ROLES, [JUNE], made_by, layers=layers)
        writer.write_composite("monthly", JUNE.start, tile, values, 100)
        writer.publish({"run_id": "r", "models": {}, "tiles": []})
    publish(store.open_archive(url), tmp_path / "stac", cogs=True)
    (path,) = (tmp_path / "stac").rglob("score.tif")
    with rasterio.open(path) as raster:
        np.testing.assert_array_equal(raster.read(1)[tile.window], score)
        assert np.isnan(raster.nodata)
    (item,) = path.parent.glob("*.json")
    (band,) = json.loads(item.read_text())["assets"]["score"]["bands"]
    assert (band["description"], band["nodata"]) == ("how good it is", "nan")
