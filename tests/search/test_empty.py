"""Nothing found, nothing reached: the message says why, in time."""

import socket
import time
from datetime import UTC, datetime

import pytest

from pipeline import catalogs
from pipeline.access import RetryPolicy
from pipeline.errors import CatalogUnavailableError, EmptySearchError
from pipeline.search import RequestLimits, reaching, search
from pipeline.testing import make_job
from pipeline.types import Period, Source
from tests.search.serving import CORE, QUICK, SEARCH, Answer, Api
from tests.search.test_search import make_item, write_collection


def why(catalog, **parts):
    source = {
        name: parts.pop(name) for name in ("collections", "query", "filter") if name in parts
    }
    with pytest.raises(EmptySearchError) as caught:
        search(make_job(sources=(Source(catalog=catalog, **source),), **parts), QUICK)
    return str(caught.value)


ELSEWHERE = (20.0, 10.0, 20.2, 10.2)


@pytest.mark.parametrize(
    ("items", "source", "words"),
    [
        (
            [make_item("a", bounds=ELSEWHERE), make_item("b", bounds=ELSEWHERE, day=7)],
            {},
            "has 2 items of sentinel-2-l2a, of 2023-06-05 to 2023-06-07, at (20.0000, 10.0000, 20.2000, "
            "10.2000): 0 of them in the AOI, 2 in the dates, 0 in both; the AOI excludes them all",
        ),
        (
            [make_item("a")],
            {"collections": ("landsat-c2-l2",)},
            "has 1 item of sentinel-2-l2a, none of landsat-c2-l2: the collections exclude them all",
        ),
        (
            [make_item("a")],
            {"query": {"eo:cloud_cover": {"lt": 1}}},
            "1 of them in the AOI, 1 in the dates, 1 in both; the query excludes them all",
        ),
        ([], {}, "holds no item at all"),
    ],
)
def test_what_was_walked_is_counted(tmp_path, items, source, words):
    assert words in why(write_collection(tmp_path, *items), **source)


def test_dates_that_exclude_all_are_told_with_those_that_there_are(tmp_path):
    catalog = write_collection(
        tmp_path, make_item("a"), make_item("b", bounds=ELSEWHERE, day=9)
    )
    period = Period(
        start=datetime(2019, 1, 1, tzinfo=UTC), end=datetime(2019, 2, 1, tzinfo=UTC)
    )
    words = "; the dates exclude them all: those in the AOI are of 2023-06-05 to 2023-06-05"
    assert words in why(catalog, period=period)


class Exacting(Api):
    """Has items, but not where area and dates are asked for together."""

    def __call__(self, asked):
        if "/collections/" in asked.path:
            name = asked.path.rsplit("/", 1)[1]
            if name != "sentinel-2-l2a":
                return Answer({"code": "NotFound"}, status=404)
            extent = {
                "spatial": {"bbox": [[-180, -56, 180, 83]]},
                "temporal": {"interval": [["2015-06-27T10:25:31Z", None]]},
            }
            return Answer({"id": name, "type": "Collection", "extent": extent, "links": []})
        return super().__call__(asked)

    def page(self, body):
        found = [] if self.excludes(body) else self.items
        page = {
            "type": "FeatureCollection",
            "features": found[: int(body["limit"])],
            "links": [],
        }
        return Answer(page | {"numberMatched": len(found)})

    def excludes(self, body):
        return "datetime" in body and "2023" in str(body["datetime"])


def test_an_api_is_asked_what_it_has(api_of, server):
    url = api_of([make_item(f"i{n}").to_dict() for n in range(312)], kind=Exacting)
    said = why(url, collections=("sentinel-2-l2a", "sentinel-2-l3x"))
    assert (
        "sentinel-2-l2a of 2015-06-27 to now at (-180.0000, -56.0000, 180.0000, 83.0000)"
        in said
    )
    assert "no collection sentinel-2-l3x" in said
    assert (
        "312 in the AOI at any time, none in the dates anywhere; the dates exclude them all"
        in said
    )
    assert len(server.asked) < 10


class Filtering(Exacting):
    def excludes(self, body):
        return "query" in body


def test_a_query_that_excludes_all_is_told(api_of):
    conforms = (CORE, SEARCH, f"{SEARCH}#query")
    url = api_of([make_item("i").to_dict()], kind=Filtering, conforms=conforms)
    said = why(url, collections=("sentinel-2-l2a",), query={"eo:cloud_cover": {"lt": 1}})
    assert "1 without the query" in said
    assert said.endswith("; the query excludes them all")


# -- no network ----------------------------------------------------------------------------------

OURS = RequestLimits(retry=RetryPolicy(first_wait_s=0.2))


def unreached(url, limits=OURS):
    began, said = time.monotonic(), []
    with pytest.raises(CatalogUnavailableError) as caught:
        search(make_job(sources=(Source(catalog=url),)), limits, said.append)
    assert time.monotonic() - began < 10
    text = str(caught.value)
    assert "\n" not in text
    assert text.count("(") == text.count(")")
    assert "is this machine online?" in text
    return text, said


def test_a_name_that_is_not_resolved(monkeypatch):
    def unresolved(*_, **__):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unresolved)
    text, said = unreached(
        "earth-search", RequestLimits(retry=RetryPolicy(first_wait_s=0.1), reach_s=0.5)
    )
    where = catalogs.CATALOGS["earth-search"].url
    assert text.startswith(f"cannot reach earth-search ({where}): name not resolved")
    assert said[0] == f"asking earth-search ({where})"
    assert "trying again" in said[1]


def test_a_resolver_that_never_answers(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(30))
    text, _ = unreached("https://nowhere.example.com/v1", RequestLimits(reach_s=0.4))
    assert "name not resolved in 0 s" in text


def test_a_port_where_nobody_listens():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    limits = RequestLimits(retry=RetryPolicy(first_wait_s=0.05), reach_s=0.6)
    text, _ = unreached(f"http://127.0.0.1:{port}", limits)
    assert "connection refused" in text


def test_a_catalogue_that_was_reached_once_is_waited_for_as_ever(api_of, server):
    """Only the first connection is impatient: a server that starts anew amid a search comes back."""
    url = api_of([make_item("i", href="https://example.com/b.tif").to_dict()])
    serve, failed = server.answer, []

    def flaky(asked):
        if asked.path.endswith("/search") and len(failed) < 3:
            failed.append(asked)
            return Answer(fault="reset")
        return serve(asked)

    server.answer = flaky
    limits = RequestLimits(retry=RetryPolicy(first_wait_s=0.3, total_s=20), reach_s=0.1)
    assert len(search(make_job(sources=(Source(catalog=url),)), limits)) == 1


def test_the_whole_wait_for_a_network_is_under_ten_seconds():
    assert RequestLimits().reach_s < 9
    assert reaching.UNRESOLVED
