"""The group ``masks/<sensor>``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Self

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.store.arrays import create, layout
from pipeline.store.arrays.cell_group import CellGroup
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


class MaskGroup(CellGroup):
    """The masks of one sensor, while a session writes them."""

    KIND = "masks"
    STEP = "scene"
    CALL_FIRST = "set_scenes"
    PER_CELL = ("histogram", "fingerprint")
    EMPTY = UNREADABLE

    @classmethod
    def create(cls, parent: zarr.Group, sensor: str, grid: Grid) -> Self:
        """Create an empty group."""
        group = cls._create(parent, sensor, grid, {"sensor": sensor}, layout.TIME_ATTRIBUTES)
        create.add_list(group, "platform", str, "time", {"long_name": "platforms of the scene"})
        create.add_list(group, "items", str, "time", ITEMS_ATTRIBUTES)
        create.add_pixels(group, "mask", grid, "u1", 0, layout.MASK_ATTRIBUTES)
        create.add_cells(
            group, "histogram", grid, "u4", HISTOGRAM_ATTRIBUTES, classes=layout.CLASSES
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
        self.put(at, tile, {"histogram": counts, "fingerprint": fingerprint})

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
        wanted = [self._at(time) for time in times]
        codes = np.zeros((len(wanted), *tile.geobox.shape), np.uint8)
        # One scene after the other: fancy indexing of a sharded array takes ten times as long.
        for n, at in enumerate(wanted):
            codes[n] = read(self._mask, (at, *tile.window))
        return codes


def _pixels(given: NDArray[np.uint8] | None, tile: Tile) -> NDArray[np.uint8]:
    """Return pixels of a tile, 0 where none are given."""
    shape = tuple(tile.geobox.shape)
    pixels = np.zeros(shape, np.uint8) if given is None else given
    if pixels.shape != shape or pixels.dtype != np.uint8:
        raise ValueError(
            f"tile {tile.name} is uint8 {shape}, not {pixels.dtype} {pixels.shape}"
        )
    return pixels
