"""Items that nobody has recorded yet: other baselines, spellings, versions, platforms."""

from datetime import UTC, datetime
from pathlib import Path

import pystac
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import sensors
from pipeline.errors import RadiometryError
from pipeline.sensors.bands import OLI_NUMBERS, SENTINEL_2, TM_NUMBERS
from pipeline.sensors.qa import SCL
from tests.sensors.real_items import index, read

BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
ROLES = (
    *("coastal", "blue", "green", "red", "rededge1", "rededge2", "rededge3"),
    *("nir", "nir08", "swir16", "swir22"),
)
PIXEL = {"B01": "60m", **dict.fromkeys(("B02", "B03", "B04", "B08"), "10m")}
SPELLINGS = {
    "named": dict(zip(ROLES, ROLES, strict=True)),
    "numbered": dict(zip(ROLES, BANDS, strict=True)),
    "small": {role: band.lower() for role, band in zip(ROLES, BANDS, strict=True)},
    "copernicus": {
        role: f"{band}_{PIXEL.get(band, '20m')}"
        for role, band in zip(ROLES, BANDS, strict=True)
    },
}
SCL_KEYS = ("scl", "SCL", "SCL_20m", "Scl")
PLATFORMS = ("sentinel-2a", "Sentinel-2B", "sentinel-2c", "SENTINEL-2C", "sentinel_2a")


def make(collection: str | None, properties: dict, keys, fields=None, **parts) -> pystac.Item:
    item = pystac.Item(
        id=parts.get("name", "made"),
        geometry=None,
        bbox=None,
        datetime=parts.get("at", datetime(2023, 6, 1, tzinfo=UTC)),
        properties=properties,
        collection=collection,
    )
    for key in keys:
        item.add_asset(key, pystac.Asset(href=f"{key}.tif", extra_fields=dict(fields or {})))
    return item


def stated(version: str, scale: float, offset: float) -> dict:
    """Return how STAC of a version announces scale and offset."""
    return {
        "1.0": {"raster:bands": [{"scale": scale, "offset": offset, "nodata": 0}]},
        "1.1": {"raster:scale": scale, "raster:offset": offset},
        "1.1 bands": {"bands": [{"raster:scale": scale, "raster:offset": offset}]},
        "silent": {},
    }[version]


baselines = st.tuples(st.integers(2, 6), st.integers(0, 14))
versions = st.sampled_from(["1.0", "1.1", "1.1 bands", "silent"])


def spelled(baseline: tuple[int, int], how: str) -> str:
    major, minor = baseline
    return {
        "dot": f"{major:02d}.{minor:02d}",
        "short": f"{major}.{minor:02d}",
        "name": f"N{major:02d}{minor:02d}",
        "plain": f"{major:02d}{minor:02d}",
    }[how]


@given(
    baseline=baselines,
    how=st.sampled_from(["dot", "short", "name", "plain"]),
    version=versions,
    spelling=st.sampled_from(sorted(SPELLINGS)),
    scl=st.sampled_from(SCL_KEYS),
    platform=st.sampled_from(PLATFORMS),
    year=st.integers(2015, 2035),
    collection=st.sampled_from(["sentinel-2-c1-l2a", "sentinel-2-l2a", "s2_l2a_c1", None]),
)
def test_sentinel_2_by_any_baseline_spelling_version_platform_and_date(
    baseline, how, version, spelling, scl, platform, year, collection
):
    offset = -0.1 if baseline >= (4, 0) else 0.0
    keys = SPELLINGS[spelling]
    item = make(
        collection,
        {
            "s2:processing_baseline": spelled(baseline, how),
            "platform": platform,
            "s2:product_type": "S2MSI2A",
        },
        [*keys.values(), scl, "visual", "AOT", "thumbnail"],
        stated(version, 1e-4, offset),
        at=datetime(year, 6, 1, tzinfo=UTC),
    )
    decided = sensors.radiometry(item)
    assert sensors.processing_baseline(item) == baseline
    assert (decided.scale, decided.offset, decided.nodata) == (1e-4, offset, 0)
    assert not decided.doubtful
    profile = sensors.profile(item)
    assert profile.offered(item) == keys
    assert profile.masks(item) == {"scl": scl}
    assert (profile.sensor, profile.level, profile.correction) == ("sentinel-2", "L2A", "esa")


@given(
    baseline=baselines,
    flag=st.sampled_from([True, "true", "True", "TRUE", 1, 1.0, "1"]),
    announced=st.sampled_from([0.0, -0.1, None]),
    version=versions,
    name=st.sampled_from(["earthsearch:boa_offset_applied", "sentinel:boa_offset_applied"]),
)
def test_a_flag_however_spelled_means_shifted(baseline, flag, announced, version, name):
    fields = {} if announced is None else stated(version, 1e-4, announced)
    properties = {"s2:processing_baseline": spelled(baseline, "dot"), name: flag}
    decided = sensors.radiometry(make("sentinel-2-l2a", properties, ["red"], fields))
    assert (decided.offset, decided.doubtful) == (0.0, False)


