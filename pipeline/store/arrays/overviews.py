"""Smaller copies of pixels, so that a map of the region never reads all of them.

::

    masks/<sensor>/by2, by4, by8, by16      mask (time,y,x) · time · y, x, spatial_ref
    composites/<name>/by2, …                one array per role, and the same

A level shrinks by its factor, as long as a tile stays a whole number of pixels: a tile's part of
a level is then a stored object of its own, written in the transaction that writes the tile. The
group's attributes name the levels by the conventions of GeoZarr (`pipeline.geozarr`).

Class codes are never averaged. A level of a mask takes the pixel in the middle of each square:
that keeps the share of every class unbiased, where the most frequent class of a square would let
thin clouds and small ponds vanish, and it costs no arithmetic. Reflectance is the mean of the valid
pixels of a square, which is what a sensor with larger pixels would have seen; nearest would make
the noise of single pixels the picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline import geozarr
from pipeline.store.arrays import create, layout
from pipeline.store.arrays.contents import FACTORS, level_name, levels
from pipeline.types import Grid, Tile

Source = tuple[str, str, int, layout.Attributes]
"""Name, dtype, fill value and attributes of an array that has levels."""


def level_grids(grid: Grid) -> dict[int, Grid]:
    """Return the grid of each level by its factor."""
    return {factor: _shrunk(grid, factor) for factor in FACTORS if grid.tile_px % factor == 0}


def _shrunk(grid: Grid, factor: int) -> Grid:
    from odc.geo.geobox import GeoBox  # noqa: PLC0415 -- not every reader needs pixels

    ny, nx = grid.geobox.shape
    box = GeoBox(
        (-(-ny // factor), -(-nx // factor)),
        grid.geobox.transform * grid.geobox.transform.scale(factor),
        grid.geobox.crs,
    )
    edge = grid.tile_px // factor
    return Grid(geobox=box, tile_px=edge, chunk_px=math.gcd(edge, grid.chunk_px))


def middle_pixels(pixels: NDArray[Any], factor: int) -> NDArray[Any]:
    """Take the pixel in the middle of each square; (y, x), the last squares may be cut."""
    rows, cols = (
        np.minimum(np.arange(0, size, factor) + factor // 2, size - 1) for size in pixels.shape
    )
    return pixels[np.ix_(rows, cols)]


def means(steps: NDArray[np.int16], missing: int) -> Iterator[NDArray[np.int16]]:
    """Yield the means of the valid pixels of squares of 2, 4, 8 and 16 pixels, rounded half to even.

    Each is the mean of the pixels themselves: levels are made from sums and counts, not from rounded means.
    """
    valid = steps != missing
    sums, counts = np.where(valid, steps, 0).astype(np.int32), valid.astype(np.int32)
    for _ in FACTORS:
        sums, counts = _halved(sums), _halved(counts)
        mean = np.rint(sums / np.maximum(counts, 1))
        yield np.where(counts > 0, mean, missing).astype(np.int16)


def _halved(values: NDArray[np.int32]) -> NDArray[np.int32]:
    """Add squares of two by two; beyond an odd edge is nothing."""
    even = np.pad(values, [(0, size % 2) for size in values.shape])
    total: NDArray[np.int32] = (
        even[0::2, 0::2] + even[1::2, 0::2] + even[0::2, 1::2] + even[1::2, 1::2]
    )
    return total


class Levels:
    """The levels of one group, while a session writes them; none, if it has none."""

    def __init__(self, group: zarr.Group) -> None:
        self._groups = levels(group)

    @classmethod
    def create(cls, group: zarr.Group, grid: Grid, sources: Sequence[Source]) -> Levels:
        """Create the levels of a group, as long as its time axis."""
        count = layout.array_of(group, "time").shape[0]
        for factor, smaller in level_grids(grid).items():
            level = group.create_group(
                level_name(factor), attributes=geozarr.of_pixels(smaller.geobox)
            )
            create.write_coordinates(level, smaller)
            create.add_list(level, "time", "i8", "time", layout.TIME_ATTRIBUTES)
            for name, dtype, fill, attributes in sources:
                create.add_pixels(level, name, smaller, dtype, fill, attributes)
            create.grow(level, count)
        smaller_boxes = {level_name(f): each.geobox for f, each in level_grids(grid).items()}
        group.attrs.update(geozarr.of_levels(grid.geobox, smaller_boxes))
        made = cls(group)
        made.set_times(layout.values_of(group, "time"))
        return made

    def __bool__(self) -> bool:
        """Say whether there are any."""
        return bool(self._groups)

    def set_times(self, times: NDArray[np.int64]) -> None:
        """Copy the time axis of the group."""
        for level in self._groups.values():
            if layout.array_of(level, "time").shape[0] < times.size:
                create.grow(level, times.size)
            layout.array_of(level, "time")[...] = times

    def write_codes(self, name: str, at: int, tile: Tile, codes: NDArray[np.uint8]) -> None:
        """Write one tile of class codes."""
        for factor in self._groups:
            self._write(factor, name, at, tile, middle_pixels(codes, factor))

    def write_steps(
        self, name: str, at: int, tile: Tile, steps: NDArray[np.int16], missing: int
    ) -> None:
        """Write one tile of a band, in stored steps."""
        if self._groups:
            for factor, mean in zip(FACTORS, means(steps, missing), strict=True):
                if factor in self._groups:
                    self._write(factor, name, at, tile, mean)

    def _write(self, factor: int, name: str, at: int, tile: Tile, pixels: NDArray[Any]) -> None:
        corner = [part.start // factor for part in tile.window]
        rows, cols = (
            slice(first, first + size) for first, size in zip(corner, pixels.shape, strict=True)
        )
        layout.array_of(self._groups[factor], name)[at, rows, cols] = pixels
