"""Every real item against the table of `real_items`: sensor, level, numbers, CRS."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pystac
import pytest
from pyproj import CRS

from pipeline import sensors
from pipeline.errors import RadiometryError
from tests.sensors.real_items import EXPECTED, document, files_of, index, key, read


def test_every_item_hits_a_row_and_every_row_is_hit(shared_data: Path):
    assert {key(shared_data, name) for name in index(shared_data)} == set(EXPECTED)


@pytest.mark.parametrize("row", EXPECTED, ids=lambda row: "-".join(map(str, row)))
def test_items_have_the_radiometry_derived_by_hand(shared_data: Path, row):
    expected = EXPECTED[row]
    for name in files_of(shared_data, row):
        item = read(shared_data, name)
        if isinstance(expected, str):
            with pytest.raises(RadiometryError, match=expected) as caught:
                sensors.radiometry(item)
            assert item.id in str(caught.value)
            assert str(item.collection_id) in str(caught.value)
            continue
        product, numbers = expected
        found, decided = sensors.profile(item), sensors.radiometry(item)
        assert (found.sensor, found.level) == product, name
        assert (decided.scale, decided.offset, decided.nodata) == numbers, name
        assert decided.reason
        assert not decided.doubtful, name


@pytest.mark.parametrize(
    "row", [row for row in EXPECTED if not isinstance(EXPECTED[row], str)], ids=str
)
def test_every_role_of_an_item_has_the_numbers_of_its_kind(shared_data: Path, row):
    for name in files_of(shared_data, row):
        item = read(shared_data, name)
        whole = sensors.radiometry(item)
        offered = sensors.profile(item).offered(item)
        for role in offered.keys() - sensors.THERMAL_ROLES:
            assert sensors.radiometry(item, role) == whole
        for role in offered.keys() & sensors.THERMAL_ROLES:
            kelvin = sensors.radiometry(item, role)
            # A DN in the middle of the range is a temperature of this planet.
            middle = 2000 if kelvin.nodata == -9999 else 44000
            assert 270 < middle * kelvin.scale + kelvin.offset < 330


def test_surface_temperature_alone_is_read_by_role(shared_data: Path):
    for name in files_of(shared_data, ("usgs_landsatlook", "landsat-c2l2-st", "", "")):
        item = read(shared_data, name)
        assert sensors.profile(item).level == "ST"
        assert list(sensors.profile(item).offered(item)) == ["lwir11"]
        kelvin = sensors.radiometry(item, "lwir11")
        assert (kelvin.scale, kelvin.offset, kelvin.nodata) == (0.00341802, 149.0, 0)


def test_surface_temperature_is_no_processing_of_surface_reflectance(shared_data: Path):
    one = "LC08_L2SP_005009_20150710_20200908_02_T2.json"
    both = [
        read(shared_data, f"usgs_landsatlook/landsat-c2l2-{kind}__{one}")
        for kind in ("sr", "st")
    ]
    assert sensors.newest(both) == both


CATALOGUES = {
    # Told from the items alone. Copies and things made by stactools keep the marks of whose files
    # they point at; some point at nothing.
    "earthsearch_v0": {"earth-search"},
    "earthsearch_v0_bucket": {"earth-search"},
    "earthsearch_v1": {"earth-search"},
    "pc": {"planetary-computer"},
    "cdse": {"cdse"},
    "usgs_landsatlook": {"usgs-landsatlook"},
    "cmr_stac": {"cmr-lpcloud"},
    "dea": {"dea"},
    "deafrica": {"earth-search"},
    "stactools_hls": {"planetary-computer"},
    "stactools_landsat": {"usgs-landsatlook"},
    "stactools_sentinel2": {None},
}


@pytest.mark.parametrize(
    ("catalogue", "files"),
    [
        (
            "https://stac.digitalearthpacific.org/collections/c/items/i",
            "s3://sentinel-cogs/a.tif",
        ),
        (
            "https://stac.digitalearthpacific.org/collections/c/items/i",
            "s3://usgs-landsat/a.tif",
        ),
        (None, "https://deppcpublicstorage.blob.core.windows.net/output/a.tif"),
        (None, "https://dep-public-data.s3.us-west-2.amazonaws.com/a.tif"),
    ],
)
def test_items_of_digital_earth_pacific_are_its_own(catalogue, files):
    """Not the Planetary Computer's by their host, nor Digital Earth Africa's by their region code."""
    item = pystac.Item(
        "i", None, None, datetime(2024, 1, 1, tzinfo=UTC), {"odc:region_code": "a"}
    )
    item.add_asset("red", pystac.Asset(href=files))
    if catalogue:
        item.set_self_href(catalogue)
    assert sensors.origin(item) == "dep"


def test_the_catalogue_is_told_from_the_item(shared_data: Path):
    for name in index(shared_data):
        found = sensors.origin(read(shared_data, name))
        assert found in CATALOGUES[name.split("/", maxsplit=1)[0]], name


def test_every_item_has_the_crs_that_the_index_lists(shared_data: Path):
    for name, row in index(shared_data).items():
        item = read(shared_data, name)
        expected = _expected_crs(name, row)
        assert sensors.crs_of(item) == expected, name
        for asset_key in _offered(item).values():
            assert sensors.crs_of(item, asset_key) == expected, (name, asset_key)


def _expected_crs(name: str, row: dict[str, str]) -> CRS | None:
    if row["proj"]:
        return CRS.from_epsg(int(row["proj"].removeprefix("EPSG:")))
    if "crs_only_on_assets" in row["quirks"]:
        # By the MGRS tile: UTM, its bands N to X north of the equator.
        tile = re.search(r"_T?(\d\d)([C-X])[A-Z]{2}_", name)
        assert tile is not None
        return CRS.from_epsg((32600 if tile[2] >= "N" else 32700) + int(tile[1]))
    assert "no_crs_anywhere" in row["quirks"], name
    return None


def _offered(item):
    try:
        return sensors.profile(item).offered(item)
    except RadiometryError:
        return {}


def test_reprocessings_share_an_acquisition_whatever_the_catalogue_calls_the_platform(
    shared_data: Path,
):
    names = (
        "cdse/sentinel-2-l2a__S2B_MSIL2A_20200705T101559_N0500_R065_T32TMT_20230530T175912.json",
    )
    parsed = document(shared_data, names[0])
    properties = parsed["properties"]
    item = read(shared_data, names[0])
    twin = read(shared_data, names[0])
    twin.collection_id = "sentinel-2-l2a"
    twin.properties = {
        "platform": "Sentinel-2B",
        "s2:mgrs_tile": "32TMT",
        "s2:datastrip_id": properties["eopf:datastrip_id"].replace("N05.00", "N02.14"),
        "s2:processing_baseline": "02.14",
    }
    assert sensors.newest([twin, item]) == [item, item]
    assert sensors.processing_rank(item) > sensors.processing_rank(twin)
