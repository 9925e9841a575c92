"""Links of assets that are stored bare, and opened whole in this run.

An `Href` shows and stores its location without signature, key and login. The whole one serves the
reads of this run: in this process (`full_href`) and in its workers (`signatures`, `signed`). An asset that
lost something so is marked `SIGNED`: whoever finds it in a store knows why it may not open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self, SupportsIndex

import pystac

from pipeline.access.locations import find_storage
from pipeline.access.trust import SCHEMES
from pipeline.shown import strip_url

SIGNED = "cloudmask:signed"
"""Field of an asset: true where its link came with parameters or a login that are not kept."""


class Href(str):
    """A location that shows and keeps its bare form, and knows the whole one."""

    whole: str
    """As the catalogue gave it: for reading, in this run."""

    def __new__(cls, given: str) -> Self:
        """Make one of what a catalogue gives."""
        made = super().__new__(cls, strip_url(given))
        made.whole = given
        return made

    # pystac passes every href through these two when it copies an item.

    def __str__(self) -> str:
        """Return itself: a copy knows the whole one, too."""
        return self

    def replace(self, old: str, new: str, count: SupportsIndex = -1, /) -> str:
        """Return itself where nothing is replaced."""
        made = super().replace(old, new, count)
        return self if made == self else made


def full_href(href: str) -> str:
    """Return a location with what it needs to be opened, as far as that is known."""
    return href.whole if isinstance(href, Href) else href


def is_lost(asset: Mapping[str, Any]) -> bool:
    """Say whether an asset's link was signed by its catalogue, is bare now, and nobody here can sign it."""
    href = str(asset["href"])
    if not asset.get(SIGNED) or full_href(asset["href"]) != href:
        return False
    return href.partition(":")[0].lower() in SCHEMES and find_storage(href)[1] is None


Signature = tuple[str, str, str]
"""Key of an asset, name of an alternate or nothing, and the whole location."""


def signatures(item: pystac.Item) -> list[Signature]:
    """Return what an item's documents leave out of its locations, for a process that reads in this run."""
    found = []
    for key, asset in item.assets.items():
        others = asset.extra_fields.get("alternate") or {}
        hrefs = {"": asset.href, **{name: each["href"] for name, each in others.items()}}
        found += [
            (key, name, href.whole)
            for name, href in hrefs.items()
            if isinstance(href, Href) and href != href.whole
        ]
    return found


def signed(item: pystac.Item, found: Sequence[Signature]) -> pystac.Item:
    """Put back what `signatures` took; the item is changed, and returned."""
    for key, name, given in found:
        asset = item.assets[key]
        if name:
            asset.extra_fields["alternate"][name]["href"] = Href(given)
        else:
            asset.href = Href(given)
    return item
