"""Ask a STAC API, page by page, until it has no more."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urljoin

import pystac
from pystac_client.item_search import ItemSearch
from shapely.geometry import mapping

from pipeline.catalogs import Catalog
from pipeline.errors import SearchError
from pipeline.search.web import CatalogIO, PageTooLargeError
from pipeline.shown import excerpt
from pipeline.types import Job, Source
from pipeline.types.lonlat import tidy
from pipeline.wording import counted

_MAX_PAGES = 20_000
_MAX_STALE = 5
"""Pages in a row without a new item, after which the paging counts as endless."""

_COMMON = frozenset({"eq", "neq", "lt", "lte", "gt", "gte"})
"""Operators of a query that are sent. stac-fastapi 7 answers 400 to all others."""

_SORTED = [
    {"field": "properties.datetime", "direction": "asc"},
    {"field": "id", "direction": "asc"},
]


def search_link(landing: dict[str, Any], url: str) -> tuple[str, str] | None:
    """Return URL and method of an API's item search; None if it is no API or has no search.

    Parameters
    ----------
    landing
        Its landing page.
    url
        Where that lies.
    """
    links = [
        link
        for link in _list(landing.get("links"))
        if isinstance(link, dict) and link.get("rel") == "search" and link.get("href")
    ]
    if not links or ("conformsTo" in landing and not conforms(landing, "/item-search")):
        return None
    # An API has one link for each method; one that names none may know both, as in STAC API 1.0.0-beta.
    methods = {str(link.get("method", "POST")).upper(): link for link in reversed(links)}
    method = "POST" if "POST" in methods else "GET"
    link = methods.get(method, links[0])
    return urljoin(url.rstrip("/") + "/", str(link["href"])), method


def conforms(landing: dict[str, Any], ending: str) -> bool:
    """Whether an API conforms to a class, in any version."""
    classes = landing.get("conformsTo")
    return isinstance(classes, list) and any(
        str(each).rstrip("/").endswith(ending) for each in classes
    )


def items_of_api(
    job: Job, source: Source, catalog: Catalog, landing: dict[str, Any], io: CatalogIO
) -> Iterator[dict[str, Any]]:
    """Yield the items that an API returns, each once.

    An API without the extension is not sent query, filter or sort order: the caller tests every item.

    Raises
    ------
    CatalogUnavailableError
        It does not answer, even for pages of one item.
    SearchError
        Its pages never end, or are no pages of items.
    """
    found = search_link(landing, catalog.url)
    assert found is not None
    url, method = found
    parameters = _parameters(job, source, catalog, landing)
    seen: set[tuple[str, str]] = set()
    limit = catalog.page_size
    while True:
        io.splittable = limit > 1
        search = ItemSearch(url, method=method, stac_io=io, limit=limit, **parameters)
        try:
            for feature in _features(search, io):
                key = (str(feature.get("collection")), str(feature.get("id")))
                if key not in seen:
                    seen.add(key)
                    yield feature
        except PageTooLargeError:
            # From the start: a token of large pages need not be one of small pages.
            limit = max(1, limit // 2)
        else:
            return
        finally:
            io.splittable = False


def count_of(
    job: Job,
    source: Source,
    catalog: Catalog,
    landing: dict[str, Any],
    io: CatalogIO,
    **asked_for: bool,
) -> int | None:
    """Return how many items match with one condition left out; None: there are some, but the API gives no number.

    Parameters
    ----------
    job, source, catalog, landing, io
        As of `items_of_api`.
    asked_for
        ``area``, ``dates`` or ``conditions`` (query and filter): false leaves that condition out.
    """
    found = search_link(landing, catalog.url)
    assert found is not None
    url, method = found
    parameters = _parameters(job, source, catalog, landing)
    parts = {
        "area": ("intersects",),
        "dates": ("datetime",),
        "conditions": ("query", "filter", "filter_lang"),
    }
    for name, keys in parts.items():
        if not asked_for.get(name, True):
            parameters = {key: each for key, each in parameters.items() if key not in keys}
    search = ItemSearch(url, method=method, stac_io=io, limit=1, **parameters)
    page = io.read_json(url, method=method, parameters=search.get_parameters())
    matched = page.get("numberMatched", (page.get("context") or {}).get("matched"))
    if isinstance(matched, int):
        return matched
    return None if _checked(page, io) else 0


def _parameters(
    job: Job, source: Source, catalog: Catalog, landing: dict[str, Any]
) -> dict[str, Any]:
    conditions: dict[str, Any] = {
        "collections": list(source.collections or catalog.collections) or None,
        "intersects": mapping(tidy(job.aoi)),
        "datetime": [job.period.start, job.period.end],
    }
    # Not both: stac-fastapi refuses a query beside a filter. The caller tests what is not sent.
    if source.filter and _takes_cql2_json(landing):
        conditions |= {"filter": dict(source.filter), "filter_lang": "cql2-json"}
    elif conforms(landing, "item-search#query"):
        conditions["query"] = _common(source.query) or None
    if conforms(landing, "item-search#sort"):
        conditions["sortby"] = _SORTED
    return conditions


def _common(query: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the part of a query that any API with the extension understands."""
    parts = {
        name: {symbol: operand for symbol, operand in tests.items() if symbol in _COMMON}
        for name, tests in query.items()
    }
    return {name: tests for name, tests in parts.items() if tests}


def _takes_cql2_json(landing: dict[str, Any]) -> bool:
    has_filter = conforms(landing, "item-search#filter") or conforms(
        landing, "/conf/features-filter"
    )
    return has_filter and conforms(landing, "cql2-json")


def _features(search: ItemSearch, io: CatalogIO) -> Iterator[dict[str, Any]]:
    """Yield the features of all pages; refuse paging that goes in circles."""
    parameters = search.get_parameters()
    page = io.read_json(search.url, method=search.method, parameters=parameters)
    before: set[str] = set()
    known: set[str] = set()
    stale = 0
    for _ in range(_MAX_PAGES):
        features = _checked(page, io)
        yield from features
        link = _next_link(page)
        if link is None:
            return
        ids = {f"{each.get('collection')}/{each.get('id')}" for each in features}
        stale = 0 if ids - known else stale + 1
        known |= ids
        request = json.dumps(
            [link.get(part) for part in ("href", "method", "body")], sort_keys=True
        )
        if request in before or stale > _MAX_STALE:
            raise _endless(io, f"its next link repeats after {counted(len(known), 'item')}")
        before.add(request)
        if link["href"] != search.url:
            link["href"] = urljoin(search.url, link["href"])
        page = io.read_json(pystac.Link.from_dict(link), parameters=parameters)
    raise _endless(io, f"there is a next page after {_MAX_PAGES}")


def _endless(io: CatalogIO, what: str) -> SearchError:
    return SearchError(
        f"the pages of catalogue {io.name} never end: {what}; ask for a shorter period, or point the "
        "job at a saved item collection"
    )


def _checked(page: dict[str, Any], io: CatalogIO) -> list[dict[str, Any]]:
    features = page.get("features")
    if not isinstance(features, list) or not all(isinstance(each, dict) for each in features):
        raise io.unreadable(
            f"a page has no list of features but begins {excerpt(json.dumps(page))}"
        )
    return features


def _next_link(page: dict[str, Any]) -> dict[str, Any] | None:
    for link in _list(page.get("links")):
        if (
            isinstance(link, dict)
            and link.get("rel") == "next"
            and isinstance(link.get("href"), str)
        ):
            return dict(link)
    return None


def _list(value: Any) -> list[Any]:  # noqa: ANN401 -- it comes from outside
    return value if isinstance(value, list) else []
