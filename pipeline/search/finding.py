"""The search itself: ask every source, keep what belongs and can be used, say why of the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pystac
import shapely
from pystac.utils import make_absolute_href
from shapely.geometry.base import BaseGeometry

from pipeline import access, catalogs, sensors
from pipeline.errors import EmptySearchError, RadiometryError, SearchError
from pipeline.search.api import items_of_api, search_link
from pipeline.search.files import read_document
from pipeline.search.matching import matcher
from pipeline.search.patience import Patience
from pipeline.search.walk import walk
from pipeline.search.web import CatalogIO
from pipeline.types import Dropped, Items, Job, Source, footprint

NOT_STAC = (
    pystac.STACError,
    pystac.STACTypeError,
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    RecursionError,
)
"""What pystac raises on a document that is not what it says."""


def search(job: Job, patience: Patience | None = None) -> Items:
    """Find the items of a job.

    Parameters
    ----------
    job
        What to look for, and where.
    patience
        How long catalogues on the web are waited for; none: the defaults.

    Returns
    -------
    Items inside the job's period that intersect its AOI, match the query and the filter, of
    collections that `pipeline.sensors` knows, the newest processing of each acquisition, sorted by
    (datetime, id); and what was left out, with the reason.

    Raises
    ------
    ConfigError
        The query or the filter of a source is none.
    CatalogUnavailableError
        A catalogue did not answer.
    SearchError
        A catalogue cannot be read, never ends, or leads where it may not.
    EmptySearchError
        Nothing was found.
    """
    tests = [matcher(source) for source in job.sources]
    found: dict[tuple[str, str], pystac.Item] = {}
    broken: list[Dropped] = []
    for source, matches in zip(job.sources, tests, strict=True):
        for item in _candidates(job, source, patience or Patience()):
            if isinstance(item, Dropped):
                broken.append(item)
            elif matches(item):
                found.setdefault((item.collection_id or "", item.id), item)
    wanted, unsuited = _suited(job, found.values())
    newest, replaced = keep_newest(wanted)
    reasons = (Dropped(item_id=item.id, reason=reason) for item, reason in unsuited)
    dropped = (*broken, *reasons, *replaced)
    if not newest:
        raise EmptySearchError(_nothing_found(job, len(found) + len(broken), dropped))
    missed = _missed((item for item, _ in unsuited), newest)
    return Items(items=newest, dropped=dropped, missed=missed)


def _missed(
    unsuited: Iterable[pystac.Item], newest: Iterable[pystac.Item]
) -> tuple[pystac.Item, ...]:
    """Return the items of known collections that cannot be used and that nothing replaces."""
    replaced_by = {sensors.acquisition_key(item) for item in newest}
    return tuple(
        item
        for item in unsuited
        if item.datetime is not None
        and sensors.is_known(item)
        and sensors.acquisition_key(item) not in replaced_by
    )


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
    kept = sorted(newest.values(), key=_order)
    dropped = [
        Dropped(item_id=item.id, reason=f"replaced by newer processing {best.id}")
        for item in items
        if (best := newest[sensors.acquisition_key(item)]) is not item
    ]
    return tuple(kept), tuple(dropped)


def _order(item: pystac.Item) -> tuple[datetime, str, str]:
    assert item.datetime is not None
    return item.datetime, item.id, item.collection_id or ""


# -- asking ------------------------------------------------------------------------------------


def _candidates(
    job: Job, source: Source, patience: Patience
) -> Iterator[pystac.Item | Dropped]:
    """Yield what a source has; an item that cannot be read costs itself, not the search."""
    catalog = catalogs.find(source.catalog)
    io = CatalogIO(source.catalog, catalog, patience=patience, hosts=job.cube.hosts)
    with io.session:
        for document, location in _documents(job, source, catalog, io):
            try:
                yield _item(document, location)
            except NOT_STAC as error:
                reason = f"{type(error).__name__} {str(error)[:200]}"
                name = _id(document)
                if name is None:
                    raise SearchError(
                        f"catalogue {source.catalog} is not valid STAC: what {location[:200]} holds is no "
                        f"item with an id: {reason}; expected a Feature as the STAC item specification says"
                    ) from error
                yield Dropped(item_id=name, reason=f"it is no valid STAC item: {reason}")


def _id(document: object) -> str | None:
    """Return the id of what may be an item, or may be anything."""
    name = document.get("id") if isinstance(document, dict) else None
    return name if isinstance(name, str) else None


def _documents(
    job: Job, source: Source, catalog: catalogs.Catalog, io: CatalogIO
) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield item documents and where each came from."""
    if access.is_remote(catalog.url):
        location, document = catalog.url, io.read_json(catalog.url)
        if search_link(document, location) is not None:
            for feature in items_of_api(job, source, catalog, document, io):
                yield feature, location
            return
    else:
        path = Path(catalog.url)
        path = path / "catalog.json" if path.is_dir() else path
        location, document = str(path.resolve()), read_document(path)
    kind = document.get("type")
    if kind == "Feature":
        yield document, location
    elif kind == "FeatureCollection":
        for feature in document.get("features") or ():
            yield feature, location
    else:
        yield from walk(document, location, io, job.cube.hosts)