@given(flag=st.sampled_from([False, "false", "False", 0, 0.0, "0"]), baseline=baselines)
def test_a_flag_however_spelled_means_not_shifted(flag, baseline):
    properties = {
        "s2:processing_baseline": spelled(baseline, "dot"),
        "earthsearch:boa_offset_applied": flag,
    }
    decided = sensors.radiometry(make("sentinel-2-l2a", properties, ["red"]))
    shifted = baseline >= (4, 0)
    assert (decided.offset, decided.doubtful) == ((-0.1, True) if shifted else (0.0, False))


@pytest.mark.parametrize("baseline", ["99.99", "99.05", "N9999", "90.00"])
@pytest.mark.parametrize("collection", ["S2MSI2A", "sentinel-2-l2a", "sentinel-2-c1-l2a"])
def test_baselines_that_users_made_are_doubted(baseline, collection):
    item = make(collection, {"s2:processing_baseline": baseline}, ["red"])
    decided = sensors.radiometry(item)
    assert (decided.offset, decided.doubtful) == (-0.1, True)
    assert "no baseline of ESA's" in decided.reason


@given(
    baseline=baselines,
    spelling=st.sampled_from(["named", "numbered"]),
    collection=st.sampled_from(["sentinel-2-l1c", "mine", None]),
)
def test_sentinel_2_level_1c(baseline, spelling, collection):
    item = make(
        collection,
        {
            "s2:processing_baseline": spelled(baseline, "dot"),
            "s2:product_type": "S2MSI1C",
        },
        [*SPELLINGS[spelling].values(), "cirrus" if spelling == "named" else "B10"],
    )
    assert sensors.profile(item).level == "L1C"
    assert sensors.profile(item).masks(item) == {}
    assert "cirrus" in sensors.profile(item).offered(item)
    assert sensors.radiometry(item).offset == (-0.1 if baseline >= (4, 0) else 0.0)


LANDSATS = {4: "tm", 5: "tm", 7: "etm+", 8: "oli", 9: "oli"}


def instrument(number: int, how: str) -> dict:
    name = LANDSATS[number]
    both = ["oli", "tirs"] if name == "oli" else [name]
    return {
        "list": {"instruments": both},
        "capitals": {"instruments": [each.upper() for each in both]},
        "joined": {"eo:instrument": "_".join(both).upper()},
        "platform": {},
    }[how]


@given(
    number=st.sampled_from(sorted(LANDSATS)),
    how=st.sampled_from(["list", "capitals", "joined", "platform"]),
    platform=st.sampled_from(["landsat-{}", "LANDSAT_{}", "Landsat-{}"]),
    collection=st.sampled_from(["landsat-c2-l2", "landsat-c2l2-sr"]),
    keys=st.sampled_from(["named", "SR_B{}", "SR_B{}.TIF"]),
    version=versions,
    qa=st.sampled_from(["qa_pixel", "QA_PIXEL", "QA_PIXEL.TIF"]),
)
def test_landsat_level_2_of_every_satellite(
    number, how, platform, collection, keys, version, qa
):
    numbers = OLI_NUMBERS if number >= 8 else TM_NUMBERS
    wanted = {
        role: ("nir08" if role == "nir" else role) if keys == "named" else keys.format(band)
        for role, band in numbers.items()
    }
    item = make(
        collection,
        {
            "platform": platform.format(number),
            "landsat:collection_number": "02",
            **instrument(number, how),
        },
        [*wanted.values(), qa],
        stated(version, 2.75e-5, -0.2),
    )
    decided = sensors.radiometry(item)
    assert (decided.scale, decided.offset, decided.nodata) == (2.75e-5, -0.2, 0)
    assert not decided.doubtful
    profile = sensors.profile(item)
    assert profile.offered(item) == wanted
    assert profile.masks(item) == {"qa_pixel": qa}
    assert (profile.sensor, profile.correction, profile.native_m) == ("landsat", "usgs", 30.0)


