"""Real items, in landing pages and pages as Earth Search, Planetary Computer and CDSE send them.

The conformance classes and the forms of links and tokens are those of recorded answers: Earth Search
(stac-server), Planetary Computer and CDSE (stac-fastapi-pgstac, 2025-07).
"""

import json
from datetime import UTC, datetime

import pytest
from shapely.geometry import box, shape

from pipeline import catalogs
from pipeline.search import search
from pipeline.testing import make_job
from pipeline.types import CubeSettings, Period, Source
from tests.search.serving import CORE, PATIENT, SEARCH, Answer, Api

CQL2_JSON = "http://www.opengis.net/spec/cql2/1.0/conf/cql2-json"
ALWAYS = Period(start=datetime(1970, 1, 1, tzinfo=UTC), end=datetime(2030, 1, 1, tzinfo=UTC))
EVERYWHERE = box(-180, -90, 180, 90)


class EarthSearch(Api):
    """stac-server: the token is the last item's sort key; there is a next page even after the last."""

    def page(self, body):
        answer = super().page(body)
        if answer.status != 200:
            return answer
        page = answer.document
        returned = len(page["features"])
        page |= {
            "numberMatched": len(self.items),
            "numberReturned": returned,
            "context": {
                "limit": body["limit"],
                "matched": len(self.items),
                "returned": returned,
            },
        }
        if returned and not page["links"]:
            page["links"] = self.links(body, page["features"])
        return answer

    def start(self, body):
        if "next" not in body:
            return 0
        return [self.key(item) for item in self.items].index(body["next"]) + 1

    def key(self, item):
        return f"{item['properties']['datetime']},{item['id']},{item['collection']}"

    def links(self, body, features):
        href = f"{self.server.url}{self.root}/search"
        link = {"rel": "next", "title": "Next page of Items", "method": "POST", "merge": False}
        return [{**link, "href": href, "body": {**body, "next": self.key(features[-1])}}]


class PlanetaryComputer(Api):
    """pgstac: the token names the last item; answers are gzipped, without counts."""

    def page(self, body):
        answer = super().page(body)
        answer.headers["Content-Encoding"] = "gzip"
        return answer

    def start(self, body):
        if "token" not in body:
            return 0
        last = body["token"].split(":", 2)[2]
        return [item["id"] for item in self.items].index(last) + 1

    def links(self, body, features):
        href = f"{self.server.url}{self.root}/search"
        token = f"next:{features[-1]['collection']}:{features[-1]['id']}"
        link = {"rel": "next", "type": "application/geo+json", "method": "POST", "href": href}
        return [{**link, "body": {**body, "token": token}}, {"rel": "self", "href": href}]


class Explorer(Api):
    """Digital Earth Africa and Australia: the next link holds only what differs."""

    def start(self, body):
        return int(body.get("_o", 0))

    def links(self, body, features):
        href = f"{self.server.url}{self.root}/search"
        link = {"rel": "next", "method": "POST", "merge": True, "href": href}
        return [{**link, "body": {"_o": self.start(body) + len(features)}}]


class GetOnly(Api):
    """An API that knows GET alone and pages by URL, relative to the search."""

    def __call__(self, asked):
        assert asked.method == "GET"
        return super().__call__(asked)

    def landing(self):
        page = super().landing()
        page["links"] = [link for link in page["links"] if link.get("method") != "POST"]
        return page

    def links(self, body, features):
        token = self.start(body) + len(features)
        return [{"rel": "next", "href": f"search?limit={body['limit']}&token={token}"}]


CONFORMS = {
    EarthSearch: (CORE, SEARCH, f"{SEARCH}#query", f"{SEARCH}#sort", f"{SEARCH}#fields"),
    PlanetaryComputer: (CORE, SEARCH, f"{SEARCH}#query", f"{SEARCH}#filter", CQL2_JSON),
    # Of CDSE: the filter class is that of a release candidate.
    Api: (
        *(CORE, SEARCH, f"{SEARCH}#query", f"{SEARCH}#sort", CQL2_JSON),
        "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/filter",
        "https://api.stacspec.org/v1.0.0-rc.2/item-search#filter",
    ),
    Explorer: (CORE, SEARCH),
    GetOnly: (CORE, SEARCH),
}
FOLDERS = {
    EarthSearch: "earthsearch_v1",
    PlanetaryComputer: "pc",
    Api: "cdse",
    Explorer: "dea",
    GetOnly: "deafrica",
}


@pytest.fixture
def documents(shared_data):
    def read(kind):
        paths = sorted((shared_data / "stac_items" / FOLDERS[kind]).glob("*.json"))
        return [json.loads(path.read_text()) for path in paths]

    return read


