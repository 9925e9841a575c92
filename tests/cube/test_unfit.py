"""Numbers that are no reflectance: never averaged, never interpolated, shown or left out, and counted."""

from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pystac
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from shapely.geometry import mapping

from pipeline import cube
from pipeline.cube.unfit import DEFECTIVE, SATURATED, WRAPPED
from pipeline.types import CubeSettings, Items, Scene

pytestmark = pytest.mark.usefixtures("single_thread")

BOX = GeoBox((64, 64), Affine(20, 0, 600_000, 0, -20, 5_400_000), "EPSG:32632")
S2 = (
    "sentinel-2-l2a",
    {"earthsearch:boa_offset_applied": True, "s2:processing_baseline": "05.09"},
)
RAW = ("sentinel-2-l2a", {"s2:processing_baseline": "05.09"})
OLI = ("landsat-c2-l2", {"instruments": ["oli", "tirs"], "platform": "landsat-9"})
ETM = ("landsat-c2-l2", {"instruments": ["etm+"], "platform": "landsat-7"})
UNTOLD = ("landsat-c2-l2", {})
L30, S30 = ("hls2-l30", {}), ("hls2-s30", {})
DEA = ("ga_s2am_ard_3", {})
LANDSAT_60 = 30_000


def write(path, numbers, geobox, nodata, **options):
    with rasterio.open(
        path,
        "w",
        **{"driver": "GTiff", "tiled": True, "blockxsize": 32, "blockysize": 32} | options,
        width=numbers.shape[1],
        height=numbers.shape[0],
        count=1,
        dtype=numbers.dtype,
        crs=str(geobox.crs),
        transform=geobox.transform,
        nodata=nodata,
    ) as raster:
        raster.write(numbers, 1)


def product(folder, kind, bands, nodata=0, name="made", **options):
    """Write an item: key -> numbers, which say by their shape how fine they are."""
    collection, properties = kind
    item = pystac.Item(
        id=name,
        geometry=mapping(BOX.geographic_extent.geom),
        bbox=list(BOX.geographic_extent.geom.bounds),
        datetime=datetime(2023, 6, 5, 10, 20, tzinfo=UTC),
        collection=collection,
        properties={"proj:epsg": 32632, **properties},
    )
    for key, numbers in bands.items():
        geobox = BOX.zoom_to(numbers.shape)
        path = folder / f"{name}_{key}.tif"
        missing = None if key in ("scl", "qa_radsat") else nodata
        write(path, numbers, geobox, missing, **options)
        shape = {"proj:shape": list(geobox.shape), "proj:transform": list(geobox.transform)[:6]}
        item.add_asset(key, pystac.Asset(href=str(path), extra_fields=shape))
    return item


def load(item, roles, geobox=BOX, *, measured=True, chunk_px=64, loader="odc-stac"):
    opened = cube.open_measured if measured else cube.open_cube
    scene = Scene(sensor="any", time=item.datetime, items=(0,))
    return (
        opened(
            [scene],
            Items(items=(item,)),
            geobox,
            roles,
            chunk_px=chunk_px,
            settings=CubeSettings(loader=loader),
        )
        .isel(time=0)
        .compute()
    )


def field(number, dtype="uint16", **places):
    numbers = np.full((64, 64), number, dtype)
    for at, other in places.values():
        numbers[at] = other
    return numbers