@given(
    number=st.sampled_from([8, 9]),
    how=st.sampled_from(["list", "capitals", "joined"]),
    collection=st.sampled_from(["landsat-c2l1", "landsat-c2-l1"]),
    keys=st.sampled_from(["named", "B{}", "B{}.TIF"]),
)
def test_landsat_level_1_of_oli(number, how, collection, keys):
    wanted = {
        role: ("nir08" if role == "nir" else role) if keys == "named" else keys.format(band)
        for role, band in OLI_NUMBERS.items()
    }
    properties = {"view:sun_elevation": 30.0, **instrument(number, how)}
    item = make(collection, properties, wanted.values())
    assert sensors.profile(item).level == "L1C"
    assert sensors.profile(item).offered(item) == wanted
    assert sensors.radiometry(item).scale == pytest.approx(4e-5)


@pytest.mark.parametrize("number", [4, 5, 7])
@pytest.mark.parametrize("how", ["list", "capitals", "joined", "platform"])
@pytest.mark.parametrize("collection", ["landsat-c2l1", "landsat-c2-l1"])
def test_level_1_of_tm_and_etm_is_refused_and_says_what_it_lacks(number, how, collection):
    properties = {
        "platform": f"landsat-{number}",
        "view:sun_elevation": 30.0,
        **instrument(number, how),
    }
    item = make(collection, properties, ["red", "MTL.json"])
    with pytest.raises(
        RadiometryError, match=f"of landsat-{number} .*MTL file, which is not read"
    ):
        sensors.radiometry(item)


HLS = ("", ".v1.5", ".v2.0", "_2.0", ".002")


@given(
    product=st.sampled_from(["L30", "S30"]),
    version=st.sampled_from(HLS),
    planetary=st.booleans(),
    announced=st.sampled_from([{}, stated("1.0", 1e-4, 0.0), stated("1.1", 1e-4, 0.0)]),
)
def test_hls_of_every_version(product, version, planetary, announced):
    collection = f"hls2-{product.lower()}" if planetary else f"HLS{product}{version}"
    numbers = (
        {role: f"B{number:02d}" for role, number in OLI_NUMBERS.items()}
        if product == "L30"
        else SPELLINGS["numbered"]
    )
    item = make(collection, {}, [*numbers.values(), "Fmask", "SZA"], announced)
    decided = sensors.radiometry(item)
    assert (decided.scale, decided.offset, decided.nodata) == (1e-4, 0.0, -9999)
    assert not decided.doubtful
    profile = sensors.profile(item)
    assert profile.offered(item) == numbers
    assert profile.masks(item) == {"fmask": "Fmask"}
    assert (profile.sensor, profile.correction) == ("hls", "hls")


def test_the_right_key_wins_over_one_that_differs_in_case():
    keys = ["RED", "red", "Blue"]
    item = make("sentinel-2-l2a", {"s2:processing_baseline": "05.11"}, keys)
    assert sensors.profile(item).offered(item) == {"red": "red", "blue": "Blue"}


def test_no_key_serves_two_bands_of_sentinel_2():
    keys = [key.casefold() for keys in SENTINEL_2.values() for key in keys]
    assert len(keys) == len(set(keys))
    assert len(SCL) == 12


CORRECTIONS = {
    **dict.fromkeys(
        ("earthsearch_v0", "earthsearch_v0_bucket", "cdse", "deafrica", "stactools_sentinel2"),
        "esa",
    ),
    **dict.fromkeys(("usgs_landsatlook", "stactools_landsat"), "usgs"),
    **dict.fromkeys(("cmr_stac", "stactools_hls"), "hls"),
    "dea": "nbart",
}


def test_the_correction_of_every_real_item(shared_data: Path):
    seen = set()
    for name in index(shared_data):
        folder = name.split("/", maxsplit=1)[0]
        item = read(shared_data, name)
        try:
            found = sensors.profile(item).correction
        except RadiometryError:
            continue
        landsat = str(item.collection_id).startswith("landsat")
        assert found == CORRECTIONS.get(folder, "usgs" if landsat else "esa"), name
        seen.add(found)
    assert seen == {"esa", "usgs", "hls", "nbart"}


def test_native_pixels_are_those_that_the_real_items_state(shared_data: Path):
    compared = 0
    for name in index(shared_data):
        item = read(shared_data, name)
        try:
            profile = sensors.profile(item)
        except RadiometryError:
            continue
        for role, key in profile.offered(item).items():
            placed = item.assets[key].extra_fields.get("proj:transform")
            # One item is of a sample thinned to more than a kilometre.
            if placed and abs(placed[0]) < 1000:
                assert abs(placed[0]) == profile.resolution_m(role), (name, role)
                compared += 1
    assert compared > 1000


def test_each_role_of_sentinel_2_has_its_pixel():
    profile = sensors.PROFILES["sentinel-2-l2a"]
    assert set(profile.role_m) == set(profile.assets)
    assert min(profile.role_m.values()) == profile.native_m
    assert sensors.PROFILES["landsat-c2-l2"].resolution_m("lwir11") == 30.0
