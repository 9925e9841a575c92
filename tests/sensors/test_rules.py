"""What decides when an item's own statements conflict, are missing, or are of the wrong kind."""

import math
from datetime import UTC, datetime

import pystac
import pytest

from pipeline import sensors
from pipeline.errors import RadiometryError

COG = "https://sentinel-cogs.s3.us-west-2.amazonaws.com/B04.tif"
CDSE = "s3://eodata/Sentinel-2/B04_10m.jp2"
AZURE = "https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/B04.tif"
ELSEWHERE = "https://tiles.example.org/B04.tif"


def make(collection, properties, *, key="red", href=ELSEWHERE, **asset) -> pystac.Item:
    item = pystac.Item(
        id="made",
        geometry=None,
        bbox=None,
        datetime=datetime(2023, 6, 1, tzinfo=UTC),
        properties=properties,
        collection=collection,
    )
    item.add_asset(key, pystac.Asset(href=href, extra_fields=asset))
    return item


def bands(offset, scale=1e-4):
    return [{"nodata": 0, "scale": scale, "offset": offset}]


@pytest.mark.parametrize(
    ("flag", "baseline", "announced", "offset", "doubtful"),
    [
        # Earth Search v1: the flag wins over raster:bands (Element84/earth-search#9).
        (True, "05.11", -0.1, 0.0, False),
        (True, "04.00", 0, 0.0, False),
        (True, "02.14", 0, 0.0, False),
        # False though the baseline needs a shift: wrong at times (#66, #71; cirrus#33).
        (False, "04.00", -0.1, -0.1, True),
        (False, "05.11", -0.1, -0.1, True),
        (False, "05.11", 0, -0.1, True),
        (False, "02.14", 0, 0.0, False),
        # No flag on a copy of Earth Search: made before it had one.
        (None, "04.00", -0.1, -0.1, True),
        (None, "03.01", 0, 0.0, False),
        # A table that has been through parquet may spell a flag out.
        ("true", "05.11", -0.1, 0.0, False),
        ("False", "05.11", -0.1, -0.1, True),
    ],
)
def test_earth_search(flag, baseline, announced, offset, doubtful):
    properties = {
        "s2:processing_baseline": baseline,
        "earthsearch:boa_offset_applied": flag,
    }
    item = make("sentinel-2-l2a", properties, href=COG, **{"raster:bands": bands(announced)})
    decided = sensors.radiometry(item)
    assert (decided.offset, decided.doubtful) == (offset, doubtful)
    if flag is not None:
        assert "earthsearch:boa_offset_applied" in decided.reason


def test_a_stale_offset_beside_the_flag_is_in_the_reason():
    properties = {"s2:processing_baseline": "05.11", "earthsearch:boa_offset_applied": True}
    item = make("sentinel-2-l2a", properties, href=COG, **{"raster:bands": bands(-0.1)})
    assert "raster:bands is stale" in sensors.radiometry(item).reason


@pytest.mark.parametrize(
    ("properties", "offset", "doubtful"),
    [
        (
            {"sentinel:processing_baseline": "04.00", "sentinel:boa_offset_applied": True},
            0,
            False,
        ),
        ({"sentinel:processing_baseline": "04.00"}, -0.1, True),
        (
            {"sentinel:product_id": "S2B_MSIL2A_20220126T0_N0400_R077_T42TUM_20220126T1"},
            -0.1,
            True,
        ),
        (
            {"sentinel:product_id": "S2B_MSIL2A_20220107T0_N0301_R077_T42TUM_20220107T1"},
            0,
            False,
        ),
    ],
)
def test_earth_search_v0_and_its_copies(properties, offset, doubtful):
    for collection in ("sentinel-s2-l2a-cogs", "s2_l2a"):
        decided = sensors.radiometry(make(collection, properties, key="B04", href=COG))
        assert (decided.offset, decided.doubtful) == (offset, doubtful)


@pytest.mark.parametrize(
    ("version", "announced", "offset", "doubtful"),
    [
        ("05.11", -0.1, -0.1, False),
        ("02.14", 0.0, 0.0, False),
        ("05.00", None, -0.1, False),
        ("02.14", None, 0.0, False),
        (None, -0.1, -0.1, True),
        # It announces -0.1 by a template: pixels of before 04.00 never had an offset.
        ("02.14", -0.1, 0.0, True),
        ("05.11", 0.0, -0.1, True),
    ],
)
@pytest.mark.parametrize(
    ("collection", "key"), [("sentinel-2-l2a", "B04_10m"), ("sentinel-2-l1c", "B04")]
)
def test_copernicus_data_space(collection, key, version, announced, offset, doubtful):
    stated = {} if announced is None else {"raster:scale": 1e-4, "raster:offset": announced}
    item = make(collection, {"processing:version": version}, key=key, href=CDSE, **stated)
    decided = sensors.radiometry(item)
    assert (decided.scale, decided.offset, decided.doubtful) == (1e-4, offset, doubtful)


def test_bands_of_different_offsets_are_refused():
    item = make("sentinel-2-l2a", {}, key="B04_10m", href=CDSE, **{"raster:offset": -0.1})
    item.add_asset(
        "B03_10m",
        pystac.Asset(href=CDSE, extra_fields={"raster:offset": 0.0, "raster:scale": 1}),
    )
    with pytest.raises(RadiometryError, match="made: its bands announce different"):
        sensors.radiometry(item)


@pytest.mark.parametrize(("baseline", "offset"), [("02.12", 0.0), ("04.00", -0.1)])
def test_planetary_computer_says_nothing_and_the_baseline_decides(baseline, offset):
    item = make("sentinel-2-l2a", {"s2:processing_baseline": baseline}, key="B04", href=AZURE)
    decided = sensors.radiometry(item)
    assert (decided.offset, decided.doubtful) == (offset, False)


