"""Files of items: what is written is read again, also by and from other tools."""

import json
from datetime import UTC, datetime

import pystac
import pytest
import rustac
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import box, shape

from pipeline import access
from pipeline.errors import ConfigError, SearchError
from pipeline.search import save_items, search
from pipeline.search.documents import understood
from pipeline.search.files import read_document
from pipeline.testing import make_job
from pipeline.types import Items, Period, Source
from tests.search.test_search import find, ids, make_item, write_collection

FORMS = ["json", "ndjson", "parquet"]


def everything(document):
    """An item as it matters: without what a form may spell in another way."""
    item = {**document, "properties": dict(document["properties"])}
    for name, value in item["properties"].items():
        if isinstance(value, str) and (instant := as_instant(value)):
            item["properties"][name] = instant
    # No column can say null of a field of an asset; absent and null are one.
    item["assets"] = without_nulls(item["assets"])
    item["bbox"] = list(item["bbox"])
    # A column of polygons and multipolygons holds multipolygons.
    place = shape(item["geometry"])
    item["geometry"] = (
        place.geoms[0] if len(getattr(place, "geoms", "--")) == 1 else place
    ).wkt
    return json.loads(json.dumps(item, default=str))


def nulls(properties):
    return [name for name, value in properties.items() if value is None]


def as_instant(text):
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else None


def without_nulls(value):
    if isinstance(value, dict):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [without_nulls(each) for each in value]
    return value


def written_and_read(items, path):
    save_items(Items(items=tuple(items)), path)
    return [
        understood(each, str(path)).item.to_dict(transform_hrefs=False)
        for each in read_document(path)["features"]
    ]


@pytest.fixture(scope="module")
def real(shared_data):
    found = [
        access.reduce_item(understood(json.loads(path.read_text()), str(path)).item)
        for path in sorted((shared_data / "stac_items").glob("*/*.json"))
        if path.parent.name != "collections"
    ]
    assert len(found) == 199
    return found


@pytest.mark.parametrize("form", FORMS)
def test_real_items_of_each_catalogue_survive(real, form, tmp_path):
    groups = {}
    for item in real:
        groups.setdefault((item.collection_id, tuple(sorted(item.assets))), []).append(item)
    for items in groups.values():
        again = written_and_read(items, tmp_path / f"items.{form}")
        for before, after in zip(items, again, strict=True):
            expected = everything(before.to_dict(transform_hrefs=False))
            if form == "parquet":
                # Outside of the specification: the library drops them.
                expected["properties"].pop("collection", None)
                expected.pop("description", None)
                after["properties"] |= dict.fromkeys(nulls(expected["properties"]))
            assert everything(after) == expected


@pytest.mark.quick(1)
@pytest.mark.parametrize("form", ["json", "ndjson"])
def test_all_real_items_in_one_file(real, form, tmp_path):
    again = written_and_read(real, tmp_path / f"items.{form}")
    assert again == [item.to_dict(transform_hrefs=False) for item in real]


def test_items_whose_columns_disagree_are_refused_by_name(real, tmp_path):
    with pytest.raises(ConfigError, match="landsat:collection_number.*the form .json"):
        written_and_read(real, tmp_path / "items.parquet")


instants = st.datetimes(datetime(1972, 1, 1), datetime(2050, 1, 1), timezones=st.just(UTC))
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=8)
values = st.one_of(st.integers(-(2**31), 2**31), st.booleans(), texts)


@given(
    day=instants,
    west=st.floats(-179, 178),
    properties=st.dictionaries(st.sampled_from(["s2:b", "eo:cloud_cover", "unit"]), values),
    form=st.sampled_from(FORMS),
)
def test_written_is_read(tmp_path_factory, day, west, properties, form):
    item = make_item(
        "one",
        bounds=(west, 1, west + 0.5, 2),
        href="https://example.com/blue.tif",
        **properties,
    )
    item.datetime = day
    item.set_self_href("https://example.com/one.json")
    path = tmp_path_factory.mktemp("written") / f"items.{form}"
    (again,) = written_and_read([item], path)
    assert everything(again) == everything(item.to_dict())


@pytest.mark.parametrize("form", FORMS)
def test_a_saved_search_is_the_same_search(tmp_path, form):
    found = find(write_collection(tmp_path, make_item("one"), make_item("two", day=7)))
    saved = tmp_path / f"saved.{form}"
    save_items(found, saved)
    again = find(str(saved))
    assert [item.to_dict() for item in again] == [item.to_dict() for item in found] or (
        [everything(item.to_dict()) for item in again]
        == [everything(item.to_dict()) for item in found]
    )


def test_geoparquet_of_another_tool_is_read_and_ours_by_it(tmp_path, shared_data):
    folder = shared_data / "stac_items" / "earthsearch_v1"
    documents = [
        json.loads(p.read_text()) for p in sorted(folder.glob("sentinel-2-c1*T13TDE*"))
    ]
    path = tmp_path / "theirs.parquet"
    rustac.write_sync(str(path), documents)
    period = Period(
        start=datetime(2024, 1, 1, tzinfo=UTC), end=datetime(2025, 1, 1, tzinfo=UTC)
    )
    job = make_job(
        aoi=box(-105.0, 40.0, -104.9, 40.1), period=period, sources=(Source(catalog=str(path)),)
    )
    found = search(job)
    assert set(ids(found)) <= {document["id"] for document in documents}
    assert len(found) > 0
    ours = tmp_path / "ours.parquet"
    save_items(found, ours)
    assert {item["id"] for item in rustac.read_sync(str(ours))["features"]} == set(ids(found))


def test_an_edited_time_wins_over_the_kept_one(tmp_path):
    item = make_item("one")
    item.datetime = datetime(2023, 6, 5, 10, 20, 1, 123456, tzinfo=UTC)
    path = tmp_path / "items.parquet"
    save_items(Items(items=(item,)), path)
    features = rustac.read_sync(str(path))["features"]
    features[0]["properties"]["datetime"] = "2023-06-06T00:00:00Z"
    rustac.write_sync(str(path), features)
    assert find(str(path)).items[0].datetime == datetime(2023, 6, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.parquet", b"PAR1nonsensePAR1"), ("b.parquet", b""), ("c.parquet", b"\x00" * 99)],
)
def test_a_damaged_geoparquet_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SearchError, match=f"{name} cannot be read as GeoParquet"):
        find(str(tmp_path / name))


def test_parquet_that_holds_no_items_is_named(tmp_path):
    path = tmp_path / "lines.ndjson"
    path.write_text('{"type": "Feature", "id": 7}\n')
    with pytest.raises(SearchError, match="no id that is a text, but 7"):
        find(str(path))


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    items = Items(items=(make_item("one"),))
    for form in FORMS:
        with pytest.raises(ConfigError, match="cannot be written there"):
            save_items(items, tmp_path / "absent" / f"items.{form}")


def test_a_catalogue_without_a_type_is_one_of_before_stac_1(tmp_path):
    item = pystac.Item.to_dict(make_item("one", href="https://example.com/x.tif"))
    (tmp_path / "one.json").write_text(json.dumps(item))
    old = {"id": "old", "stac_version": "0.7.0", "description": "", "links": []}
    old["links"] = [{"rel": "item", "href": "one.json"}]
    (tmp_path / "catalog.json").write_text(json.dumps(old))
    assert ids(find(str(tmp_path))) == ["one"]
