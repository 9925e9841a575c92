"""Parse documents as STAC items: accept what is odd but legal, drop nothing but the broken item.

A document is untrusted: any field may be missing, null, or of another type than STAC defines. What can be
understood becomes an item. If the item cannot be used it carries a reason, and its place and time still
show where data are missing.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pystac

from pipeline import access
from pipeline.shown import words_of

Json = Any
"""Any JSON value."""

NOT_STAC = (
    pystac.STACError,
    pystac.STACTypeError,
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    IndexError,
    ArithmeticError,
    RecursionError,
)
"""Errors that a malformed document raises."""

UNREADABLE = "cloudmask:unreadable"
"""Field of the stub of an unreadable item: why it could not be read."""

ONE_PASS = timedelta(minutes=10)
"""An item whose time range is no longer is of one pass; the middle of the range is its instant."""


@dataclass(frozen=True, slots=True)
class Understood:
    """A document as an item."""

    item: pystac.Item
    """For a broken document, a stub with what could be understood."""
    broken: str | None = None
    """Why it cannot be used; None if it can."""


_HALF = re.compile(rb"\\u[dD][89a-fA-F]|\xed")
"""Where half of a surrogate pair may stand; whole pairs, and some letters of Korea, look alike."""


def parse_json(content: bytes) -> Json:
    """Return a JSON document whose texts can be written again, and whose numbers are numbers.

    Half of a surrogate pair, which JSON can spell and no file can hold, becomes its escape; NaN and
    endless numbers, which JSON does not know, become null.

    Raises
    ------
    ValueError, RecursionError
        It is no JSON.
    """
    document = json.loads(content, parse_constant=lambda _: None, parse_float=_finite)
    # Almost no document has one, and searching for it is cheap.
    return _writable(document) if _HALF.search(content) else document


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def _writable(value: Json) -> Json:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {_writable(name): _writable(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_writable(each) for each in value]
    return value


def understood(document: Json, location: str) -> Understood:
    """Understand a document as an item; hrefs of its assets become absolute.

    Parameters
    ----------
    document
        What should be an item.
    location
        Where it came from; relative hrefs are meant beside its self link, or this.
    """
    sound = _sound(document if isinstance(document, dict) else {}, location)
    reason = _not_an_item(document) if isinstance(document, dict) else "it is no JSON object"
    if reason is None:
        try:
            return Understood(_item(sound, location))
        except NOT_STAC as error:
            reason = words_of(error)
    stub = pystac.Item(
        id=sound["id"],
        geometry=sound["geometry"],
        bbox=sound["bbox"],
        datetime=parse_instant(sound["properties"].get("datetime")),
        # A range, so that pystac takes it without an instant.
        properties={"start_datetime": None, "end_datetime": None, **sound["properties"]},
        collection=sound["collection"],
    )
    stub.set_self_href(location)
    return Understood(stub, f"it is no valid STAC item: {reason}")


def _not_an_item(document: Mapping[str, Json]) -> str | None:
    """Say what a document lacks without which nothing can be done with it."""
    name, collection = document.get("id"), document.get("collection")
    reasons = (
        (UNREADABLE in document, str(document.get(UNREADABLE))),
        (
            document.get("type") != "Feature",
            f"its type is {document.get('type')!r:.40}, not 'Feature'",
        ),
        (
            not isinstance(name, str) or not name.strip(),
            f"it has no id that is a text, but {name!r:.40}",
        ),
        (
            not isinstance(collection, str | None),
            f"its collection is {collection!r:.40}, no text",
        ),
        (not isinstance(document.get("properties"), dict), "it has no properties"),
        (not isinstance(document.get("assets"), dict), "it has no assets"),
    )
    return next((reason for true, reason in reasons if true), None)


def _sound(document: Mapping[str, Json], location: str) -> dict[str, Json]:
    """Return a document whose fields have the types that pystac takes for granted."""
    name, collection = document.get("id"), document.get("collection")
    geometry, extensions = document.get("geometry"), document.get("stac_extensions")
    return {
        **document,
        "id": name
        if isinstance(name, str) and name.strip()
        else f"an item without an id in {location}",
        "stac_version": str(document.get("stac_version") or "1.0.0"),
        "collection": collection if isinstance(collection, str) else None,
        "geometry": geometry if isinstance(geometry, dict) else None,
        "bbox": _numbers(document.get("bbox")),
        "properties": _dict(document.get("properties")),
        "stac_extensions": [each for each in _list(extensions) if isinstance(each, str)],
        "links": [each for each in _list(document.get("links")) if _is_link(each, location)],
        "assets": _assets(_dict(document.get("assets"))),
    }


def _assets(assets: Mapping[str, Json]) -> dict[str, dict[str, Json]]:
    """Drop assets without an href, which cannot be read.

    Items that were filled up from their collection's `item_assets` have such.
    """
    found = {}
    for key, asset in assets.items():
        href = _href_of(asset)
        if href is not None:
            found[key] = {**asset, "href": href}
    return found


def _href_of(asset: Json) -> str | None:
    if not isinstance(asset, dict):
        return None
    alternates = _dict(asset.get("alternate")).values()
    hrefs = (asset.get("href"), *(_dict(each).get("href") for each in alternates))
    return next((href for href in hrefs if isinstance(href, str) and href.strip()), None)


def _is_link(link: Json, location: str) -> bool:
    """Whether a link of an item is kept.

    A remote item must not claim to be a local one. pystac would resolve a relative self link against the
    working directory, and would fetch the root whenever an item is written as a dictionary, even from a host
    that is down.
    """
    if not isinstance(link, dict):
        return False
    relation, href = link.get("rel"), link.get("href")
    if not isinstance(relation, str) or not isinstance(href, str) or relation == "root":
        return False
    if not href:
        # pystac raises as soon as anything asks where such a link leads.
        return False
    if relation != "self":
        return True
    if access.is_remote(href):
        return True
    return not access.is_remote(location) and Path(href).is_absolute()


def _item(document: dict[str, Json], location: str) -> pystac.Item:
    properties = document["properties"]
    middle = _middle(properties) if properties.get("datetime") is None else None
    item = pystac.Item.from_dict(document, migrate=False, preserve_dict=False)
    if middle is not None:
        item.datetime = middle
    if item.datetime is not None and item.datetime.tzinfo is None:
        # LandsatLook's STAC 0.7 gives UTC without saying so.
        item.datetime = item.datetime.replace(tzinfo=UTC)
    if item.datetime is not None:
        # Raises for times at the edge of the calendar, which UTC cannot express.
        item.datetime.astimezone(UTC)
    if item.get_self_href() is None:
        item.set_self_href(location)
    place = item.get_self_href() or location
    for asset in item.assets.values():
        asset.href = access.resolved(asset.href, place)
    return item


def _middle(properties: Mapping[str, Json]) -> datetime | None:
    """Return the middle of a range that is short enough for one pass."""
    start, end = (
        parse_instant(properties.get(f"{name}_datetime")) for name in ("start", "end")
    )
    if start is None or end is None or abs(end - start) > ONE_PASS:
        return None
    return start + (end - start) / 2


def parse_instant(text: Json) -> datetime | None:
    """Parse an instant as UTC; None if the text is not one."""
    try:
        found = pystac.utils.str_to_datetime(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except NOT_STAC:
        return None


def _numbers(value: Json) -> list[float] | None:
    """Return the edges of a bounding box; None if it is malformed."""
    if not isinstance(value, list) or len(value) not in (4, 6):
        return None
    return value if all(map(_is_number, value)) else None


def _is_number(value: Json) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _dict(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
