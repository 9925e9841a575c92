"""What goes wrong between us and a catalogue: it is tried again, or ends in one clear error, in time."""

import json
import time
from dataclasses import replace

import pytest

from pipeline import catalogs
from pipeline.access import RetryPolicy
from pipeline.errors import CatalogUnavailableError, SearchError
from pipeline.search import search
from pipeline.search.limits import RateLimit
from pipeline.testing import make_job
from pipeline.types import CubeSettings, Source
from tests.search.serving import QUICK, Answer
from tests.search.test_search import ids, make_item

ITEMS = [
    make_item(f"item-{day}", day=day, href=f"https://example.com/{day}.tif").to_dict()
    for day in range(1, 10)
]


def find(url, limits=QUICK, **parts):
    return search(make_job(sources=(Source(catalog=url),), **parts), limits)


@pytest.fixture
def small_pages(monkeypatch):
    monkeypatch.setattr(catalogs, "find", lambda name: catalogs.Catalog(url=name, page_size=4))


def failing(server, answer, *, times, on=2):
    """Answer the request number `on` wrongly, so many times in a row."""
    serve = server.answer
    left = [times]

    def flaky(asked):
        if len(server.asked) >= on and left[0]:
            left[0] -= 1
            return answer
        return serve(asked)

    server.answer = flaky


PASSING = [
    Answer({}, status=429, headers={"Retry-After": "0"}),
    Answer({}, status=503),
    Answer({}, status=500),
    Answer({"message": "Forbidden"}, status=403),
    Answer(fault="reset"),
    Answer({"features": ITEMS}, fault="truncate"),
    Answer({"features": ITEMS}, fault="stall"),
    Answer({"features": ITEMS}, fault="trickle"),
    Answer(raw=b'{"type": "FeatureCollection", "features": [{"type": "Fea'),
    Answer(raw=b"<html>maintenance</html>", headers={"Content-Type": "text/html"}),
    Answer({"code": 429, "description": "too many requests"}),
]


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize(
    "answer", PASSING, ids=lambda answer: f"{answer.status}-{answer.fault}"
)
@pytest.mark.parametrize("on", [1, 2, 3])
def test_what_passes_by_itself_changes_nothing(api_of, server, answer, on):
    url = api_of(ITEMS)
    failing(server, answer, times=2, on=on)
    assert ids(find(url)) == [item["id"] for item in ITEMS]


LASTING = [
    (Answer({}, status=503), CatalogUnavailableError, "503 Service Unavailable.*6 attempts"),
    (
        Answer({}, status=403),
        CatalogUnavailableError,
        "403 Forbidden.*throttles, or wants a login",
    ),
    (Answer(fault="reset"), CatalogUnavailableError, "did not answer"),
    (Answer({"a": "b" * 99}, fault="truncate"), CatalogUnavailableError, "IncompleteRead"),
    (Answer({"a": "b" * 99}, fault="stall"), CatalogUnavailableError, "silent for too long"),
    (
        Answer(raw=b"<html>Sign in</html>", headers={"Content-Type": "text/html"}),
        SearchError,
        "no JSON but '<html>Sign in</html>' .text/html.*check the URL",
    ),
    (Answer([1]), SearchError, "expected a JSON object"),
    (Answer({}, status=404), SearchError, "404 Not Found.*check the URL"),
    (Answer({}, status=400), SearchError, "400 Bad Request"),
    (Answer({"type": "FeatureCollection"}), SearchError, "no list of features"),
    (Answer(raw=b"[" * 100_000), SearchError, "no JSON"),
    (Answer({"features": [1]}), SearchError, "no list of features"),
]


@pytest.mark.parametrize(("answer", "kind", "message"), LASTING)
def test_what_lasts_ends_in_an_error_that_names_it(api_of, server, answer, kind, message):
    url = api_of(ITEMS)
    failing(server, answer, times=1000)
    began = time.monotonic()
    with pytest.raises(kind, match=message) as caught:
        find(url)
    assert type(caught.value) is kind
    assert url in str(caught.value)
    assert time.monotonic() - began < 8


def test_retry_after_is_honoured(api_of, server):
    url = api_of(ITEMS)
    failing(server, Answer({}, status=429, headers={"Retry-After": "1"}), times=1)
    began = time.monotonic()
    assert len(find(url)) == len(ITEMS)
    assert time.monotonic() - began >= 1


def test_a_retry_after_beyond_all_limits_is_told_at_once(api_of, server):
    url = api_of(ITEMS)
    failing(server, Answer({}, status=429, headers={"Retry-After": "7200"}), times=1)
    began = time.monotonic()
    with pytest.raises(CatalogUnavailableError, match="asks to wait 7200 s"):
        find(url)
    assert time.monotonic() - began < 1


def test_a_document_without_end_is_cut_off(api_of, server):
    url = api_of(ITEMS)
    with pytest.raises(SearchError, match="larger than 1000 bytes"):
        find(url, replace(QUICK, document_bytes=1000))


