"""Which items are processings of one acquisition, and which of them is the newest.

Catalogues state it in different ways, which are tried in this order::

    Sentinel-2   platform, MGRS tile and the start of the datastrip: by properties, or by the names of
                 products. Two datastrips of one day, or of two ground stations, hold different pixels.
                 Where the datastrip is unknown, one pass over one tile is one acquisition if the outlines
                 are alike: the halves of a tile are not.
    Landsat      platform, WRS path and row, and day; the rest of a scene's id (station, version) and the
                 category (RT, T1, T2) are of the processing.
    HLS          product, MGRS tile and time: HLS makes one granule of a tile and pass. v2.0 is v1.5
                 processed again.

Levels and corrections of one acquisition are different things, not processings of each other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pipeline.errors import RadiometryError
from pipeline.sensors.metadata import processing_baseline
from pipeline.sensors.names import Named, first, names_of
from pipeline.sensors.passes import SAME_PLATFORM, platform_of, sighting, whole_number
from pipeline.sensors.profiles import profile
from pipeline.sensors.types import Profile
from pipeline.types import footprint

if TYPE_CHECKING:
    import pystac

ONE_STRIP = timedelta(seconds=1)
"""Starts of one datastrip may differ by this much, through rounding."""

ONE_GRANULE = timedelta(minutes=2)
"""Times of one granule of HLS may differ by this much: its name has the time of one of its scenes."""

ALIKE = 0.8
"""Share of their joined area that two outlines of one acquisition have in common. Processings move an
outline by some pixels; a datastrip that ends in a tile leaves a part of it."""


@dataclass(frozen=True, slots=True)
class _Acquired:
    """What identifies an acquisition."""

    place: tuple[str, ...]
    """Must be equal; sufficient where the other fields are None."""
    time: datetime | None = None
    strip: datetime | None = None
    """Start of the datastrip of Sentinel-2."""
    orbit: str = ""


def acquisitions(items: Sequence[pystac.Item]) -> list[int]:
    """Give the processings of one acquisition the same number.

    Items of one number hold the same observation of the same ground, processed more than once or
    served by more than one catalogue. The number itself means nothing; which items share one does not depend on their
    order.
    """
    known = [_acquired(item) for item in items]
    places: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for position, each in enumerate(known):
        places[each.place].append(position)
    number_of = list(range(len(items)))
    for members in places.values():
        for one, other in _same(members, items, known):
            joined = number_of[one], number_of[other]
            for member in members:
                if number_of[member] in joined:
                    number_of[member] = min(joined)
    return number_of


def newest(items: Sequence[pystac.Item]) -> list[pystac.Item]:
    """Return for each item the newest processing of its acquisition, which may be itself."""
    best: dict[int, pystac.Item] = {}
    numbers = acquisitions(items)
    for item, number in zip(items, numbers, strict=True):
        if number not in best or _order(item) > _order(best[number]):
            best[number] = item
    return [best[number] for number in numbers]


def processing_rank(item: pystac.Item) -> tuple[int, tuple[int, ...], str, int]:
    """Order processings of one acquisition: the greatest is the newest.

    Returns
    -------
    Maturity (2 = final; near real time and interim are below it), version of the processor, time of the
    processing, and number in a catalogue's sequence. Equal for items that differ in ``updated`` alone:
    catalogues touch it without touching a pixel.
    """
    names = names_of(item)
    version = processing_baseline(item) or first(each.version for each in names) or ()
    sequence = first(whole_number(item.properties.get(name)) for name in _SEQUENCES)
    return (
        _maturity(item, names),
        version,
        _made(item, names),
        sequence or first(each.sequence for each in names) or 0,
    )


def _order(item: pystac.Item) -> tuple[object, ...]:
    """Order processings totally: no two items are equal."""
    updated = _instant(item.properties.get("updated"))
    return *processing_rank(item), updated or "", item.id, item.collection_id or ""


# -- what tells an acquisition -----------------------------------------------------------------


def _acquired(item: pystac.Item) -> _Acquired:
    try:
        found = profile(item)
    except RadiometryError:
        return _alone(item)
    names = names_of(item)
    platform = platform_of(item, names)
    kind = (found.level, found.correction)
    if found.sensor == "hls":
        return _granule(item, found, names)
    if found.family == "landsat":
        ground, day = _path_row(item, names), _day(item, names)
        known = platform and ground and day
        return _Acquired((*kind, platform, ground, day)) if known else _alone(item)
    tile = _tile(item, names)
    if not (platform and tile and item.datetime):
        return _alone(item)
    return _Acquired(
        place=(*kind, platform, tile),
        time=item.datetime,
        strip=first(each.sensed for each in names),
        orbit=sighting(item).orbit,
    )


def _alone(item: pystac.Item) -> _Acquired:
    return _Acquired(("", item.collection_id or "", item.id))


def _granule(item: pystac.Item, found: Profile, names: tuple[Named, ...]) -> _Acquired:
    tile, sensed = _tile(item, names), first(each.sensed for each in names)
    time = sensed or item.datetime
    if not tile or time is None:
        return _alone(item)
    # The time in a name may be the start of the datatake, minutes before that of the item.
    by = "name" if sensed else "item"
    return _Acquired(("hls", found.family, tile, by), time=time)


def _tile(item: pystac.Item, names: tuple[Named, ...]) -> str:
    """Return the MGRS tile, ``01KAB``; empty: unknown."""
    properties = item.properties
    for name in ("grid:code", "s2:mgrs_tile", "odc:region_code"):
        value = properties.get(name)
        if isinstance(value, str) and value:
            return value.removeprefix("MGRS-").removeprefix("T").zfill(5)
    for words in (
        ("mgrs:utm_zone", "mgrs:latitude_band", "mgrs:grid_square"),
        ("sentinel:utm_zone", "sentinel:latitude_band", "sentinel:grid_square"),
    ):
        zone, band, square = (properties.get(word) for word in words)
        number = whole_number(zone)
        if number is not None and isinstance(band, str) and isinstance(square, str):
            return f"{number:02d}{band}{square}"
    return first(each.tile for each in names) or ""


def _path_row(item: pystac.Item, names: tuple[Named, ...]) -> str:
    """Return WRS path and row, ``044034``; empty: unknown."""
    named = first(each.tile for each in names)
    if named:
        return named
    path, row = (
        whole_number(item.properties.get(f"landsat:wrs_{word}")) for word in ("path", "row")
    )
    if path is not None and row is not None:
        return f"{path:03d}{row:03d}"
    region = item.properties.get("odc:region_code")
    return region if isinstance(region, str) and len(region) == 6 and region.isdigit() else ""


def _day(item: pystac.Item, names: tuple[Named, ...]) -> str:
    day = first(each.taken for each in names)
    if day is None:
        day = item.datetime.date() if item.datetime else None
    return day.isoformat() if day else ""


# -- which are the same ------------------------------------------------------------------------


def _same(
    members: Sequence[int], items: Sequence[pystac.Item], known: Sequence[_Acquired]
) -> Iterator[tuple[int, int]]:
    """Yield pairs of items of one place that are processings of one acquisition."""
    ordered = sorted(members, key=lambda at: known[at].time or datetime.min.replace(tzinfo=UTC))
    for n, one in enumerate(ordered):
        for other in ordered[n + 1 :]:
            before, after = known[one].time, known[other].time
            if before and after and after - before > SAME_PLATFORM:
                break
            if _match(items[one], known[one], items[other], known[other]):
                yield one, other


def _match(one: pystac.Item, a: _Acquired, other: pystac.Item, b: _Acquired) -> bool:
    if a.time is None or b.time is None:
        return True
    if a.place[0] == "hls":
        return abs(a.time - b.time) <= ONE_GRANULE
    if a.strip and b.strip:
        return abs(a.strip - b.strip) <= ONE_STRIP
    if a.orbit and b.orbit and a.orbit != b.orbit:
        return False
    return _alike(one, other)


def _alike(one: pystac.Item, other: pystac.Item) -> bool:
    """Whether two items cover the same ground, judged by their outlines."""
    here, there = footprint(one), footprint(other)
    if here is None or there is None or not here.area or not there.area:
        return False
    return bool(here.intersection(there).area >= ALIKE * here.union(there).area)


# -- which is the newest -----------------------------------------------------------------------

_MATURITY = {"nrt": 0, "rt": 0, "interim": 1}
"""Of Digital Earth Australia, and of USGS, where RT waits for T1 or T2; one without a maturity is final."""

_MADE = (
    "s2:generation_time",
    "processing:datetime",
    "landsat:product_generated",
    "odc:processing_datetime",
)

_SEQUENCES = ("s2:sequence", "sentinel:sequence")


def _maturity(item: pystac.Item, names: tuple[Named, ...]) -> int:
    properties = item.properties
    stated = properties.get("dea:dataset_maturity") or properties.get(
        "landsat:collection_category"
    )
    text = stated if isinstance(stated, str) else first(each.maturity for each in names) or ""
    return _MATURITY.get(text.lower(), 2)


def _made(item: pystac.Item, names: tuple[Named, ...]) -> str:
    """Return when an item was processed, as text that sorts by time; empty: unknown.

    A text that is no time is returned, too: it still tells two processings apart.
    """
    stated = first(_instant(item.properties.get(name)) for name in _MADE)
    if stated:
        return stated
    # Digital Earth Australia names the Level 1 product that it began with.
    dea = "dea:dataset_maturity" in item.properties
    named = None if dea else first(each.made for each in names)
    if named:
        return _written(named)
    texts = (item.properties.get(name) for name in _MADE)
    odd = first(text for text in texts if isinstance(text, str))
    return _instant(item.properties.get("created")) or odd or ""


def _instant(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        when = datetime.fromisoformat(value)
    except ValueError:
        return None
    return _written(when if when.tzinfo else when.replace(tzinfo=UTC))


def _written(when: datetime) -> str:
    try:
        return f"{when.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    except OverflowError:
        # The first and the last day of the calendar, in another zone.
        return ""