@pytest.mark.parametrize(
    "collection", ["sentinel-2-c1-l2a", "sentinel-2-pre-c1-l2a", "mine", None]
)
@pytest.mark.parametrize(
    ("baseline", "announced", "offset", "doubtful"),
    [
        ("05.09", -0.1, -0.1, False),
        ("03.01", 0, 0.0, False),
        # Older stactools announced no offset whatever the baseline: the baseline decides.
        ("05.09", 0, -0.1, True),
        ("02.14", -0.1, 0.0, True),
    ],
)
def test_products_as_esa_made_them(collection, baseline, announced, offset, doubtful):
    properties = {"s2:processing_baseline": baseline, "s2:product_type": "S2MSI2A"}
    item = make(collection, properties, **{"raster:bands": bands(announced)})
    decided = sensors.radiometry(item)
    assert (decided.offset, decided.doubtful) == (offset, doubtful)
    assert ("but its assets announce" in decided.reason) == doubtful


@pytest.mark.parametrize(
    "collection",
    [
        "sentinel-1-grd",
        "sentinel-1-rtc",
        "aster-l1t",
        "sentinel-2-global-mosaics",
        "naip",
        None,
    ],
)
def test_what_is_not_supported_is_named(collection):
    with pytest.raises(RadiometryError, match=f"collection {collection!r} is not known"):
        sensors.radiometry(make(collection, {"product:type": "S2MSI_L3__MCQ"}))


def test_landsat_that_announces_other_numbers_is_doubted():
    item = make("landsat-c2-l2", {}, **{"raster:bands": bands(-0.2, 2.75e-5)})
    assert not sensors.radiometry(item).doubtful
    item = make("landsat-c2-l2", {}, **{"raster:bands": bands(0, 1e-4)})
    decided = sensors.radiometry(item)
    assert (decided.scale, decided.doubtful) == (2.75e-5, True)


@pytest.mark.parametrize(
    ("collection", "instrument"),
    [
        ("landsat-c2l1", "OLI_TIRS"),
        ("landsat-c2-l1", ["oli", "tirs"]),
        ("landsat-c2l1", ["OLI"]),
    ],
)
def test_oli_level_1_is_divided_by_the_sine_of_the_suns_elevation(collection, instrument):
    item = make(collection, {"view:sun_elevation": 30.0, "instruments": instrument})
    decided = sensors.radiometry(item)
    assert math.isclose(decided.scale, 4e-5)
    assert math.isclose(decided.offset, -0.2)
    assert sensors.profile(item).level == "L1C"


@pytest.mark.parametrize("elevation", [None, 0, -12.5, "30"])
def test_oli_level_1_without_a_sun_is_refused(elevation):
    item = make("landsat-c2l1", {"view:sun_elevation": elevation, "instruments": ["oli"]})
    with pytest.raises(RadiometryError, match="view:sun_elevation is"):
        sensors.radiometry(item)


@pytest.mark.parametrize("instruments", [["tm"], ["etm+"], ["mss"], None])
def test_level_1_of_other_instruments_is_refused(instruments):
    with pytest.raises(RadiometryError, match="'landsat-c2l1' of .* holds radiances"):
        sensors.radiometry(make("landsat-c2l1", {"instruments": instruments}))


def test_thermal_bands_of_level_1_are_refused():
    item = make("landsat-c2l1", {"view:sun_elevation": 30.0, "instruments": ["oli"]})
    with pytest.raises(RadiometryError, match="'landsat-c2l1' has no temperatures"):
        sensors.radiometry(item, "lwir11")


def test_the_two_thermal_scales_agree_at_the_freezing_point():
    hls = sensors.radiometry(make("hls2-l30", {}, key="B10"), "lwir11")
    landsat = sensors.radiometry(make("landsat-c2-l2", {}, key="lwir11"), "lwir11")
    assert 0 * hls.scale + hls.offset == 273.15
    frozen = round((273.15 - landsat.offset) / landsat.scale)
    assert math.isclose(frozen * landsat.scale + landsat.offset, 273.15, abs_tol=0.005)


@pytest.mark.parametrize(
    "collection",
    ["hls2-l30", "hls2-s30", "HLSL30_2.0", "HLSS30_2.0", "HLSL30.v2.0", "HLSS30.v1.5"],
)
def test_hls_of_every_catalogue_is_one_scale_whatever_the_baseline(collection):
    item = make(collection, {"processing:version": "2.0"}, key="B04")
    decided = sensors.radiometry(item)
    assert (decided.scale, decided.offset, decided.nodata) == (1e-4, 0.0, -9999)
    assert sensors.profile(item).sensor == "hls"


@pytest.mark.parametrize("odd", [None, "x", [], {}, ["a"], [[]], [None], True, float("nan")])
@pytest.mark.parametrize("field", ["raster:bands", "bands", "eo:bands", "raster:offset"])
def test_fields_of_the_wrong_shape_count_as_not_stated(field, odd):
    item = make("sentinel-2-c1-l2a", {"s2:processing_baseline": "05.11"}, **{field: odd})
    decided = sensors.radiometry(item)
    assert (decided.offset, decided.doubtful) == (-0.1, False)
    assert sensors.profile(item).band(item, "red") == 1


@pytest.mark.parametrize("odd", [[], {}, "five", "5", 5, True, float("nan")])
def test_a_baseline_of_the_wrong_shape_is_no_baseline(odd):
    assert sensors.processing_baseline(make("x", {"s2:processing_baseline": odd})) is None
