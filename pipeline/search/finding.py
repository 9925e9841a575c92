"""The search itself: ask every source, take the items that a run can use, give a reason for the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pystac
import shapely

from pipeline import access, catalogs, sensors
from pipeline.errors import EmptySearchError, RadiometryError
from pipeline.search.api import items_of_api, search_link
from pipeline.search.documents import NOT_STAC, Understood, parse_instant, understood
from pipeline.search.empty import SourceAnswer, nothing_found
from pipeline.search.files import read_document
from pipeline.search.limits import RequestLimits
from pipeline.search.matching import matcher
from pipeline.search.walk import walk
from pipeline.search.web import CatalogIO
from pipeline.shown import words_of
from pipeline.types import Dropped, Items, Job, footprint


def search(
    job: Job,
    limits: RequestLimits | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> Items:
    """Find the items of a job.

    Parameters
    ----------
    job
        What to look for, and where.
    limits
        How long to wait for catalogues on the web, and how much to read; none: the defaults.
    report
        Called with a line of text when a catalogue on the web is searched, and at each retry.

    Returns
    -------
    Items inside the job's period that intersect its AOI, match the query and the filter, of
    collections that `pipeline.sensors` knows, the newest processing of each acquisition, sorted by
    (datetime, id); and what was left out, with the reason.

    Raises
    ------
    ConfigError
        The query or the filter of a source is not valid.
    CatalogUnavailableError
        A catalogue did not answer.
    SearchError
        A catalogue cannot be read, never ends, or leads to a location that is refused.
    EmptySearchError
        Nothing was found.
    """
    tests = [matcher(source) for source in job.sources]
    found: dict[tuple[str, str], Understood] = {}
    answer = [SourceAnswer(source, catalogs.find(source.catalog)) for source in job.sources]
    for one, matches in zip(answer, tests, strict=True):
        for each in _candidates(job, one, limits or RequestLimits(), report):
            fits = matches(each.item)
            one.items.append((each.item, fits))
            if fits:
                # A filter may ask for any field; from here on only the known ones are left.
                access.reduce_item(each.item)
                found.setdefault(_key(each, len(found)), each)
    wanted, unusable = _split_usable(job, found.values())
    newest, replaced = keep_newest(wanted)
    _make_ids_unique([*newest, *(item for item, _ in unusable)])
    reasons = (Dropped(item_id=item.id, reason=reason) for item, reason in unusable)
    dropped = (*reasons, *replaced)
    if not newest:
        raise EmptySearchError(nothing_found(job, answer, dropped))
    missed = _missed(job, [item for item, _ in unusable], newest)
    return Items(items=newest, dropped=dropped, missed=missed)


def _key(each: Understood, position: int) -> tuple[str, str]:
    """Return the key that identifies an item across sources; every broken item has its own."""
    item = each.item
    return item.collection_id or "", item.id if each.broken is None else f"{item.id} {position}"


def _make_ids_unique(items: Sequence[pystac.Item]) -> None:
    """Rename items of different collections that share an id to ``COLLECTION/ID``.

    An id is unique within its collection only; masks, composites and the record know an item by its id
    alone.
    """
    count = Counter(item.id for item in items)
    for item in items:
        if count[item.id] > 1:
            item.id = f"{item.collection_id or 'no collection'}/{item.id}"


def _missed(
    job: Job, unusable: Iterable[pystac.Item], newest: Sequence[pystac.Item]
) -> tuple[pystac.Item, ...]:
    """Return the items of known collections that cannot be used and that nothing replaces.

    An item without a time counts as a scene of its own at the start of the period.
    """
    known = [item for item in unusable if sensors.is_known(item)]
    numbers = sensors.acquisitions([*newest, *known])
    replaced_by = set(numbers[: len(newest)])
    missed = []
    for item, number in zip(known, numbers[len(newest) :], strict=True):
        if number in replaced_by:
            continue
        if item.datetime is None:
            start = parse_instant(item.properties.get("start_datetime")) or job.period.start
            item.datetime = max(start, job.period.start)
        missed.append(item)
    return tuple(missed)


def keep_newest(
    items: list[pystac.Item],
) -> tuple[tuple[pystac.Item, ...], tuple[Dropped, ...]]:
    """Keep the newest processing of each acquisition, sorted by (datetime, id)."""
    best = sensors.newest(items)
    latest = sorted(
        (item for item, other in zip(items, best, strict=True) if item is other), key=_order
    )
    dropped = [
        Dropped(item_id=item.id, reason=f"replaced by newer processing {_named(other, item)}")
        for item, other in zip(items, best, strict=True)
        if item is not other
    ]
    return tuple(latest), tuple(dropped)


def _named(best: pystac.Item, item: pystac.Item) -> str:
    return best.id if best.id != item.id else f"of collection {best.collection_id}"


def _order(item: pystac.Item) -> tuple[datetime, str, str]:
    assert item.datetime is not None
    return item.datetime, item.id, item.collection_id or ""


# -- asking ------------------------------------------------------------------------------------


def _candidates(
    job: Job, answer: SourceAnswer, limits: RequestLimits, report: Callable[[str], None]
) -> Iterator[Understood]:
    """Yield the items of a source; one that cannot be read is dropped, and the search goes on."""
    io = CatalogIO(
        answer.source.catalog,
        answer.catalog,
        limits=limits,
        hosts=job.cube.hosts,
        report=report,
    )
    with io.session:
        for document, location in _documents(job, answer, io):
            yield understood(document, location)


def _documents(
    job: Job, answer: SourceAnswer, io: CatalogIO
) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield item documents and where each came from."""
    source, catalog = answer.source, answer.catalog
    if access.is_remote(catalog.url):
        location, document = catalog.url, io.read_json(catalog.url)
        if search_link(document, location) is not None:
            answer.landing = document
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


