"""Static catalogues, item collections and a STAC API on loopback."""

import json
import threading
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pystac
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import Polygon, box, mapping, shape

from pipeline.errors import (
    CatalogUnavailableError,
    ConfigError,
    EmptySearchError,
    SearchError,
)
from pipeline.search import matches_query, save_items, search
from pipeline.testing import make_job
from pipeline.types import Period, Source
from tests.search.serving import QUICK


def make_item(name, *, day=5, bounds=(9.0, 48.0, 9.2, 48.2), href="blue.tif", **properties):
    item = pystac.Item(
        id=name,
        geometry=mapping(box(*bounds)),
        bbox=list(bounds),
        datetime=datetime(2023, 6, day, 10, 20, tzinfo=UTC),
        collection="sentinel-2-l2a",
        properties={"s2:processing_baseline": "05.09", "eo:cloud_cover": 20.0, **properties},
    )
    item.add_asset("blue", pystac.Asset(href=href))
    return item


def write_collection(folder: Path, *items) -> str:
    path = folder / "items.json"
    document = {"type": "FeatureCollection", "features": [item.to_dict() for item in items]}
    path.write_text(json.dumps(document))
    return str(path)


def find(catalog: str, **parts):
    query = parts.pop("query", {})
    return search(make_job(sources=(Source(catalog=catalog, query=query),), **parts), QUICK)


def ids(found):
    return [item.id for item in found]


def test_an_item_collection_is_filtered_exactly(tmp_path):
    catalog = write_collection(
        tmp_path,
        make_item("late", day=30),
        make_item("inside"),
        make_item("beside", bounds=(9.2, 48.0, 9.4, 48.2)),
        make_item("other-collection"),
    )
    document = json.loads(Path(catalog).read_text())
    document["features"][3]["collection"] = "sentinel-1-grd"
    Path(catalog).write_text(json.dumps(document))
    found = find(catalog)
    assert ids(found) == ["inside", "late"]
    assert [dropped.item_id for dropped in found.dropped] == ["other-collection"]
    assert "sentinel-1-grd" in found.dropped[0].reason


def test_the_period_is_half_open(tmp_path):
    catalog = write_collection(
        tmp_path, make_item("at-start", day=5), make_item("at-end", day=6)
    )
    instant = partial(datetime, 2023, 6, hour=10, minute=20, tzinfo=UTC)
    period = Period(start=instant(day=5), end=instant(day=6))
    assert ids(find(catalog, period=period)) == ["at-start"]


def test_relative_assets_lie_beside_the_file_they_came_in(tmp_path):
    found = find(write_collection(tmp_path, make_item("one")))
    assert found.items[0].assets["blue"].href == str(tmp_path / "blue.tif")


def test_a_saved_search_gives_the_same_items(tmp_path):
    found = find(write_collection(tmp_path, make_item("one"), make_item("two", day=7)))
    saved = tmp_path / "elsewhere" / "saved.json"
    saved.parent.mkdir()
    save_items(found, saved)
    again = find(str(saved))
    assert ids(again) == ids(found)
    assert again.items[0].assets["blue"].href == str(tmp_path / "blue.tif")


def test_a_static_catalogue_is_walked(tmp_path):
    catalog = pystac.Catalog(id="root", description="root")
    catalog.add_item(make_item("one", href=str(tmp_path / "one.tif")))
    catalog.normalize_and_save(str(tmp_path), pystac.CatalogType.SELF_CONTAINED)
    assert ids(find(str(tmp_path / "catalog.json"))) == ["one"]


def test_the_newest_processing_of_an_acquisition_is_kept(shared_data, tmp_path):
    folder = shared_data / "stac_items" / "earthsearch_v1"
    documents = [
        json.loads((folder / f"sentinel-2-l2a__S2A_32TMT_20200302_{n}_L2A.json").read_text())
        for n in (1, 0)
    ]
    path = tmp_path / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": documents}))
    period = Period(
        start=datetime(2020, 3, 1, tzinfo=UTC), end=datetime(2020, 4, 1, tzinfo=UTC)
    )
    found = find(str(path), aoi=box(8.3, 47.0, 8.4, 47.1), period=period)
    assert ids(found) == ["S2A_32TMT_20200302_1_L2A"]
    (dropped,) = found.dropped
    assert dropped.item_id == "S2A_32TMT_20200302_0_L2A"
    assert dropped.reason == "replaced by newer processing S2A_32TMT_20200302_1_L2A"


def test_a_query_filters_files_too(tmp_path):
    catalog = write_collection(tmp_path, make_item("clear"), make_item("dull"))
    document = json.loads(Path(catalog).read_text())
    document["features"][1]["properties"]["eo:cloud_cover"] = 90
    Path(catalog).write_text(json.dumps(document))
    assert ids(find(catalog, query={"eo:cloud_cover": {"lt": 80}})) == ["clear"]


@given(st.integers(-5, 5), st.integers(-5, 5))
def test_query_operators_are_those_of_the_extension(value, operand):
    properties = {"n": value}
    truth = {
        "eq": value == operand,
        "neq": value != operand,
        "lt": value < operand,
        "lte": value <= operand,
        "gt": value > operand,
        "gte": value >= operand,
    }
    for symbol, expected in truth.items():
        assert matches_query({"n": {symbol: operand}}, properties) is expected
    assert not matches_query({"absent": {"lt": operand}}, properties)


