"""Links of assets that are stored without their signature, and opened with it during the run.

An `Href` is a location without signature, key and login: this is what is shown and stored. Its attribute
`whole` is the location as the catalogue gave it, for reads of this run: in this process (`full_href`) and in
its workers (`signatures`, `signed`). An asset whose link is shortened so is marked `SIGNED`, to explain why a
later run may not be able to open it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self, SupportsIndex

import pystac

from pipeline.access.locations import find_storage
from pipeline.access.trust import SCHEMES
from pipeline.shown import strip_url

SIGNED = "cloudmask:signed"
"""Field of an asset: true where its link had parameters or a login that are not stored."""


class Href(str):
    """A location without its signature; `whole` is the one with it."""

    whole: str
    """As the catalogue gave it: for reading, in this run."""

    def __new__(cls, given: str) -> Self:
        """Make one of what a catalogue gives."""
        made = super().__new__(cls, strip_url(given))
        made.whole = given
        return made

    # pystac passes every href through these two when it copies an item.

    def __str__(self) -> str:
        """Return itself, so that a copy has `whole`, too."""
        return self

    def replace(self, old: str, new: str, count: SupportsIndex = -1, /) -> str:
        """Return itself where nothing is replaced."""
        made = super().replace(old, new, count)
        return self if made == self else made


def full_href(href: str) -> str:
    """Return a location with its signature, where this process has it."""
    return href.whole if isinstance(href, Href) else href


def is_lost(asset: Mapping[str, Any]) -> bool:
    """Whether an asset's link has lost the signature of its catalogue and cannot be signed here."""
    href = str(asset["href"])
    if not asset.get(SIGNED) or full_href(asset["href"]) != href:
        return False
    return href.partition(":")[0].lower() in SCHEMES and find_storage(href)[1] is None


Signature = tuple[str, str, str]
"""Key of an asset, name of an alternate or nothing, and the location with its signature."""


def signatures(item: pystac.Item) -> list[Signature]:
    """Return the signed locations of an item, which its JSON leaves out, for a worker of this run."""
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
    """Put signed locations back into an item, in place, and return it; the inverse of `signatures`."""
    for key, name, given in found:
        asset = item.assets[key]
        if name:
            asset.extra_fields["alternate"][name]["href"] = Href(given)
        else:
            asset.href = Href(given)
    return item