CASES = {
    # What it is -> product, ground, number, nodata, kind, ground's reflectance, shown to a model.
    "saturated": (S2, 600, 65535, 0, SATURATED, 0.06, 2.0),
    "saturated, then shifted": (S2, 600, 64535, 0, SATURATED, 0.06, 2.0),
    "saturated where 1000 are added": (RAW, 1600, 65535, 0, SATURATED, 0.06, 2.0),
    "brighter than anything": (S2, 600, 21000, 0, SATURATED, 0.06, 2.0),
    "dark water wrapped": (S2, 600, 65486, 0, WRAPPED, 0.06, None),
    "the least that wraps": (S2, 600, 64536, 0, WRAPPED, 0.06, None),
    "absurd": (S2, 600, 40000, 0, WRAPPED, 0.06, None),
    "landsat beyond its range": (OLI, 10000, 65500, 0, SATURATED, 0.075, 1.6),
    "landsat in 16 bits with a sign": (OLI, 10000, -20000, 0, WRAPPED, 0.075, None),
    "HLS wrapped": (S30, 600, -32000, -9999, WRAPPED, 0.06, None),
    "HLS with its fill shifted": (S30, 600, -10999, -9999, WRAPPED, 0.06, None),
    "HLS's flag of saturation": (L30, 600, 12000, -9999, SATURATED, 0.06, 1.2),
    "HLS as a number without sign": (S30, 600, 64537, 0, WRAPPED, 0.06, None),
    "DEA wrapped": (DEA, 600, -20000, -999, WRAPPED, 0.06, None),
    "DEA with its fill shifted": (DEA, 600, -1999 - 9999, -999, WRAPPED, 0.06, None),
}
KEYS = {"sentinel-2-l2a": "red", "landsat-c2-l2": "red", "hls2-l30": "B04", "hls2-s30": "B04"}


@pytest.mark.parametrize("case", CASES)
def test_such_numbers_are_no_reflectance(tmp_path, case):
    kind, ground, number, nodata, named, value, shown = CASES[case]
    dtype = "int16" if min(ground, number, nodata) < 0 else "uint16"
    at = (slice(10, 20), slice(30, 40))
    key = KEYS.get(kind[0], "nbart_red")
    item = product(tmp_path, kind, {key: field(ground, dtype, there=(at, number))}, nodata)
    there = np.zeros((64, 64), bool)
    there[at] = True
    for measured in (True, False):
        seen = load(item, ["red"], measured=measured)
        np.testing.assert_allclose(seen["red"].values[~there], value, atol=1e-6)
        np.testing.assert_array_equal(seen["unfit"], np.where(there, named, 0))
        found = seen["red"].values[there]
        if shown is None or measured:
            assert np.isnan(found).all()
            assert (seen["source"].values[there] == -1).all()
        else:
            np.testing.assert_allclose(found, shown, atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "number", "nodata"),
    [
        (S2, 1, 0),
        (S2, 20000, 0),
        (RAW, 1, 0),
        (RAW, 21000, 0),
        (OLI, 1, 0),
        (OLI, 65455, 0),
        (S30, -1999, -9999),
        (S30, 12000, -9999),
        (L30, 11999, -9999),
        (DEA, -990, -999),
    ],
)
def test_what_can_be_stays(tmp_path, kind, number, nodata):
    dtype = "int16" if nodata else "uint16"
    key = KEYS.get(kind[0], "nbart_red")
    item = product(tmp_path, kind, {key: field(number, dtype)}, nodata)
    seen = load(item, ["red"])
    assert np.isfinite(seen["red"]).all()
    assert not seen["unfit"].any()


def test_no_data_is_neither(tmp_path):
    for kind, nodata in ((S2, 0), (S30, -9999), (DEA, -999)):
        key = KEYS.get(kind[0], "nbart_red")
        numbers = field(nodata, "int16" if nodata else "uint16")
        seen = load(product(tmp_path, kind, {key: numbers}, nodata), ["red"])
        assert np.isnan(seen["red"]).all()
        assert not seen["unfit"].any()


OVERVIEWS = {
    "driver": "COG",
    "blocksize": 128,
    "overview_count": 2,
    "overview_resampling": "average",
    "tiled": None,
    "blockxsize": None,
    "blockysize": None,
}
GRIDS = {
    "its own": BOX,
    "twice as fine": BOX.zoom_out(0.5),
    "half a pixel off": BOX.translate_pix(0.5, 0.5),
    "coarser": BOX.zoom_out(2),
    "much coarser": BOX.zoom_out(8),
    "another zone": BOX.to_crs("EPSG:32633"),
    "odd": BOX.zoom_out(1.7),
}


PLAIN = [(grid, "GTiff") for grid in GRIDS]
# Of overviews coarser than two, a single number in an area does not tell: that is not promised.
WITH_OVERVIEWS = [(grid, "COG") for grid in GRIDS if "coarser" not in grid]


