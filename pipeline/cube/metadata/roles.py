"""Assets of an item by role, and where its rasters lie."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import pystac
from shapely.geometry.base import BaseGeometry

from pipeline import sensors
from pipeline.cube.metadata.outlines import LONLAT, Frame, outlines
from pipeline.types import footprint
from pipeline.types.grid import beside

MAX_RASTER_PX = 2**31
"""Pixels of the largest raster that is accepted; a Sentinel-2 band has 1.2e8."""


def asset_keys(item: pystac.Item) -> dict[str, str]:
    """Return a mapping from the roles, and kinds of the product's own masks, of an item to its asset keys."""
    profile = sensors.profile(item)
    return {**profile.offered(item), **profile.masks(item)}


def missing_roles(item: pystac.Item, roles: Collection[str]) -> list[str]:
    """Return the roles, or kinds of masks, that an item does not offer."""
    offered = asset_keys(item)
    return [role for role in roles if role not in offered]


def frame(item: pystac.Item) -> Frame | None:
    """Return the CRS, shape and transform that an item states of its rasters, None if one is missing."""
    for key in sensors.profile(item).offered(item).values():
        found = asset_frame(item, key)
        if found is not None:
            return found
    return None


def corner_m(item: pystac.Item) -> float:
    """Return the offset, in metres, of an item's pixel corners from the multiples of its pixel size.

    It is that of the sensor's profile, unless the item's transform has none, as in warped copies.
    """
    profile, found = sensors.profile(item), frame(item)
    if found is None or not profile.corner_m:
        return profile.corner_m
    (a, _, x, _, e, y), pixel = found.transform[:6], profile.native_m
    warped = abs(a) == abs(e) == pixel and beside(x, pixel) == beside(y, pixel) == 0
    return 0.0 if warped else profile.corner_m


def outlines_in(items: Sequence[pystac.Item], crs: str) -> list[BaseGeometry | None]:
    """Return the outlines of items' rasters in the plane of a CRS; None where they are not stated."""
    frames = [frame(item) for item in items]
    drawn = iter(outlines([each for each in frames if each is not None], crs))
    return [None if each is None else next(drawn) for each in frames]


def misplaced(item: pystac.Item) -> str | None:
    """Return how an item's metadata contradict each other about its position; None if they do not."""
    return all_misplaced([item], [frame(item)])[0]


def all_misplaced(
    items: Sequence[pystac.Item], frames: Sequence[Frame | None]
) -> list[str | None]:
    """Return for each item how its metadata contradict each other about its position; None if they do not.

    By the projection extension its rasters must intersect its geometry: a wrong CRS code would put them elsewhere,
    and the item's ground would be silently blank. Without a frame or a geometry there is no contradiction.

    Parameters
    ----------
    items
        As their catalogues recorded them.
    frames
        Of each item, as `frame` returns it.
    """
    stated = [(index, each) for index, each in enumerate(frames) if each is not None]
    places = outlines([each for _, each in stated], LONLAT)
    contradictions: list[str | None] = [None] * len(items)
    for (index, each), place in zip(stated, places, strict=True):
        contradictions[index] = _contradiction(each, place, footprint(items[index]))
    return contradictions


def _contradiction(
    stated: Frame, place: BaseGeometry, claimed: BaseGeometry | None
) -> str | None:
    if claimed is None:
        return None
    if place.is_empty:
        return f"its projection ({stated.crs}) puts its rasters nowhere on Earth"
    if place.intersects(claimed):
        return None
    west, south, east, north = place.bounds
    return (
        f"its projection ({stated.crs}) puts its rasters at {west:.2f} to {east:.2f}° east and "
        f"{south:.2f} to {north:.2f}° north, where its geometry is not"
    )


def asset_frame(item: pystac.Item, key: str) -> Frame | None:
    """Return the frame of an asset by the projection extension's fields, if they are complete."""
    own, shared = item.assets[key].extra_fields, item.properties
    sizes = own.get("proj:shape", shared.get("proj:shape"))
    numbers = own.get("proj:transform", shared.get("proj:transform"))
    if sizes is None or numbers is None:
        return None
    crs = sensors.crs_of(item, key)
    if crs is None:
        return None
    try:
        height, width = (int(size) for size in sizes)
        transform = tuple(float(number) for number in numbers[:6])
    except (TypeError, ValueError, OverflowError, KeyError):
        return None
    if not (height > 0 and 0 < height * width <= MAX_RASTER_PX and _invertible(transform)):
        return None
    return Frame(crs.srs, (height, width), transform)


def _invertible(transform: tuple[float, ...]) -> bool:
    if len(transform) != 6 or not all(math.isfinite(number) for number in transform):
        return False
    a, b, _, d, e, _ = transform
    return a * e - b * d != 0.0