# -- which items are used -------------------------------------------------------------------------------


def _split_usable(
    job: Job, found: Iterable[Understood]
) -> tuple[list[pystac.Item], list[tuple[pystac.Item, str]]]:
    """Split into items that can be used and those that cannot, with the reason."""
    shapely.prepare(job.aoi)
    wanted: list[pystac.Item] = []
    unusable: list[tuple[pystac.Item, str]] = []
    for each in found:
        if not _belongs(job, each.item):
            continue
        reason = each.broken or _why_unusable(job, each.item)
        if reason is None:
            wanted.append(each.item)
        else:
            unusable.append((each.item, reason))
    return wanted, unusable


def _belongs(job: Job, item: pystac.Item) -> bool:
    """Whether an item lies in the period and the AOI; what it does not state counts as inside.

    A STAC interval is closed and catalogues compare bounding boxes: ours is half-open and exact.
    """
    if item.datetime is not None and item.datetime not in job.period:
        return False
    if item.datetime is None and not _overlaps(job, item):
        return False
    where = footprint(item)
    return where is None or bool(job.aoi.intersects(where))


def _overlaps(job: Job, item: pystac.Item) -> bool:
    """Whether the time range of an item without a datetime overlaps the period."""
    start, end = (
        parse_instant(item.properties.get(f"{name}_datetime")) for name in ("start", "end")
    )
    return (start is None or start < job.period.end) and (
        end is None or end >= job.period.start
    )


def _why_unusable(job: Job, item: pystac.Item) -> str | None:
    """Return why an item in period and AOI cannot be used; none: it can."""
    if item.datetime is None:
        start, end = (item.properties.get(f"{name}_datetime") for name in ("start", "end"))
        return f"it has no datetime, only a range, {start} to {end}, which is no single pass"
    try:
        _understand(item)
    except RadiometryError as error:
        return str(error)
    except NOT_STAC as error:
        return f"what it says of itself cannot be understood: {words_of(error)}"
    return _no_rasters(item) or _forbidden_href(job, item)


def _no_rasters(item: pystac.Item) -> str | None:
    """Return why no asset of an item is a raster, so that no header need be read; None if one may be."""
    profile = sensors.profile(item)
    refused = profile.refused(item)
    return None if profile.offered(item) or not refused else next(iter(refused.values()))


def _understand(item: pystac.Item) -> None:
    """Derive all that a run will derive from an item, so that none of its values can stop the run later."""
    sensors.radiometry(item)
    sensors.acquisitions([item])
    sensors.processing_rank(item)
    sensors.sighting(item)
    sensors.sun(item)
    # Raises if it is nested too deeply to be copied.
    item.to_dict(transform_hrefs=False)


def _forbidden_href(job: Job, item: pystac.Item) -> str | None:
    """Return why the location of a band or mask may not be read; other assets are never read."""
    remote = access.is_remote(item.get_self_href() or "")
    profile = sensors.profile(item)
    for key in dict.fromkeys((*profile.offered(item).values(), *profile.masks(item).values())):
        href = access.full_href(item.assets[key].href)
        if (reason := access.refused(href, remote=remote, hosts=job.cube.hosts)) is not None:
            return f"asset {key!r} is refused: {reason}"
    return None