@pytest.mark.parametrize(("grid", "driver"), PLAIN + WITH_OVERVIEWS)
@pytest.mark.parametrize("number", [65486, 65535])
def test_none_of_them_is_blended_into_its_neighbours(tmp_path, grid, number, driver):
    """A border that no grid lies on, speckle, and overviews that averaged both: what is left is ground."""
    rng = np.random.default_rng(3)
    fine = np.full((128, 128), 600, np.uint16)
    fine[:61, :53] = number
    fine[rng.random(fine.shape) < 0.1] = number
    more = {} if driver == "GTiff" else OVERVIEWS
    item = product(tmp_path, S2, {"red": fine}, **more)
    for measured in (True, False):
        seen = load(item, ["red"], GRIDS[grid], measured=measured)["red"].values
        assert np.isfinite(seen).any()
        if measured or number == 65486:
            # What is interpolated from fewer than four is divided by their weight.
            np.testing.assert_allclose(seen[np.isfinite(seen)], 0.06, atol=1e-7)


@pytest.mark.parametrize("loader", ["odc-stac", "stackstac"])
def test_a_saturated_band_costs_the_observation(tmp_path, loader):
    if loader == "stackstac":
        pytest.importorskip("stackstac")
    fine = np.kron(field(600), np.ones((2, 2), np.uint16))
    fine[4:8, 4:8] = 65535
    coarse = field(900, there=((slice(20, 22), slice(20, 22)), 65486))
    item = product(tmp_path, S2, {"nir": fine, "swir16": coarse})
    seen = load(item, ["nir", "swir16"], loader=loader)
    expected = np.zeros((64, 64), np.uint8)
    expected[2:4, 2:4], expected[20:22, 20:22] = SATURATED, WRAPPED
    np.testing.assert_array_equal(seen["unfit"], expected)
    for role in ("nir", "swir16"):
        np.testing.assert_array_equal(np.isnan(seen[role]), expected > 0)


def radsat(bits, at=(slice(5, 9), slice(5, 9))):
    return field(0, there=(at, bits))


RADSAT = {
    "red of OLI": (OLI, "red", 1 << 3, SATURATED),
    "not red of OLI": (OLI, "red", 1 << 2, None),
    "green of OLI": (OLI, "green", 1 << 2, SATURATED),
    "red of ETM+": (ETM, "red", 1 << 2, SATURATED),
    "not red of ETM+": (ETM, "red", 1 << 3, None),
    "swir22 of OLI": (OLI, "swir22", 1 << 6, SATURATED),
    "swir22 of ETM+": (ETM, "swir22", 1 << 6, SATURATED),
    "swir16 of ETM+": (ETM, "swir16", 1 << 4, SATURATED),
    "swir16 of OLI": (OLI, "swir16", 1 << 5, SATURATED),
    "terrain hides it from OLI": (OLI, "red", 1 << 11, DEFECTIVE),
    "dropped by ETM+": (ETM, "red", 1 << 9, DEFECTIVE),
    "the other's bit": (OLI, "red", 1 << 9, None),
    "an instrument untold": (UNTOLD, "red", 1 << 3, SATURATED),
    "an instrument untold, the other": (UNTOLD, "red", 1 << 2, SATURATED),
    "both": (OLI, "red", 1 << 3 | 1 << 11, DEFECTIVE),
}


@pytest.mark.parametrize("case", RADSAT)
def test_landsat_says_what_is_saturated_band_by_band(tmp_path, case):
    kind, role, bits, named = RADSAT[case]
    item = product(tmp_path, kind, {role: field(10_000), "qa_radsat": radsat(bits)})
    seen = load(item, [role])
    there = np.zeros((64, 64), bool)
    there[5:9, 5:9] = named is not None
    np.testing.assert_array_equal(np.isnan(seen[role]), there)
    np.testing.assert_array_equal(seen["unfit"], np.where(there, named or 0, 0))
    # A model sees the cloud that saturates the detector.
    assert np.isfinite(load(item, [role], measured=False)[role]).all()


