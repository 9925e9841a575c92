"""What a search finds: items, what was dropped, and the scenes that items make."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shapely import make_valid
from shapely.errors import ShapelyError
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from pipeline.shown import hide_patterns, printable
from pipeline.types.lonlat import cut, cut_box

if TYPE_CHECKING:
    import pystac


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """Something that was expected and is not used, and why."""

    item_id: str
    reason: str
    tile: str | None = None
    """Name of the tile in which it is missing; none: everywhere."""

    def __post_init__(self) -> None:
        # Reasons quote servers, items and URLs, and are stored, printed and published.
        object.__setattr__(self, "reason", printable(hide_patterns(self.reason), lines=False))


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """The result of a search: all that the rest of a run needs from a catalogue."""

    items: tuple[pystac.Item, ...]
    """Sorted by (datetime, id); the order decides which item covers which in a mosaic."""
    dropped: tuple[Dropped, ...] = ()
    missed: tuple[pystac.Item, ...] = ()
    """Dropped items that belong to the job and that no other item replaces: the cells that they would
    have covered are incomplete."""

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[pystac.Item]:
        return iter(self.items)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All items of one sensor and one pass, mosaicked on the grid: one platform on one orbit."""

    sensor: str
    """Platform family, e.g. ``sentinel-2``: a row of `pipeline.sensors`."""
    time: datetime
    """UTC; with the sensor the scene's key. The instant of its earliest item, or the one under which the store
    has the scene already."""
    items: tuple[int, ...]
    """Positions in `Items.items`; the first that has data at a pixel gives the pixel."""
    platform: str = ""
    """Of the pass, e.g. ``sentinel-2a``; if no item names one, its family: ``sentinel-2`` or ``landsat``."""


_BAD_COORDINATES = (ShapelyError, TypeError, ValueError, ArithmeticError)
"""What is raised on coordinates that are not numbers, or not finite."""


def footprint(item: pystac.Item) -> BaseGeometry | None:
    """Return an item's geometry, else its bounding box, else none; one that cannot be used counts as missing.

    Outlines across the antimeridian are cut there: see `pipeline.types.lonlat.cut`.
    """
    return _drawn(item.geometry) or _boxed(item.bbox)


def _drawn(document: dict[str, Any] | None) -> BaseGeometry | None:
    if not document:
        return None
    try:
        outline = shape(document)
        # NaN and infinity: the sum of the bounds is not finite either.
        if outline.is_empty or not math.isfinite(sum(outline.bounds)):
            return None
        within = cut(outline)
        return within if within.is_valid else make_valid(within)
    except (*_BAD_COORDINATES, KeyError, AttributeError, IndexError, RecursionError):
        return None


def _boxed(edges: Sequence[float] | None) -> BaseGeometry | None:
    """Return a bounding box of two or three dimensions."""
    try:
        if not edges or len(edges) not in (4, 6):
            return None
        west, south, east, north = (
            float(edge) for edge in (*edges[:2], *edges[len(edges) // 2 :][:2])
        )
        return cut_box(west, south, east, north)
    except _BAD_COORDINATES:
        return None
