"""Windows of a raster that a geobox needs."""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from pipeline.cube.blocks.units import Part
from pipeline.cube.positions import Positions, source_positions
from pipeline.cube.resample import ALIGNED, aligned_offset, finer, nearest

Window = tuple[tuple[int, int], tuple[int, int]]
"""First (row, column) of a part of a raster, and the first after it."""

Rectangle = tuple[slice, slice]
"""Rows and columns of a block."""

STRIP_PX = 2**22
"""Most fine pixels in memory at once while they are averaged to coarse ones."""

NOISE = 6
"""Decimals of a source pixel to which positions are rounded."""


@dataclass(frozen=True, slots=True, eq=False)
class Needed:
    """The pixels of a source that a geobox needs."""

    start: tuple[int, int]
    stop: tuple[int, int]
    """First (row, column), and the first after."""
    positions: Positions | None
    """Positions of the geobox's pixels among them; None: they are the same pixels."""

    def grown(self, margin_px: int) -> Needed:
        """Return the same, larger by a margin on all sides."""
        start, stop = (
            (row + change, col + change)
            for (row, col), change in ((self.start, -margin_px), (self.stop, margin_px))
        )
        return Needed(start, stop, self.positions)


def needed_of(source: GeoBox, geobox: GeoBox) -> Needed | None:
    """Return which pixels of a source a geobox needs, if any.

    A thread's last answer is kept inside `shared_positions`, since the bands of an item share it.
    """
    asked = source, geobox
    if not _are_same(getattr(_last, "asked", None), asked):
        _last.asked, _last.needed = None, None
        _last.needed = _placed(_in_hemisphere_of(geobox, source), geobox)
        _last.asked = asked
    needed: Needed | None = _last.needed
    return needed


def _are_same(one: tuple[GeoBox, GeoBox] | None, other: tuple[GeoBox, GeoBox]) -> bool:
    """Compare pairs; most of them are the same objects, and a CRS takes long to compare."""
    return one is not None and all(
        first is second or first == second for first, second in zip(one, other, strict=True)
    )


_last = threading.local()


@contextmanager
def shared_positions() -> Iterator[None]:
    """Drop at the end what `needed_of` keeps for this thread, up to 32 bytes a pixel."""
    try:
        yield
    finally:
        _last.asked = _last.needed = None


def _placed(source: GeoBox, geobox: GeoBox) -> Needed | None:
    start = aligned_offset(source, geobox)
    if start is not None:
        return Needed(start, (start[0] + geobox.shape.y, start[1] + geobox.shape.x), None)
    assert source.crs is not None
    positions = source_positions(source.crs, source.transform, geobox)
    window = positions.window(source.shape.y, source.shape.x)
    return None if window is None else Needed(*window, positions.within(window[0]))


FALSE_NORTHING_M = 10_000_000.0

UTM_NORTH, UTM_SOUTH = 326, 327
"""Hundreds of the EPSG codes of UTM zones."""


def _in_hemisphere_of(geobox: GeoBox, source: GeoBox) -> GeoBox:
    """Return a source in the UTM zone of the other hemisphere if a geobox is in that zone.

    Both zones differ only by ten million metres of northing, so that nothing needs to be projected. Landsat uses
    northern zones on the southern hemisphere, too.
    """
    asked, own = (each.crs.epsg if each.crs else None for each in (geobox, source))
    if asked is None or own is None or abs(asked - own) != 100:
        return source
    if {asked // 100, own // 100} != {UTM_NORTH, UTM_SOUTH}:
        return source
    shift = FALSE_NORTHING_M if asked > own else -FALSE_NORTHING_M
    return GeoBox(source.shape, Affine.translation(0, shift) @ source.transform, geobox.crs)


BOUNDARY_POINTS = 33
"""Points of an edge that is projected to another CRS."""


class Place:
    """A geobox as a key: its own hash spells its CRS out as WKT, which takes longer than a window of a band."""

    __slots__ = ("_hash", "geobox")

    def __init__(self, geobox: GeoBox) -> None:
        self.geobox = geobox
        self._hash = hash((*geobox.shape, *geobox.transform, str(geobox.crs)))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Place) and bool(self.geobox == other.geobox)