@pytest.mark.parametrize("query", [{"n": {"like": 3}}, {"n": 3}])
def test_a_query_that_is_none_is_refused(query):
    with pytest.raises(ConfigError, match=r"sources\.query\.n"):
        matches_query(query, {"n": 1})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<html>", "cannot be read as JSON"),
        ('{"type": "Banana"}', "of type 'Banana'"),
        ("[1, 2]", "of type None"),
        ('{"type": "FeatureCollection", "features": [{"type": "Feature"}]}', "no id"),
    ],
)
def test_what_is_no_catalogue_is_named(tmp_path, content, message):
    path = tmp_path / "wrong.json"
    path.write_text(content)
    with pytest.raises(SearchError, match=message):
        find(str(path))


def test_a_missing_catalogue_says_what_could_be_given(tmp_path):
    with pytest.raises(SearchError, match="does not exist.*earth-search"):
        find(str(tmp_path / "none.json"))


def test_an_empty_search_says_where_and_when(tmp_path):
    catalog = write_collection(tmp_path, make_item("one"))
    with pytest.raises(EmptySearchError, match="no usable item.*2023-06-01.*order longitude"):
        find(catalog, aoi=box(100, 0, 100.1, 0.1))


def test_an_empty_search_says_what_was_dropped(tmp_path):
    item = make_item("unclear")
    del item.properties["s2:processing_baseline"]
    with pytest.raises(EmptySearchError, match="1 of 1 items were dropped.*baseline"):
        find(write_collection(tmp_path, item))


# -- over HTTP ---------------------------------------------------------------------------------


class Api(BaseHTTPRequestHandler):
    """A STAC API with two pages of items, that can also be out of order."""

    items: list[dict] = []
    status = 200
    asked: list[dict] = []

    def log_message(self, *_):
        pass

    def do_GET(self):
        root = f"http://127.0.0.1:{self.server.server_port}"
        links = [
            {
                "rel": "search",
                "href": f"{root}/search",
                "method": "POST",
                "type": "application/geo+json",
            },
            {"rel": "root", "href": root, "type": "application/json"},
        ]
        self.answer(
            {
                "type": "Catalog",
                "id": "api",
                "stac_version": "1.0.0",
                "description": "test",
                "conformsTo": [
                    "https://api.stacspec.org/v1.0.0/core",
                    "https://api.stacspec.org/v1.0.0/item-search",
                    "https://api.stacspec.org/v1.0.0/item-search#query",
                ],
                "links": links,
            }
        )

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).asked.append(body)
        page = body.get("page", 0)
        links = []
        if page + 1 < len(self.items):
            href = f"http://127.0.0.1:{self.server.server_port}/search"
            links = [
                {
                    "rel": "next",
                    "href": href,
                    "method": "POST",
                    "body": {**body, "page": page + 1},
                }
            ]
        self.answer(
            {"type": "FeatureCollection", "features": [self.items[page]], "links": links}
        )

    def answer(self, document):
        content = json.dumps(document).encode()
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def api():
    class Fresh(Api):
        asked: list[dict] = []

    server = ThreadingHTTPServer(("127.0.0.1", 0), Fresh)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Fresh, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_api_is_paged_through(api):
    handler, url = api
    handler.items = [
        make_item("one", href="https://example.com/one.tif").to_dict(),
        make_item("two", day=8, href="s3://bucket/two.tif").to_dict(),
    ]
    found = find(url, query={"eo:cloud_cover": {"lt": 80}})
    assert ids(found) == ["one", "two"]
    assert handler.asked[0]["intersects"]["type"] == "Polygon"
    assert handler.asked[0]["query"] == {"eo:cloud_cover": {"lt": 80}}


def test_servers_see_outlines_as_they_want_them(api):
    """Some refuse a vertex that stands twice, and outer rings that turn clockwise."""
    handler, url = api
    ring = [(9, 48), (9, 49), (9, 49), (10, 49), (10, 48), (9, 48)]
    handler.items = [make_item("one", href="https://example.com/one.tif").to_dict()]
    find(url, aoi=Polygon(ring))
    sent = shape(handler.asked[0]["intersects"])
    assert sent.exterior.is_ccw
    assert len(sent.exterior.coords) == 5


@pytest.mark.parametrize("href", ["file:///etc/passwd", "/vsicurl/http://x/y.tif"])
def test_a_remote_item_cannot_point_at_this_machine(api, href):
    handler, url = api
    item = make_item("hostile")
    item.assets["blue"].href = href
    document = item.to_dict()
    document["links"] = [{"rel": "self", "href": f"{url}/collections/c/items/hostile"}]
    handler.items = [document]
    with pytest.raises(EmptySearchError, match="1 of 1 items were dropped.*blue.*refused"):
        find(url)


def test_an_api_that_fails_for_good_is_unavailable(api):
    handler, url = api
    handler.status = 500
    with pytest.raises(CatalogUnavailableError, match="did not answer.*saved item collection"):
        find(url)
