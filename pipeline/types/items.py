"""What a search answers, and the scenes that it makes."""

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

from pipeline.shown import printable, starred
from pipeline.types.lonlat import cut, cut_box

if TYPE_CHECKING:
    import pystac


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """Something that was expected and is not used, and why."""

    item_id: str
    reason: str
    tile: str | None = None
    """Name of the tile where it is missing; none: everywhere."""

    def __post_init__(self) -> None:
        # Reasons quote servers, items and locations, and are kept, printed and published.
        object.__setattr__(self, "reason", printable(starred(self.reason), lines=False))


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """The answer of a search: everything that the rest of a run needs to know of a catalogue."""

    items: tuple[pystac.Item, ...]
    """Sorted by (datetime, id); the order decides which item covers which in a mosaic."""
    dropped: tuple[Dropped, ...] = ()
    missed: tuple[pystac.Item, ...] = ()
    """Those of the dropped that belong to the job and that nothing replaces: the cells that they
    would have covered, where that is known, are incomplete."""

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
    """Instant of the earliest item, UTC, or by which the store knows the scene; with the sensor its key."""
    items: tuple[int, ...]
    """Positions in `Items.items`; the first that has data at a pixel gives the pixel."""
    platform: str = ""
    """The pass's, e.g. ``sentinel-2a``; its family, ``sentinel-2`` or ``landsat``, where none is told."""


_NO_PLACE = (ShapelyError, TypeError, ValueError, ArithmeticError)
"""What is raised on coordinates that are none, or endless."""


def footprint(item: pystac.Item) -> BaseGeometry | None:
    """Return an item's geometry, or its bounding box, or none where it has neither that is one.

    What catalogues write across the antimeridian is cut there: see `pipeline.types.lonlat.cut`.
    """
    return _drawn(item.geometry) or _boxed(item.bbox)


def _drawn(document: dict[str, Any] | None) -> BaseGeometry | None:
    if not document:
        return None
    try:
        outline = shape(document)
        # An outline of numbers that are none, or endless, is nowhere.
        if outline.is_empty or not math.isfinite(sum(outline.bounds)):
            return None
        placed = cut(outline)
        return placed if placed.is_valid else make_valid(placed)
    except (*_NO_PLACE, KeyError, AttributeError, IndexError, RecursionError):
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
    except _NO_PLACE:
        return None