def _item(document: dict[str, Any], location: str) -> pystac.Item:
    """Understand an item; its relative hrefs are meant beside its self link, or what it came in."""
    links = document.get("links") or ()
    # An item from elsewhere cannot pass for one of this machine, whatever it says of itself; and
    # pystac would resolve a relative self link against the working directory.
    kept = [link for link in links if not _misleading(link, location)]
    item = pystac.Item.from_dict(
        {**document, "links": kept}, migrate=False, preserve_dict=False
    )
    if item.get_self_href() is None:
        item.set_self_href(location)
    if item.datetime is not None and item.datetime.tzinfo is None:
        # STAC 0.7 of LandsatLook: UTC, unsaid.
        item.datetime = item.datetime.replace(tzinfo=UTC)
    _make_absolute(item)
    return item


def _make_absolute(item: pystac.Item) -> None:
    """Do what pystac does, but not for URLs: taking those apart costs more than parsing the item."""
    place = item.get_self_href()
    for asset in item.assets.values():
        if "://" not in asset.href:
            asset.href = make_absolute_href(asset.href, place, start_is_dir=False)


def _misleading(link: object, location: str) -> bool:
    """Say whether a link is a self link that cannot be where the item is, or a root link.

    pystac fetches the root whenever an item is written as a dictionary, be it a host that is down.
    """
    if not isinstance(link, dict) or link.get("rel") != "self":
        return isinstance(link, dict) and link.get("rel") == "root"
    href = str(link.get("href"))
    local = not access.is_remote(href)
    return local and (access.is_remote(location) or not Path(href).is_absolute())


# -- sorting out -------------------------------------------------------------------------------


def _suited(
    job: Job, items: Iterable[pystac.Item]
) -> tuple[list[pystac.Item], list[tuple[pystac.Item, str]]]:
    """Split into items that can be used and those that cannot, with the reason."""
    shapely.prepare(job.aoi)
    wanted: list[pystac.Item] = []
    unsuited: list[tuple[pystac.Item, str]] = []
    for item in items:
        where = footprint(item)
        if not _belongs(job, item, where):
            continue
        reason = _unsuited(job, item, where)
        if reason is None:
            wanted.append(item)
        else:
            unsuited.append((item, reason))
    return wanted, unsuited


def _belongs(job: Job, item: pystac.Item, where: BaseGeometry | None) -> bool:
    """Say whether an item lies in the period and the AOI, as far as it tells.

    A STAC interval is closed and catalogues compare bounding boxes: ours is half-open and exact.
    """
    if item.datetime is not None and item.datetime not in job.period:
        return False
    if item.datetime is None and not _overlaps(job, item):
        return False
    return where is None or bool(job.aoi.intersects(where))


def _overlaps(job: Job, item: pystac.Item) -> bool:
    """Say whether the range of an item without an instant overlaps the period."""
    start = _instant(item, "start_datetime") or datetime.min.replace(tzinfo=UTC)
    end = _instant(item, "end_datetime") or datetime.max.replace(tzinfo=UTC)
    return start < job.period.end and end >= job.period.start


def _instant(item: pystac.Item, name: str) -> datetime | None:
    try:
        instant = datetime.fromisoformat(str(item.properties.get(name)))
    except ValueError:
        return None
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)


def _unsuited(job: Job, item: pystac.Item, where: BaseGeometry | None) -> str | None:
    """Say why an item that belongs to the job cannot be used; none: it can."""
    if item.datetime is None:
        return "it has no datetime, only a range"
    if where is None:
        return "it has neither a geometry nor a bbox that says where it is"
    try:
        sensors.radiometry(item)
    except RadiometryError as error:
        return str(error)
    return _forbidden_href(job, item)


def _forbidden_href(job: Job, item: pystac.Item) -> str | None:
    """Refuse an item one of whose bands or masks may not be read; its other assets never are."""
    remote = access.is_remote(item.get_self_href() or "")
    profile = sensors.profile(item)
    for key in dict.fromkeys((*profile.offered(item).values(), *profile.masks(item).values())):
        href = item.assets[key].href
        if (reason := access.refused(href, remote=remote, hosts=job.cube.hosts)) is not None:
            return f"asset {key!r} is refused: {reason}"
    return None


def _nothing_found(job: Job, candidates: int, unsuited: tuple[Dropped, ...]) -> str:
    where = ", ".join(source.catalog for source in job.sources)
    bounds = ", ".join(f"{edge:.4f}" for edge in job.aoi.bounds)
    message = (
        f"no usable item in {where} covers the AOI ({bounds}) within {job.period}; "
        "check the dates, the order longitude latitude, the collections, the query and the filter"
    )
    if unsuited:
        reasons = "; ".join(sorted({dropped.reason for dropped in unsuited})[:3])
        message += f". {len(unsuited)} of {candidates} items were dropped: {reasons}"
    return message
