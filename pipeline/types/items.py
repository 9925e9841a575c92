"""What a search answers, and the scenes that it makes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pystac
from shapely.errors import ShapelyError
from shapely.geometry import box, mapping, shape
from shapely.geometry.base import BaseGeometry


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


def footprint(item: pystac.Item) -> BaseGeometry | None:
    """Return an item's geometry, or its bounding box, or none where it has neither that is one."""
    for document in (item.geometry, _box_document(item)):
        if document:
            try:
                outline = shape(document)
            except (ShapelyError, KeyError, TypeError, ValueError, AttributeError):
                continue
            if not outline.is_empty:
                return outline
    return None


def _box_document(item: pystac.Item) -> dict[str, Any] | None:
    """Return a bounding box of two or three dimensions as GeoJSON."""
    edges = item.bbox
    if not edges or len(edges) not in (4, 6):
        return None
    west, south, east, north = (*edges[:2], *edges[len(edges) // 2 :][:2])
    return dict(mapping(box(west, south, east, north)))
