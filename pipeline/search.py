"""Job -> Items: ask the catalogues, keep what covers the AOI, the newest processing of each.

The only user of pystac_client. A catalogue is a STAC API, a static catalogue (by URL or path), or
an item collection on disk; the answer can be saved as an item collection that a later run is
pointed at instead.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC
from pathlib import Path
from typing import Any

import pystac
import requests
from pystac.stac_io import StacIO
from pystac_client import Client
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO
from shapely.geometry import mapping
from shapely.geometry.base import BaseGeometry
from urllib3.util import Retry

from pipeline import catalogs, sensors
from pipeline.errors import (
    CatalogUnavailableError,
    ConfigError,
    EmptySearchError,
    RadiometryError,
    SearchError,
)
from pipeline.types import Dropped, Items, Job, Source, footprint

REMOTE_SCHEMES = ("https", "http", "s3", "gs", "abfs", "az")
"""What the assets of a remote catalogue may point at: never a file of this machine."""

NOT_STAC = (pystac.STACError, pystac.STACTypeError, KeyError)
"""What pystac raises on a document that is not what it says."""


def search(job: Job) -> Items:
    """Find the items of a job.

    Returns
    -------
    Items inside the job's period that intersect its AOI, of collections that
    `pipeline.sensors` knows, the newest processing of each acquisition, sorted by (datetime, id);
    and what was left out, with the reason.

    Raises
    ------
    CatalogUnavailableError
        A catalogue did not answer.
    SearchError
        A catalogue cannot be read.
    EmptySearchError
        Nothing was found.
    """
    found: dict[tuple[str, str], pystac.Item] = {}
    for source in job.sources:
        for item in _candidates(job, source):
            found.setdefault((item.collection_id or "", item.id), item)
    wanted, unsuited = _suited(job, found.values())
    newest, replaced = keep_newest(wanted)
    if not newest:
        raise EmptySearchError(_nothing_found(job, len(found), unsuited))
    return Items(items=newest, dropped=(*unsuited, *replaced))


def keep_newest(
    items: list[pystac.Item],
) -> tuple[tuple[pystac.Item, ...], tuple[Dropped, ...]]:
    """Keep the newest processing of each acquisition, sorted by (datetime, id)."""
    newest: dict[tuple[str, ...], pystac.Item] = {}
    for item in items:
        key = sensors.acquisition_key(item)
        best = newest.get(key)
        if best is None or sensors.processing_rank(item) > sensors.processing_rank(best):
            newest[key] = item
    kept = sorted(newest.values(), key=lambda item: (_instant(item), item.id))
    dropped = tuple(
        Dropped(item_id=item.id, reason=f"replaced by newer processing {best.id}")
        for item in items
        if (best := newest[sensors.acquisition_key(item)]) is not item
    )
    return tuple(kept), dropped


def save_items(items: Items, path: Path) -> None:
    """Write an item collection that a later job can name as its catalogue."""
    collection = pystac.ItemCollection(items.items, clone_items=False)
    path.write_text(json.dumps(collection.to_dict()), encoding="utf-8")


# -- asking ------------------------------------------------------------------------------------


def _candidates(job: Job, source: Source) -> Iterator[pystac.Item]:
    catalog = catalogs.find(source.catalog)
    if _is_remote(catalog.url):
        yield from _from_url(job, source, catalog)
    else:
        yield from _filter(job, source, _from_path(Path(catalog.url)))


def _is_remote(location: str) -> bool:
    return location.split("://", 1)[0] in ("http", "https") and "://" in location


def _from_url(job: Job, source: Source, catalog: catalogs.Catalog) -> Iterator[pystac.Item]:
    retry = Retry(
        total=5,
        backoff_factor=1.0,
        backoff_jitter=1.0,
        status_forcelist=[429, 502, 503, 504],
        allowed_methods=None,
    )
    io = StacApiIO(max_retries=retry, timeout=60)
    try:
        client = Client.open(catalog.url, stac_io=io)
        if client.conforms_to("ITEM_SEARCH"):
            pages = client.search(
                collections=list(source.collections or catalog.collections) or None,
                intersects=mapping(job.aoi),
                datetime=[job.period.start, job.period.end],
                query=dict(source.query) or None,
                limit=catalog.page_size,
            )
            for document in pages.items_as_dicts():
                yield _absolute(pystac.Item.from_dict(document, migrate=False), catalog.url)
        else:
            yield from _filter(job, source, client.get_items(recursive=True))
    except (APIError, requests.RequestException) as error:
        raise CatalogUnavailableError(
            f"catalogue {source.catalog} did not answer: {error}; try again later, or point the job "
            "at a saved item collection"
        ) from error
    except (*NOT_STAC, ValueError) as error:
        raise SearchError(
            f"catalogue {source.catalog} is no STAC catalogue that can be read: {error}"
        ) from error


def _from_path(path: Path) -> Iterator[pystac.Item]:
    if path.is_dir():
        path /= "catalog.json"
    if not path.is_file():
        raise SearchError(
            f"catalogue {path} does not exist; expected the name of a known catalogue "
            f"({', '.join(catalogs.CATALOGS)}), a URL, or a STAC JSON file"
        )
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        kind = document.get("type") if isinstance(document, dict) else None
        if kind == "FeatureCollection":
            yield from _from_collection(document, path)
        elif kind == "Feature":
            yield _absolute(pystac.Item.from_dict(document, migrate=False), str(path.resolve()))
        elif kind in ("Catalog", "Collection"):
            root = pystac.read_file(str(path), stac_io=StacIO.default())
            assert isinstance(root, pystac.Catalog)
            yield from (
                _absolute(item, str(path.resolve())) for item in root.get_items(recursive=True)
            )
        else:
            raise SearchError(
                f"catalogue {path} is of type {kind!r}; expected Catalog, Collection, Feature or "
                "FeatureCollection"
            )
    except (json.JSONDecodeError, UnicodeDecodeError, OSError) as error:
        raise SearchError(f"catalogue {path} cannot be read as JSON: {error}") from error
    except NOT_STAC as error:
        raise SearchError(f"catalogue {path} is not valid STAC: {error}") from error


def _from_collection(document: dict[str, Any], path: Path) -> Iterator[pystac.Item]:
    for feature in document.get("features", []):
        yield _absolute(pystac.Item.from_dict(feature, migrate=False), str(path.resolve()))


def _absolute(item: pystac.Item, path: str) -> pystac.Item:
    """Make asset hrefs absolute; without a self link they are meant beside what they came in."""
    if item.get_self_href() is None:
        item.set_self_href(path)
    if item.datetime is not None and item.datetime.tzinfo is None:
        # STAC 0.7 of LandsatLook: UTC, unsaid.
        item.datetime = item.datetime.replace(tzinfo=UTC)
    item.make_asset_hrefs_absolute()
    return item


# -- filtering ---------------------------------------------------------------------------------


def _filter(job: Job, source: Source, items: Iterator[pystac.Item]) -> Iterator[pystac.Item]:
    """Do in process what a STAC API does: collections, dates, extent, query."""
    for item in items:
        if source.collections and item.collection_id not in source.collections:
            continue
        if not matches_query(source.query, item.properties):
            continue
        if (item.datetime is None or item.datetime in job.period) and _touches(job.aoi, item):
            yield item


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "neq": operator.ne,
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
    "in": lambda value, allowed: value in allowed,
    "startsWith": lambda value, start: str(value).startswith(start),
    "endsWith": lambda value, end: str(value).endswith(end),
    "contains": lambda value, part: part in str(value),
}
"""Operators of the STAC API query extension."""


def matches_query(query: Mapping[str, Any], properties: Mapping[str, Any]) -> bool:
    """Apply a STAC API query to an item's properties, for catalogues that are mere files.

    Raises
    ------
    ConfigError
        The query has an operator that the extension does not know.
    """
    for name, tests in query.items():
        if not isinstance(tests, Mapping):
            raise ConfigError(
                f"sources.query.{name}: {tests!r} found, expected a mapping of operators, "
                f"e.g. {{lt: 80}}"
            )
        for symbol, operand in tests.items():
            test = _OPERATORS.get(symbol)
            if test is None:
                raise ConfigError(
                    f"sources.query.{name}: operator {symbol!r} is not known; "
                    f"known are {', '.join(_OPERATORS)}"
                )
            if properties.get(name) is None or not test(properties[name], operand):
                return False
    return True


def _touches(aoi: BaseGeometry, item: pystac.Item) -> bool:
    outline = footprint(item)
    return outline is None or bool(aoi.intersects(outline))


def _instant(item: pystac.Item) -> str:
    assert item.datetime is not None
    return item.datetime.isoformat()


def _suited(
    job: Job, items: Iterable[pystac.Item]
) -> tuple[list[pystac.Item], tuple[Dropped, ...]]:
    """Split into items that can be used and those that cannot, with the reason."""
    wanted: list[pystac.Item] = []
    dropped: list[Dropped] = []
    for item in items:
        reason = _unsuited(job, item)
        if reason is None:
            wanted.append(item)
        elif reason:
            dropped.append(Dropped(item_id=item.id, reason=reason))
    return wanted, tuple(dropped)


def _unsuited(job: Job, item: pystac.Item) -> str | None:
    """Say why an item cannot be used; none: it can; empty: it does not belong to the job at all."""
    if item.datetime is None:
        return "it has no datetime, only a range"
    outline = footprint(item)
    if outline is None:
        return "it has neither a geometry nor a bbox that says where it is"
    # A STAC interval is closed and catalogues compare bounding boxes: ours is half-open and exact.
    if item.datetime not in job.period or not job.aoi.intersects(outline):
        return ""
    try:
        sensors.radiometry(item)
    except RadiometryError as error:
        return str(error)
    return _forbidden_href(item)


def _forbidden_href(item: pystac.Item) -> str | None:
    """Refuse assets on this machine when the item itself came from elsewhere."""
    origin = item.get_self_href() or ""
    if not _is_remote(origin):
        return None
    for key, asset in item.assets.items():
        href = asset.get_absolute_href() or asset.href
        scheme = href.split("://", 1)[0] if "://" in href else "file"
        if scheme not in REMOTE_SCHEMES:
            return f"asset {key!r} of a remote item points at {scheme}: only {', '.join(REMOTE_SCHEMES)} are read"
    return None


def _nothing_found(job: Job, candidates: int, unsuited: tuple[Dropped, ...]) -> str:
    where = ", ".join(source.catalog for source in job.sources)
    bounds = ", ".join(f"{edge:.4f}" for edge in job.aoi.bounds)
    message = (
        f"no usable item in {where} covers the AOI ({bounds}) within {job.period}; "
        "check the dates, the order longitude latitude, the collections and the query"
    )
    if unsuited:
        reasons = "; ".join(sorted({dropped.reason for dropped in unsuited})[:3])
        message += f". {len(unsuited)} of {candidates} items were dropped: {reasons}"
    return message
