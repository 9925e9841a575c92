"""What a search answers, and the scenes that it makes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import pystac


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """Something that was expected and is not used, and why."""

    item_id: str
    reason: str
    tile: str | None = None
    """Name of the tile where it is missing; none: everywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """The answer of a search: everything that the rest of a run needs to know of a catalogue."""

    items: tuple[pystac.Item, ...]
    """Sorted by (datetime, id); the order decides which item covers which in a mosaic."""
    dropped: tuple[Dropped, ...] = ()

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[pystac.Item]:
        return iter(self.items)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All items of one sensor on one solar day, mosaicked on the grid."""

    sensor: str
    """Platform family, e.g. ``sentinel-2``: a row of `pipeline.sensors`."""
    time: datetime
    """Instant of the earliest item, UTC."""
    items: tuple[int, ...]
    """Positions in `Items.items`; the first that has data at a pixel gives the pixel."""
    platform: str = ""
    """Platforms of the items, ``/`` between them, e.g. ``sentinel-2a``."""
