"""Laws over the real items: what the decision may depend on, and what it may not."""

import copy
import random
import re
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyproj import CRS

from pipeline import sensors
from pipeline.errors import RadiometryError
from tests.sensors.real_items import as_item, document, index

lazily = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def drawn(shared_data: Path, data: st.DataObject) -> dict:
    name = data.draw(st.sampled_from(sorted(index(shared_data))))
    return document(shared_data, name)


def decision(parsed: dict):
    """Say all that the tables decide of an item; the reason may name what varied."""
    item = as_item(copy.deepcopy(parsed))
    crs = sensors.crs_of(item)
    try:
        profile, numbers = sensors.profile(item), sensors.radiometry(item)
    except RadiometryError as error:
        return type(error), crs
    offered = profile.offered(item)
    rule = (numbers.scale, numbers.offset, numbers.nodata, numbers.doubtful)
    return profile.sensor, profile.level, offered, profile.masks(item), rule, crs


@lazily
@given(data=st.data())
def test_names_dates_places_links_and_order_decide_nothing(shared_data: Path, data):
    parsed = drawn(shared_data, data)
    before = decision(parsed)
    similar = copy.deepcopy(parsed)
    similar["id"] = data.draw(st.text(min_size=1, max_size=40))
    year = data.draw(st.integers(1985, 2035))
    similar["properties"]["datetime"] = f"{year}-06-01T10:00:00Z"
    similar["bbox"] = similar["geometry"] = None
    for name in ("grid:code", "s2:mgrs_tile", "mgrs:grid_square", "sentinel:grid_square"):
        if name in similar["properties"]:
            similar["properties"][name] = "MGRS-01ABC"
    if data.draw(st.booleans()):
        similar["links"] = []
    keys = list(similar["assets"])
    random.Random(data.draw(st.integers())).shuffle(keys)
    similar["assets"] = {key: similar["assets"][key] for key in keys}
    assert decision(similar) == before


OLD, NEW = ("02.04", "02.14", "03.00", "03.01"), ("04.00", "05.00", "05.10", "05.12", "06.00")


@lazily
@given(data=st.data())
def test_another_baseline_on_the_same_side_of_0400_decides_the_same(shared_data: Path, data):
    parsed = drawn(shared_data, data)
    baseline = sensors.processing_baseline(as_item(parsed))
    side = OLD if baseline is not None and baseline < (4, 0) else NEW
    similar = with_baseline(parsed, data.draw(st.sampled_from(side)))
    assert decision(similar) == decision(parsed)


def with_baseline(parsed: dict, text: str) -> dict:
    similar = copy.deepcopy(parsed)
    properties = similar["properties"]
    for name in (
        "s2:processing_baseline",
        "sentinel:processing_baseline",
        "processing:version",
    ):
        if name in properties:
            properties[name] = text
    for name in ("s2:product_uri", "sentinel:product_id"):
        if name in properties:
            replacement = f"_N{text.replace('.', '')}_"
            properties[name] = re.sub(r"_N\d{4}_", replacement, str(properties[name]))
    return similar


@lazily
@given(data=st.data())
def test_crossing_0400_moves_the_offset_of_what_is_served_as_made(shared_data: Path, data):
    name = data.draw(
        st.sampled_from(
            [n for n in sorted(index(shared_data)) if n.startswith("pc/sentinel-2")]
        )
    )
    parsed = document(shared_data, name)
    for side, offset in ((OLD, 0.0), (NEW, -0.1)):
        similar = with_baseline(parsed, data.draw(st.sampled_from(side)))
        assert sensors.radiometry(as_item(similar)).offset == offset


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 99) | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=2)
    ),
    max_leaves=6,
)


@lazily
@given(data=st.data())
def test_no_property_of_any_shape_raises_anything_but_our_error(shared_data: Path, data):
    parsed = copy.deepcopy(drawn(shared_data, data))
    names = [
        n
        for n in parsed["properties"]
        if n not in ("datetime", "start_datetime", "end_datetime")
    ]
    for name in data.draw(st.lists(st.sampled_from(names), max_size=4)):
        parsed["properties"][name] = data.draw(json_values)
    for key in data.draw(st.lists(st.sampled_from(sorted(parsed["assets"])), max_size=4)):
        for name in ("raster:bands", "bands", "raster:offset", "proj:code", "proj:projjson"):
            parsed["assets"][key][name] = data.draw(json_values)
    decision(parsed)
    item = as_item(parsed)
    sensors.origin(item)
    sensors.processing_rank(item)


@lazily
@given(
    code=st.integers(32601, 32660)
    | st.integers(32701, 32760)
    | st.sampled_from([3031, 3413, 3577])
)
def test_a_crs_is_the_same_however_it_is_stated(code):
    crs = CRS.from_epsg(code)
    spellings = [
        {"proj:epsg": code},
        {"proj:code": f"EPSG:{code}"},
        {"proj:wkt2": crs.to_wkt()},
        {"proj:projjson": crs.to_json_dict()},
        {"proj:code": "EPSG:None", "proj:epsg": None, "proj:wkt2": crs.to_wkt()},
    ]
    for fields in spellings:
        of_item = as_item(plain({"properties": fields}))
        of_asset = as_item(plain({"assets": {"red": {"href": "a.tif", **fields}}}))
        assert sensors.crs_of(of_item) == sensors.crs_of(of_item, "red") == crs
        assert sensors.crs_of(of_asset) == sensors.crs_of(of_asset, "red") == crs


def test_an_assets_crs_wins_over_its_items_and_assets_that_disagree_say_nothing():
    assets = {"red": {"href": "a.tif", "proj:epsg": 32632}, "nir": {"href": "b.tif"}}
    item = as_item(plain({"properties": {"proj:epsg": 32633}, "assets": assets}))
    assert sensors.crs_of(item, "red") == CRS.from_epsg(32632)
    assert sensors.crs_of(item, "nir") == CRS.from_epsg(32633)
    assets["nir"]["proj:epsg"] = 32631
    assert sensors.crs_of(as_item(plain({"assets": assets}))) is None


def plain(parts: dict) -> dict:
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": "made",
        "geometry": None,
        "links": [],
        "assets": parts.get("assets", {"red": {"href": "a.tif"}}),
        "properties": {"datetime": "2023-06-01T00:00:00Z", **parts.get("properties", {})},
    }
