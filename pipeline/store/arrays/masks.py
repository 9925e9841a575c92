"""The group ``masks/<sensor>``."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Self

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.store.arrays import create, layout
from pipeline.store.arrays.cell_group import CellGroup
from pipeline.store.arrays.cells import Cells
from pipeline.store.arrays.contents import SceneRow
from pipeline.store.arrays.overviews import Source
from pipeline.store.base.reading import read
from pipeline.types import NEVER, UNREADABLE, Grid, Tile

CONFIDENCE_ATTRIBUTES = {
    "long_name": "probability of the chosen class",
    "units": "%",
    "comment": "0 = not recorded: no data, changed by cleaning, or masked without confidence",
    "coordinates": "spatial_ref platform",
}
ITEMS_ATTRIBUTES = {"long_name": "ids of the scene's items, a JSON list", "chunk": 256}
HISTOGRAM_ATTRIBUTES = {"long_name": "pixels by class"}
BLOCKS = "blocks"
"""Array of the class counts of the squares of a tile; beside the overviews, for areas whose edge crosses the tile."""


class MaskGroup(CellGroup):
    """The masks of one sensor, while a session writes them."""

    KIND = "masks"
    STEP = "scene"
    CALL_FIRST = "set_scenes"
    PER_CELL = (BLOCKS, "histogram", "fingerprint")
    EMPTY = UNREADABLE

    @classmethod
    def create(cls, parent: zarr.Group, sensor: str, grid: Grid) -> Self:
        """Create an empty group."""
        group = cls._create(parent, sensor, grid, {"sensor": sensor}, layout.TIME_ATTRIBUTES)
        create.add_list(group, "platform", str, "time", {"long_name": "platforms of the scene"})
        create.add_list(group, "items", str, "time", ITEMS_ATTRIBUTES)
        create.add_pixels(group, "mask", grid, "u1", 0, layout.MASK_ATTRIBUTES)
        create.add_cells(
            group, "histogram", grid, "u4", HISTOGRAM_ATTRIBUTES, {"class": layout.CLASSES}
        )
        return cls(group, sensor)

    def _open_pixels(self) -> None:
        self._mask = layout.array_of(self._group, "mask")
        there = "confidence" in self._group
        self._confidence = layout.array_of(self._group, "confidence") if there else None

    def keep_confidence(self, grid: Grid) -> None:
        """Make the array of confidences, if it is not there."""
        if self._confidence is None:
            create.add_pixels(self._group, "confidence", grid, "u1", 0, CONFIDENCE_ATTRIBUTES)
            create.grow(self._group, self._mask.shape[0])
            self._open(self._group)

    def keep_levels(self, grid: Grid) -> None:
        """Make overviews, and the class counts of squares, if there are none."""
        super().keep_levels(grid)
        if BLOCKS not in self._group:
            self._keep_blocks(grid)

    def _keep_blocks(self, grid: Grid) -> None:
        edge = block_px(grid.tile_px)
        shape = {"block": (grid.tile_px // edge) ** 2, "class": layout.CLASSES}
        about = {
            "long_name": "pixels by class of squares of a tile, row by row",
            "block_px": edge,
        }
        create.add_cells(self._group, BLOCKS, grid, "u2", about, shape)
        create.grow(self._group, self._mask.shape[0])
        blocks = Cells(layout.array_of(self._group, BLOCKS))
        made = self._cells["fingerprint"].read() > self.EMPTY
        for row, col in np.argwhere(made.any(axis=0)):
            tile = grid.tile(int(row), int(col))
            for at in np.flatnonzero(made[:, row, col]):
                codes = read(self._mask, (int(at), *tile.window))
                blocks.put(int(at), tile, count_blocks(codes, grid.tile_px))
            # One tile after the other: a year of one is some megabytes.
            blocks.flush()
        self._cells = {BLOCKS: blocks, **self._cells}

    def _sources(self) -> list[Source]:
        return [("mask", "u1", 0, layout.MASK_ATTRIBUTES)]

    def _write_levels(self, at: int, tile: Tile) -> None:
        codes = read(self._mask, (at, *tile.window))
        self._levels.write_codes("mask", at, tile, codes)

    # -- the time axis -------------------------------------------------------------------------

    def set_scenes(self, scenes: Sequence[SceneRow]) -> None:
        """Give every scene a position on the time axis; see `Writer.set_scenes`."""
        self.flush()
        items = [json.loads(str(each)) for each in layout.values_of(self._group, "items")]
        platforms = [str(each) for each in layout.values_of(self._group, "platform")]
        before = (list(self._axis), list(platforms), list(items))
        for time, platform, ids in scenes:
            at = self._position(time, ids, items, {each[0] for each in scenes})
            if at == len(items):
                items.append([])
                platforms.append("")
            items[at], platforms[at] = list(ids), platform
        if (list(self._axis), platforms, items) != before:
            self._save(platforms, items)

    def _position(
        self, time: datetime, ids: Sequence[str], items: list[list[str]], claimed: set[datetime]
    ) -> int:
        if time in self._axis:
            return self._axis[time]
        # An item that arrives late can be the earliest of its scene, whose time then moves. The
        # items that both have identify the scene: it must not be stored twice.
        for old, at in self._axis.items():
            if old not in claimed and set(ids) & set(items[at]):
                times = [time if each == old else each for each in self._axis]
                self._axis = {each: index for index, each in enumerate(times)}
                return at
        self._axis[time] = len(self._axis)
        return self._axis[time]

    def _save(self, platforms: list[str], items: list[list[str]]) -> None:
        self._save_times()
        texts = [json.dumps(each) for each in items]
        layout.array_of(self._group, "platform")[...] = np.array(platforms, object)
        layout.array_of(self._group, "items")[...] = np.array(texts, object)

    # -- cells ---------------------------------------------------------------------------------

    def write(
        self,
        time: datetime,
        tile: Tile,
        mask: NDArray[np.uint8] | None,
        fingerprint: int,
        confidence: NDArray[np.uint8] | None = None,
    ) -> None:
        """Write one cell; see `Writer.write_mask`."""
        if fingerprint == NEVER:
            raise ValueError(f"{NEVER} is the fingerprint of cells that were never written")
        codes = _pixels(mask, tile)
        counts = np.bincount(codes.ravel(), minlength=layout.CLASSES)
        if counts.size > layout.CLASSES:
            raise ValueError(f"a mask has codes 0 to {layout.CLASSES - 1}, not {codes.max()}")
        at = self._begin(time, tile)
        self._mask[(at, *tile.window)] = codes
        self._write_confidence(at, tile, confidence)
        self._levels.write_codes("mask", at, tile, codes)
        known: dict[str, int | NDArray[np.int64]] = {
            "histogram": counts,
            "fingerprint": fingerprint,
        }
        if BLOCKS in self._cells:
            known[BLOCKS] = count_blocks(codes, int(str(self._group.attrs["tile_px"])))
        self.put(at, tile, known)

    def _write_confidence(
        self, at: int, tile: Tile, confidence: NDArray[np.uint8] | None
    ) -> None:
        if self._confidence is not None:
            self._confidence[(at, *tile.window)] = _pixels(confidence, tile)
        elif confidence is not None:
            raise ValueError(
                f"the masks of {self._name} have no array of confidences: ask for it in set_scenes"
            )

    def read(self, times: Iterable[datetime], tile: Tile) -> NDArray[np.uint8]:
        """Return the masks (time, y, x) of a tile, in the order of `times`."""
        return self._pixels_of(self._mask, times, tile)

    def read_confidence(self, times: Iterable[datetime], tile: Tile) -> NDArray[np.uint8]:
        """Return the confidence (time, y, x) of a tile's masks in per cent, in the order of `times`; 0 = not recorded."""
        if self._confidence is None:
            return np.zeros((len(list(times)), *tile.geobox.shape), np.uint8)
        return self._pixels_of(self._confidence, times, tile)

    def _pixels_of(
        self, array: zarr.Array[Any], times: Iterable[datetime], tile: Tile
    ) -> NDArray[np.uint8]:
        wanted = [self._at(time) for time in times]
        codes = np.zeros((len(wanted), *tile.geobox.shape), np.uint8)
        # One scene after the other: fancy indexing of a sharded array takes ten times as long.
        for n, at in enumerate(wanted):
            codes[n] = read(array, (at, *tile.window))
        return codes


