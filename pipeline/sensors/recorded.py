"""A decision about an item's radiometry, written into the item itself, and read back.

A decision that needed pixels is stored in the item: a saved search and the fingerprints contain it, and the
pixels need not be read again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.sensors.profiles import profile
from pipeline.sensors.types import Radiometry

if TYPE_CHECKING:
    import pystac

OFFSET = "cloudmask:offset"
"""Property: the offset of Sentinel-2 reflectances that was decided, 0 or -0.1."""

REASON = "cloudmask:radiometry"
"""Property: what the metadata mean, what the pixels show."""

DOUBTFUL = "cloudmask:doubtful"
"""Property: true where the pixels did not decide and the metadata were believed."""

UNREAD = "cloudmask:unread"
"""Property: true where the pixels could not be read, so that they may decide another time."""

OFFSETS = (0.0, -0.1)
"""The two possible offsets: 1000 is added to the numbers, or not."""

MAX_REASON = 1000
"""Longest reason that is read back, in characters: items are untrusted."""


def asks_for_offset(item: pystac.Item) -> bool:
    """Whether all that is unclear of an item's numbers is if 1000 was added: Sentinel-2 of ESA.

    Raises
    ------
    RadiometryError
        The collection is not known.
    """
    return profile(item).rule.startswith("sentinel-2")


def record(item: pystac.Item, decided: Radiometry, *, unread: bool = False) -> pystac.Item:
    """Return a copy of an item with a decision stored in it; scale and nodata follow from its collection.

    Parameters
    ----------
    item
        The item.
    decided
        The decision.
    unread
        Whether it was made without the pixels, because they could not be read.
    """
    copy = unrecorded(item)
    copy.properties[OFFSET] = decided.offset
    copy.properties[REASON] = decided.reason
    if decided.doubtful:
        copy.properties[DOUBTFUL] = True
    if unread:
        copy.properties[UNREAD] = True
    return copy


def unrecorded(item: pystac.Item) -> pystac.Item:
    """Return a copy of an item as its catalogue made it."""
    copy = item.clone()
    for name in (OFFSET, REASON, DOUBTFUL, UNREAD):
        copy.properties.pop(name, None)
    return copy


def was_unread(item: pystac.Item) -> bool:
    """Say whether the decision that an item carries was made without its pixels."""
    return item.properties.get(UNREAD) is True


def recorded(item: pystac.Item) -> Radiometry | None:
    """Return the decision that is stored in an item; None if it has no valid one."""
    offset, reason = item.properties.get(OFFSET), item.properties.get(REASON)
    if isinstance(offset, bool) or offset not in OFFSETS or not isinstance(reason, str):
        return None
    if not asks_for_offset(item):
        return None
    return Radiometry(
        scale=1e-4,
        offset=float(offset),
        nodata=0,
        reason=reason[:MAX_REASON],
        doubtful=item.properties.get(DOUBTFUL) is True,
    )