def test_scl_says_it_whatever_model_masks(tmp_path):
    fine = np.kron(field(600), np.ones((2, 2), np.uint16))
    scl = field(4, "uint8", there=((slice(8, 12), slice(8, 12)), 1))
    item = product(tmp_path, S2, {"red": fine, "scl": scl})
    for geobox, at in ((BOX, slice(8, 12)), (BOX.zoom_out(0.5), slice(16, 24))):
        seen = load(item, ["red"], geobox)
        there = np.zeros(seen["red"].shape, bool)
        there[at, at] = True
        np.testing.assert_array_equal(np.isnan(seen["red"]), there)
    assert np.isfinite(load(item, ["red"], measured=False)["red"]).all()


def test_a_quality_band_counts_before_pixels_are_averaged(tmp_path):
    """One pixel in a block of four is saturated: the mean is that of the others."""
    numbers = field(10_000)
    numbers[1::2, 1::2] = 50_000
    bits = np.zeros((64, 64), np.uint16)
    bits[1::2, 1::2] = 1 << 3
    item = product(tmp_path, OLI, {"red": numbers, "qa_radsat": bits})
    seen = load(item, ["red"], BOX.zoom_out(2))
    np.testing.assert_allclose(seen["red"], 0.075, atol=1e-6)
    assert (seen["unfit"] == SATURATED).all()


def test_an_item_without_the_band_is_read_without(tmp_path):
    item = product(tmp_path, OLI, {"red": field(10_000)})
    assert np.isfinite(load(item, ["red"])["red"]).all()
    item.add_asset("qa_radsat", pystac.Asset(href=""))
    assert np.isfinite(load(item, ["red"])["red"]).all()


def test_only_composites_ask_the_quality_band(tmp_path):
    item = product(tmp_path, OLI, {"red": field(10_000), "qa_radsat": radsat(8)})
    before = cube.METER.total().reads
    load(item, ["red"], measured=False)
    between = cube.METER.total().reads
    load(item, ["red"], measured=True)
    assert (between - before, cube.METER.total().reads - between) == (1, 2)


@pytest.fixture(scope="module")
def speckled(tmp_path_factory):
    """Return an item of three kinds of trouble, and quality that says more of it."""
    rng = np.random.default_rng(5)
    numbers = rng.integers(8_000, 30_000, (64, 64)).astype("uint16")
    numbers = np.kron(numbers, np.ones((4, 4), np.uint16))
    numbers[rng.random(numbers.shape) < 0.05] = 65_500
    numbers[:40, :40] = 0
    bits = rng.choice(np.array([0, 8, 1 << 11], "uint16"), (128, 128), p=[0.9, 0.05, 0.05])
    folder = tmp_path_factory.mktemp("speckled")
    return product(
        folder,
        OLI,
        {"red": numbers, "qa_radsat": bits},
        driver="COG",
        blocksize=128,
        tiled=None,
        blockxsize=None,
        blockysize=None,
        overview_resampling="average",
    )


@settings(max_examples=max(8, settings().max_examples // 8))
@given(
    st.sampled_from([5.0, 10.0, 12.5, 20.0, 40.0]),
    st.sampled_from(["EPSG:32632", "EPSG:32633", "EPSG:3035"]),
    st.booleans(),
    st.lists(st.integers(1, 79), max_size=4, unique=True),
    st.integers(9, 80),
)
def test_any_cut_gives_the_same_pixels(speckled, resolution, crs, measured, cuts, chunk_px):
    corner = BOX.extent.to_crs(crs).boundingbox
    left = round(corner.left / resolution) * resolution
    top = round(corner.top / resolution) * resolution
    whole = GeoBox((80, 80), Affine(resolution, 0, left, 0, -resolution, top), crs)
    expected = load(speckled, ["red"], whole, measured=measured, chunk_px=80)
    edges = [0, *sorted(cuts), 80]
    for first, last in pairwise(edges):
        part = (slice(first, last), slice(first, 80))
        found = load(speckled, ["red"], whole[part], measured=measured, chunk_px=chunk_px)
        for name in ("red", "source", "unfit"):
            np.testing.assert_array_equal(found[name], expected[name].values[part])
