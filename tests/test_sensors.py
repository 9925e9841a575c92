"""Rules one by one, on made items; every real item is in tests/sensors."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pystac
import pytest

from pipeline import sensors
from pipeline.errors import RadiometryError


def read(file: Path) -> pystac.Item:
    # As recorded: pystac's migration to STAC 1.1 warns of assets that are of no concern here.
    return pystac.Item.from_dict(json.loads(file.read_text()), migrate=False)


def make_item(collection: str, **properties) -> pystac.Item:
    return pystac.Item(
        id="made",
        geometry=None,
        bbox=None,
        datetime=datetime(2023, 6, 1, tzinfo=UTC),
        properties=properties,
        collection=collection,
    )


@pytest.mark.parametrize(
    ("baseline", "flag", "offset"),
    [
        ("02.14", None, 0.0),
        ("03.01", False, 0.0),
        ("04.00", None, -0.1),
        ("04.00", False, -0.1),
        ("04.00", True, 0.0),
        ("05.11", False, -0.1),
        ("99.99", None, -0.1),
    ],
)
def test_baseline_and_flag_decide_and_the_reason_names_them(baseline, flag, offset):
    properties = {"s2:processing_baseline": baseline}
    if flag is not None:
        properties["earthsearch:boa_offset_applied"] = flag
    rule = sensors.radiometry(make_item("sentinel-2-l2a", **properties))
    assert rule.offset == offset
    assert ("boa_offset_applied" in rule.reason) == (flag is not None)


def test_without_a_baseline_nothing_is_guessed():
    with pytest.raises(RadiometryError, match="made: no processing baseline"):
        sensors.radiometry(make_item("sentinel-2-l2a"))


def test_an_unknown_collection_is_named_with_those_that_are_known():
    with pytest.raises(RadiometryError, match=r"'modis'.*sentinel-2-l2a"):
        sensors.radiometry(make_item("modis"))


def test_collection_1_landsat_is_refused():
    item = make_item("landsat-c2-l2", **{"landsat:collection_number": "01"})
    with pytest.raises(RadiometryError, match="Collection 1"):
        sensors.radiometry(item)


def test_landsat_gives_its_near_infrared_to_both_roles():
    item = make_item("landsat-c2-l2")
    item.add_asset("nir08", pystac.Asset(href="nir.tif"))
    assert sensors.profile(item).offered(item) == {"nir": "nir08", "nir08": "nir08"}


def test_reprocessings_share_an_acquisition_and_the_newer_ranks_higher(shared_data: Path):
    folder = shared_data / "stac_items" / "earthsearch_v1"
    old, new = (
        read(folder / f"sentinel-2-l2a__S2A_32TMT_20200302_{n}_L2A.json") for n in (0, 1)
    )
    other = read(folder / "sentinel-2-l2a__S2A_32TNT_20200302_0_L2A.json")
    assert sensors.newest([old, new, other]) == [new, new, other]
    assert sensors.processing_rank(new) > sensors.processing_rank(old)


def test_levels_of_one_acquisition_are_not_processings_of_each_other(shared_data: Path):
    folder = shared_data / "stac_items" / "earthsearch_v1"
    surface = read(folder / "sentinel-2-l2a__S2B_24MUV_20250731_0_L2A.json")
    toa = read(folder / "sentinel-2-l1c__S2B_24MUV_20250731_0_L1C.json")
    assert sensors.newest([surface, toa]) == [surface, toa]