def part_in(source: GeoBox, geobox: GeoBox, margin_px: int = 0) -> Part | None:
    """Return the rows and columns of a source that a geobox and a margin need, cut at its edges; None: none.

    To ask for them early, not to choose pixels: between CRSs only the outline is projected.
    """
    return _part_in(Place(source), Place(geobox), margin_px)


@functools.lru_cache(maxsize=512)
def _part_in(lies: Place, wanted: Place, margin_px: int) -> Part | None:
    source, geobox = lies.geobox, wanted.geobox
    source = _in_hemisphere_of(geobox, source)
    if aligned_offset(source, geobox) is None:
        # What is interpolated needs a pixel more.
        margin_px += 1
    cols, rows = geobox.boundary(BOUNDARY_POINTS).T
    x, y = (np.asarray(each) for each in geobox.transform @ (cols, rows))
    if geobox.crs != source.crs:
        assert geobox.crs is not None
        assert source.crs is not None
        x, y = geobox.crs.transformer_to_crs(source.crs)(x, y)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return None
    cols, rows = (np.asarray(each) for each in ~source.transform @ (x, y))
    (top, bottom), (left, right) = (
        (
            max(0, math.floor(axis.min() + ALIGNED) - margin_px),
            min(size, math.ceil(axis.max() - ALIGNED) + margin_px),
        )
        for axis, size in zip((rows, cols), source.shape, strict=True)
    )
    return ((top, bottom), (left, right)) if top < bottom and left < right else None


def are_parallel(source: GeoBox, geobox: GeoBox) -> bool:
    """Return whether rows of a geobox lie along rows of a source."""
    source = _in_hemisphere_of(geobox, source)
    turned = (each.transform[at] for each in (source, geobox) for at in (1, 3))
    return source.crs == geobox.crs and not any(turned)


def source_windows(source: GeoBox, geobox: GeoBox, shrink: int) -> dict[Window, GeoBox]:
    """Return the windows of a raster that are read for a geobox, and where they lie."""
    needed = [needed_of(source, finer(strip, shrink)) for strip in strips(geobox, shrink)]
    return {
        (each.start, each.stop): part_of(source, each.start, each.stop)
        for each in needed
        if each is not None
    }


def part_of(source: GeoBox, start: tuple[int, int], stop: tuple[int, int]) -> GeoBox:
    """Return a window of a raster as a geobox; it may reach beyond the raster."""
    shape = (stop[0] - start[0], stop[1] - start[1])
    return GeoBox(shape, source.transform @ Affine.translation(start[1], start[0]), source.crs)


@dataclass(frozen=True, slots=True)
class Overview:
    """An overview to read from instead of the raster itself."""

    level: int
    shrink: int
    """Pixels of the overview per target pixel along an edge."""
    whole: int
    """Pixels of the raster per pixel of the overview along an edge."""


def strips(geobox: GeoBox, shrink: int) -> list[GeoBox]:
    """Divide a geobox into row strips of at most `STRIP_PX` fine pixels, or of one row."""
    height = geobox.shape.y
    rows = max(1, STRIP_PX // (geobox.shape.x * shrink * shrink))
    if rows >= height:
        return [geobox]
    return [geobox[start : min(start + rows, height), :] for start in range(0, height, rows)]


def nearest_of(pixels: NDArray[np.float32], positions: Positions) -> NDArray[np.float32]:
    """Take the pixel that contains each position; between two pixels, the lower or right one.

    If one grid is a multiple of the other, all positions lie between pixels, up to rounding errors that depend on the
    window.
    """
    return nearest(
        pixels,
        Positions(positions.rows.round(NOISE), positions.cols.round(NOISE), positions.parallel),
    )


def bounds_of(missing: NDArray[np.bool_], box: Rectangle) -> Rectangle | None:
    """Return the rows and columns of a box that contain all its missing pixels; None if there are none."""
    inside = missing[box]
    rows, cols = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return None
    top, left = (each.start for each in box)
    return (
        slice(top + int(rows[0]), top + int(rows[-1]) + 1),
        slice(left + int(cols[0]), left + int(cols[-1]) + 1),
    )