def find(url, monkeypatch, page_size=4, **parts):
    """Search with small pages."""
    monkeypatch.setattr(
        catalogs, "find", lambda _: catalogs.Catalog(url=url, page_size=page_size)
    )
    source = Source(
        catalog="test", **{k: parts.pop(k) for k in ("query", "filter") if k in parts}
    )
    whole = {"aoi": EVERYWHERE, "period": ALWAYS, "sources": (source,)} | parts
    return search(make_job(**whole), PATIENT)


def everything(found):
    return {item.id for item in found} | {dropped.item_id for dropped in found.dropped}


@pytest.mark.parametrize("kind", list(CONFORMS))
def test_every_item_of_every_api_comes_through_its_pages(kind, api_of, documents, monkeypatch):
    items = documents(kind)
    found = find(api_of(items, kind, conforms=CONFORMS[kind]), monkeypatch, page_size=3)
    assert everything(found) == {item["id"] for item in items}
    assert len(found) + len(found.dropped) == len(items)
    assert [item.id for item in found] == [
        item.id for item in sorted(found, key=lambda item: (item.datetime, item.id))
    ]


@pytest.mark.parametrize("kind", [EarthSearch, PlanetaryComputer, Api, Explorer])
@pytest.mark.parametrize("largest", [1, 3])
def test_smaller_pages_lose_and_repeat_nothing(kind, largest, api_of, documents, monkeypatch):
    items = documents(kind)
    url = api_of(items, kind, conforms=CONFORMS[kind], largest=largest)
    found = find(url, monkeypatch, page_size=16)
    assert everything(found) == {item["id"] for item in items}
    assert len(found) + len(found.dropped) == len(items)


def test_a_page_that_fails_late_is_not_the_end(api_of, server, documents, monkeypatch):
    items = documents(PlanetaryComputer)
    url = api_of(items, PlanetaryComputer)
    serve = server.answer

    def heavy(asked):
        late = "token" in asked.body and int(asked.body["limit"]) > 5
        return Answer(raw=b"", status=504) if late else serve(asked)

    server.answer = heavy
    found = find(url, monkeypatch, page_size=20)
    assert everything(found) == {item["id"] for item in items}
    assert [asked.body["limit"] for asked in server.asked[1:6]] == [20, 20, 20, 10, 10]


@pytest.mark.parametrize(
    ("kind", "asks_query", "asks_filter", "sorts"),
    [
        (EarthSearch, True, False, True),
        # A filter stands alone: stac-fastapi refuses a query beside it.
        (PlanetaryComputer, False, True, False),
        (Api, False, True, True),
        (Explorer, False, False, False),
    ],
)
def test_an_api_is_asked_what_it_says_it_knows_and_its_answer_is_tested(
    kind, asks_query, asks_filter, sorts, api_of, server, documents, monkeypatch
):
    items = documents(kind)
    wanted = {
        item["id"]
        for item in items
        if 10 <= (item["properties"].get("eo:cloud_cover") or -1) < 60
    }
    # None of these servers filters: what they send is everything.
    query = {"eo:cloud_cover": {"lt": 60}}
    condition = {"op": ">=", "args": [{"property": "eo:cloud_cover"}, 10]}
    url = api_of(items, kind, conforms=CONFORMS[kind])
    if wanted:
        found = find(url, monkeypatch, query=query, filter=condition)
        assert everything(found) == wanted
    else:
        with pytest.raises(Exception, match="the query and the filter"):
            find(url, monkeypatch, query=query, filter=condition)
    body = server.asked[1].body
    assert ("query" in body, "filter" in body, "sortby" in body) == (
        asks_query,
        asks_filter,
        sorts,
    )
    if asks_filter:
        assert body["filter"] == condition
        assert body["filter-lang" if "filter-lang" in body else "filter_lang"] == "cql2-json"


def test_the_newest_processing_wins_and_other_datastrips_stay(api_of, documents, monkeypatch):
    url = api_of(documents(EarthSearch), EarthSearch)
    day = datetime(2020, 3, 2, tzinfo=UTC)
    found = find(
        url,
        monkeypatch,
        aoi=shape(
            next(
                item["geometry"]
                for item in documents(EarthSearch)
                if item["id"] == "S2A_32TMT_20200302_1_L2A"
            )
        ),
        period=Period(start=day, end=day.replace(day=3)),
        cube=CubeSettings(),
    )
    tile = [item.id for item in found if "32TMT" in item.id]
    assert tile == ["S2A_32TMT_20200302_1_L2A"]
    reasons = {dropped.item_id: dropped.reason for dropped in found.dropped}
    assert reasons["S2A_32TMT_20200302_0_L2A"].endswith("S2A_32TMT_20200302_1_L2A")