def block_px(tile_px: int) -> int:
    """Return the edge of the squares of a tile whose classes are counted, pixels: 64, or what divides the tile."""
    return math.gcd(tile_px, 64)


def count_blocks(codes: NDArray[np.uint8], tile_px: int) -> NDArray[np.int64]:
    """Count the classes (block, class) of the squares of a tile, row by row; what lies beyond the region counts as none."""
    edge, ny = block_px(tile_px), codes.shape[0]
    n = tile_px // edge
    counts = np.zeros((n, n, layout.CLASSES), np.int64)
    padded = np.full((-(-ny // edge) * edge, tile_px), layout.CLASSES, np.uint8)
    padded[:ny, : codes.shape[1]] = codes
    strips = padded.reshape(-1, edge, tile_px)
    for code in range(layout.CLASSES):
        # Up to 64 rows fit into bytes, which add up quickest.
        columns = (strips == code).sum(axis=1, dtype=np.uint8)
        counts[: len(strips), :, code] = columns.reshape(-1, n, edge).sum(axis=2)
    return counts.reshape(n * n, layout.CLASSES)


def _pixels(given: NDArray[np.uint8] | None, tile: Tile) -> NDArray[np.uint8]:
    """Return pixels of a tile, 0 where none are given."""
    shape = tuple(tile.geobox.shape)
    pixels = np.zeros(shape, np.uint8) if given is None else given
    if pixels.shape != shape or pixels.dtype != np.uint8:
        raise ValueError(
            f"tile {tile.name} is uint8 {shape}, not {pixels.dtype} {pixels.shape}"
        )
    return pixels