def test_the_whole_search_has_an_end(api_of, server):
    url = api_of(ITEMS)
    failing(server, Answer({}, status=503), times=10**6)
    began = time.monotonic()
    retry = RetryPolicy(first_wait_s=0.05, attempts=10**6)
    with pytest.raises(CatalogUnavailableError):
        find(url, replace(QUICK, search_s=0.5, retry=retry))
    assert time.monotonic() - began < 2


def test_requests_keep_the_rate_limit():
    limit = RateLimit(50)
    began = time.monotonic()
    for _ in range(6):
        limit.wait()
    assert time.monotonic() - began >= 5 / 50


# -- paging that never ends --------------------------------------------------------------------


@pytest.mark.parametrize("token", ["same", "counting"])
def test_endless_pages_are_an_error(server, api_of, token):
    url = api_of(ITEMS[:2])
    landing = server.answer.landing()

    def endless(asked):
        if asked.method == "GET":
            return Answer(landing)
        body = {**asked.body, "token": "x" if token == "same" else len(server.asked)}
        link = {"rel": "next", "method": "POST", "href": f"{url}/search", "body": body}
        return Answer({"type": "FeatureCollection", "features": ITEMS[:2], "links": [link]})

    server.answer = endless
    with pytest.raises(SearchError, match="never end"):
        find(url)
    assert len(server.asked) < 12


def test_an_empty_page_with_a_next_link_is_not_the_end(server, api_of):
    url = api_of(ITEMS)
    serve = server.answer

    def gap(asked):
        if asked.method == "POST" and "token" not in asked.body:
            link = {"rel": "next", "method": "POST", "href": f"{url}/search"}
            link["body"] = {**asked.body, "token": "0"}
            return Answer({"type": "FeatureCollection", "features": [], "links": [link]})
        return serve(asked)

    server.answer = gap
    assert len(find(url)) == len(ITEMS)


# -- trust -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    ["file:///etc/passwd", "http://169.254.169.254/latest", "http://127.0.0.1:1/search"],
)
def test_a_next_link_cannot_leave_to_this_machine_or_its_neighbours(server, api_of, target):
    url = api_of(ITEMS)
    landing = server.answer.landing()
    link = {"rel": "next", "href": target}
    page = {"type": "FeatureCollection", "features": ITEMS[:1], "links": [link]}
    server.answer = lambda asked: Answer(landing if asked.method == "GET" else page)
    with pytest.raises(SearchError, match="refused") as caught:
        find(url)
    assert target in str(caught.value)


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "http://10.0.0.1/", "http://[::1]:1/"]
)
def test_a_redirect_cannot_either(server, target):
    server.answer = lambda _: Answer(status=302, raw=b"", headers={"Location": target})
    with pytest.raises(SearchError, match="refused"):
        find(server.url)


def test_a_redirect_keeps_the_search(server, api_of):
    url = api_of(ITEMS)
    serve = server.answer

    def moved(asked):
        if asked.path.startswith("/old"):
            new = server.url + asked.path.replace("/old", "/v1")
            return Answer(status=301, raw=b"", headers={"Location": new})
        answer = serve(asked)
        text = json.dumps(answer.document).replace("/v1/search", "/old/search")
        return Answer(json.loads(text))

    server.answer = moved
    assert ids(find(url.replace("/v1", "/old"))) == [item["id"] for item in ITEMS]
    assert {asked.method for asked in server.asked if asked.path == "/v1/search"} == {"POST"}


def test_redirects_in_circles_end(server):
    server.answer = lambda asked: Answer(
        status=302, raw=b"", headers={"Location": f"{server.url}/{len(server.asked)}"}
    )
    with pytest.raises(SearchError, match="more than 5 redirects"):
        find(server.url)


@pytest.mark.parametrize("own", ["/etc/items/one.json", "file:///etc/one.json", "one.json"])
def test_an_item_from_elsewhere_cannot_pass_for_a_local_one(api_of, own):
    document = make_item("liar", href="/etc/passwd").to_dict()
    document["links"] = [{"rel": "self", "href": own}]
    url = api_of([document])
    with pytest.raises(SearchError, match="1 of 1 items were dropped.*refused|refused"):
        find(url)


def test_hosts_of_the_job_may_be_private(api_of):
    private = make_item("private", href="http://10.1.2.3/one.tif").to_dict()
    url = api_of([*ITEMS, private])
    found = find(url)
    assert {dropped.item_id for dropped in found.dropped} == {"private"}
    trusted = find(url, cube=CubeSettings(hosts=("10.1.2.3",)))
    assert "private" in ids(trusted)


def test_only_the_assets_that_are_read_matter(api_of):
    item = make_item("one", href="https://example.com/one.tif")
    item.assets["thumbnail"] = item.assets["blue"].clone()
    item.assets["thumbnail"].href = "file:///etc/passwd"
    assert ids(find(api_of([item.to_dict()]))) == ["one"]


def test_an_item_that_cannot_be_read_costs_itself_alone(api_of):
    broken = {"type": "Feature", "id": "broken", "stac_version": "1.0.0", "assets": 7}
    found = find(api_of([*ITEMS, broken]))
    assert len(found) == len(ITEMS)
    (dropped,) = found.dropped
    assert dropped.item_id == "broken"
    assert "no valid STAC item" in dropped.reason
