"""Why a search found nothing: what the sources have, and which condition excludes it all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pystac

from pipeline.access import RetryPolicy
from pipeline.catalogs import Catalog
from pipeline.errors import SearchError
from pipeline.search.api import count_of
from pipeline.search.documents import parse_instant
from pipeline.search.limits import RequestLimits
from pipeline.search.web import CatalogIO
from pipeline.shown import cut, words_of
from pipeline.types import Dropped, Job, Source, footprint

BRIEF = RequestLimits(
    connect_s=5, silence_s=10, answer_s=10, search_s=25, retry=RetryPolicy(attempts=1)
)
"""For the few requests that only explain an empty result."""

MAX_COLLECTIONS = 4
"""Most collections whose extents are requested."""


@dataclass(slots=True)
class SourceAnswer:
    """A source of a search that found nothing, and the items that were seen in it."""

    source: Source
    catalog: Catalog
    landing: dict[str, Any] | None = None
    """Landing page of an API, which returns matching items only; None: a static catalogue, walked as a whole."""
    items: list[tuple[pystac.Item, bool]] = field(default_factory=list)
    """Every item that was seen, and whether it matches collections, query and filter."""

    @property
    def conditions(self) -> str:
        """Name the conditions of a source beside area and dates."""
        named = [name for name in ("query", "filter") if getattr(self.source, name)]
        return " and ".join(f"the {name}" for name in named)


def nothing_found(job: Job, answer: Sequence[SourceAnswer], dropped: Sequence[Dropped]) -> str:
    """Explain why there is no usable item, source by source."""
    where = ", ".join(each.source.catalog for each in answer)
    message = (
        f"no usable item in {where} covers the AOI ({_box(job.aoi.bounds)}) within {job.period}"
    )
    parts = [_explain(job, each) for each in answer]
    if dropped:
        reasons = Counter(each.reason for each in dropped).most_common(3)
        seen = sum(len(each.items) for each in answer)
        why = "; ".join(reason for reason, _ in reasons)
        parts.append(f"{len(dropped)} of {seen} items were dropped: {why}")
    return ". ".join([message, *parts])


def _explain(job: Job, answer: SourceAnswer) -> str:
    if answer.landing is None or answer.items:
        return _explain_walked(job, answer)
    try:
        return _explain_api(job, answer, answer.landing)
    except SearchError as error:
        return (
            f"{answer.source.catalog} has none, and does not say what it has ({words_of(error)}); check the "
            f"dates, the order longitude latitude, the collections{', ' if answer.conditions else ''}{answer.conditions}"
        )


# -- what was walked -----------------------------------------------------------------------------


def _explain_walked(job: Job, answer: SourceAnswer) -> str:
    """Count the items that were walked, condition by condition."""
    name, items = answer.source.catalog, [item for item, _ in answer.items]
    if not items:
        return f"{name} holds no item at all"
    wanted = set(answer.source.collections)
    selected = [item for item in items if not wanted or item.collection_id in wanted]
    if not selected:
        return (
            f"{name} has {_number(items)} of {_collections(items)}, none of "
            f"{', '.join(sorted(wanted))}: the collections exclude them all"
        )
    here = [item for item in selected if _touches(job, item)]
    now = [item for item in selected if _is_of(job, item)]
    both = [item for item in here if _is_of(job, item)]
    has = f"{name} has {_number(selected)} of {_collections(selected)}, {_dates(selected)}, {_place(selected)}"
    counts = f"{len(here)} of them in the AOI, {len(now)} in the dates, {len(both)} in both"
    return f"{has}: {counts}{_verdict(answer, here, now, both)}"


def _verdict(
    answer: SourceAnswer,
    here: Sequence[pystac.Item],
    now: Sequence[pystac.Item],
    both: Sequence[pystac.Item],
) -> str:
    if not here:
        return "; the AOI excludes them all: check the order longitude latitude"
    if not both:
        which = (
            "the dates exclude them all"
            if not now
            else "AOI and dates together exclude them all"
        )
        return f"; {which}: those in the AOI are {_dates(here)}"
    fitting = {id(item) for item, matches in answer.items if matches}
    if answer.conditions and not any(id(item) in fitting for item in both):
        return f"; {answer.conditions} exclude{'' if ' and ' in answer.conditions else 's'} them all"
    return ""


def _touches(job: Job, item: pystac.Item) -> bool:
    where = footprint(item)
    return where is None or bool(job.aoi.intersects(where))


def _times(item: pystac.Item) -> list[datetime]:
    if item.datetime is not None:
        return [item.datetime]
    ends = (parse_instant(item.properties.get(f"{name}_datetime")) for name in ("start", "end"))
    return [each for each in ends if each is not None]


def _is_of(job: Job, item: pystac.Item) -> bool:
    times = _times(item)
    return not times or (min(times) < job.period.end and max(times) >= job.period.start)


def _number(items: Sequence[object]) -> str:
    return f"{len(items)} item{'' if len(items) == 1 else 's'}"


def _collections(items: Iterable[pystac.Item]) -> str:
    count = Counter(item.collection_id or "no collection" for item in items)
    return ", ".join(name for name, _ in count.most_common(8))


def _dates(items: Iterable[pystac.Item]) -> str:
    times = [time for item in items for time in _times(item)]
    return f"of {min(times):%Y-%m-%d} to {max(times):%Y-%m-%d}" if times else "of no date"


def _place(items: Iterable[pystac.Item]) -> str:
    outlines = [where for item in items if (where := footprint(item)) is not None]
    if not outlines:
        return "which do not say where they lie"
    edges = np.array([where.bounds for where in outlines])
    return f"at ({_box((*edges[:, :2].min(axis=0), *edges[:, 2:].max(axis=0)))})"


def _box(edges: Iterable[float]) -> str:
    return ", ".join(f"{edge:.4f}" for edge in edges)


# -- what an API says ----------------------------------------------------------------------------


def _explain_api(job: Job, answer: SourceAnswer, landing: dict[str, Any]) -> str:
    """Ask an API for its collections, and for counts with one condition left out at a time."""
    name, source, catalog = answer.source.catalog, answer.source, answer.catalog
    io = CatalogIO(name, catalog, limits=BRIEF, hosts=job.cube.hosts)
    with io.session:
        collections = source.collections or catalog.collections
        has = _extents(io, catalog, collections)

        def count(**left_out: bool) -> int | None:
            return count_of(job, source, catalog, landing, io, **left_out)

        tries: list[tuple[str, Callable[[], int | None]]] = [
            ("in the AOI at any time", lambda: count(dates=False)),
            ("in the dates anywhere", lambda: count(area=False)),
        ]
        if answer.conditions:
            tries.insert(0, (f"without {answer.conditions}", lambda: count(conditions=False)))
        found = [(words, ask()) for words, ask in tries]
    parts = ", ".join(f"{_some(number)} {words}" for words, number in found)
    return f"{name} has {has}: {parts}{_excluded(answer, dict(found))}"


def _excluded(answer: SourceAnswer, found: Mapping[str, int | None]) -> str:
    if answer.conditions and found.get(f"without {answer.conditions}") != 0:
        return f"; {answer.conditions} exclude{'' if ' and ' in answer.conditions else 's'} them all"
    here, now = found["in the AOI at any time"], found["in the dates anywhere"]
    if here == 0:
        what = "the AOI excludes" if now != 0 else "AOI and dates each exclude"
        return f"; {what} them all: check the order longitude latitude, and the collections"
    return (
        "; the dates exclude them all"
        if now == 0
        else "; AOI and dates together exclude them all"
    )


def _some(number: int | None) -> str:
    return "some" if number is None else "none" if not number else str(number)


def _extents(io: CatalogIO, catalog: Catalog, wanted: Sequence[str]) -> str:
    if not wanted:
        found = io.read_json(f"{catalog.url.rstrip('/')}/collections").get("collections")
        names = [str(each.get("id")) for each in found or () if isinstance(each, dict)]
        return f"the collections {cut(', '.join(names))}"
    return "; ".join(_extent(io, catalog, name) for name in wanted[:MAX_COLLECTIONS])


def _extent(io: CatalogIO, catalog: Catalog, name: str) -> str:
    """Describe a collection of an API by its extent, or say that it does not exist."""
    try:
        found = io.read_json(f"{catalog.url.rstrip('/')}/collections/{name}")
    except SearchError as error:
        return f"no collection {name} that it can tell of ({words_of(error, 80)})"
    extent = found.get("extent")
    try:
        start, end = extent["temporal"]["interval"][0]  # type: ignore[index]
        edges = extent["spatial"]["bbox"][0]  # type: ignore[index]
        box = _box(float(each) for each in (*edges[:2], *edges[len(edges) // 2 :][:2]))
        when = f"of {str(start)[:10] if start else '…'} to {str(end)[:10] if end else 'now'}"
    except (KeyError, IndexError, TypeError, ValueError):
        return f"{name}, whose extent it does not tell"
    return f"{name} {when} at ({box})"
