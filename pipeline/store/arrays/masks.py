"""The group ``masks/<sensor>``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.errors import StoreError
from pipeline.store.arrays import layout
from pipeline.store.arrays.cells import Cells
from pipeline.store.arrays.overviews import Levels
from pipeline.store.base.reading import read
from pipeline.types import NEVER, UNREADABLE, Grid, Tile

SceneRow = tuple[datetime, str, Sequence[str]]
"""Time, platform and item ids of a scene."""


CONFIDENCE_ATTRIBUTES = {
    "long_name": "probability of the chosen class",
    "units": "%",
    "comment": "0 = not recorded: no data, changed by cleaning, or masked without confidence",
}
ITEMS_ATTRIBUTES = {"long_name": "ids of the scene's items, a JSON list", "chunk": 256}


class MaskGroup:
    """The masks of one sensor, while a session writes them."""

    careful = False
    """Whether a cell is unmade before it is written again: there is no transaction."""

    def __init__(self, group: zarr.Group, sensor: str) -> None:
        self._sensor = sensor
        self._open_pixels(group)
        self._fingerprint = Cells(layout.array_of(group, "fingerprint"))
        self._histogram = Cells(layout.array_of(group, "histogram"))
        stored = layout.values_of(group, "time")
        self._axis = {time: at for at, time in enumerate(layout.instants(stored))}

    @classmethod
    def create(cls, parent: zarr.Group, sensor: str, grid: Grid) -> MaskGroup:
        """Create an empty group."""
        group = parent.create_group(sensor)
        group.attrs.update(
            {
                "Conventions": "CF-1.11",
                "sensor": sensor,
                "tile_px": grid.tile_px,
                "chunk_px": grid.chunk_px,
            }
        )
        layout.add_georeference(group, grid)
        layout.add_list(group, "time", "i8", "time", layout.TIME_ATTRIBUTES)
        layout.add_list(group, "platform", str, "time", {"long_name": "platforms of the scene"})
        layout.add_list(group, "items", str, "time", ITEMS_ATTRIBUTES)
        layout.add_pixels(group, "mask", grid, "u1", 0, layout.MASK_ATTRIBUTES)
        layout.add_cells(group, "fingerprint", grid, "u8")
        layout.array_of(group, "fingerprint").attrs.update(layout.FINGERPRINT_ATTRIBUTES)
        layout.add_cells(group, "histogram", grid, "u4", classes=layout.CLASSES)
        layout.array_of(group, "histogram").attrs["long_name"] = "pixels by class"
        return cls(group, sensor)

    def reopen(self, group: zarr.Group) -> None:
        """Go on with the same group of another session, or after the time axis grew.

        An array object keeps the shape and the session that it was opened with.
        """
        self._open_pixels(group)
        self._fingerprint.reopen(layout.array_of(group, "fingerprint"))
        self._histogram.reopen(layout.array_of(group, "histogram"))

    def _open_pixels(self, group: zarr.Group) -> None:
        self._group = group
        self._mask = layout.array_of(group, "mask")
        self._confidence = (
            layout.array_of(group, "confidence") if "confidence" in group else None
        )
        self._levels = Levels(group)

    def keep_confidence(self, grid: Grid) -> None:
        """Make the array of confidences, if it is not there."""
        if self._confidence is None:
            attributes = {**CONFIDENCE_ATTRIBUTES, "coordinates": "spatial_ref platform"}
            layout.add_pixels(self._group, "confidence", grid, "u1", 0, attributes)
            layout.grow(self._group, self._mask.shape[0])
            self._open_pixels(self._group)

    def keep_levels(self, grid: Grid) -> None:
        """Make the overviews, also of what is stored already, if they are not there."""
        if self._levels:
            return
        self._levels = Levels.create(
            self._group, grid, [("mask", "u1", 0, layout.MASK_ATTRIBUTES)]
        )
        for at, cells in enumerate(self._fingerprint.read()):
            for row, col in np.argwhere(cells > UNREADABLE):
                tile = grid.tile(int(row), int(col))
                codes = read(self._mask, (at, *tile.window))
                self._levels.write_codes("mask", at, tile, codes)

    # -- the time axis -------------------------------------------------------------------------

    def set_scenes(self, scenes: Sequence[SceneRow]) -> None:
        """Give every scene a place on the time axis; see `Writer.set_scenes`."""
        self.flush()
        items = [json.loads(each) for each in self._column("items")]
        platforms = self._column("platform")
        before = (list(self._axis), list(platforms), list(items))
        for time, platform, ids in scenes:
            at = self._place(time, ids, items, {each[0] for each in scenes})
            if at == len(items):
                items.append([])
                platforms.append("")
            items[at], platforms[at] = list(ids), platform
        if (list(self._axis), platforms, items) != before:
            self._save(platforms, items)

    def _place(
        self, time: datetime, ids: Sequence[str], items: list[list[str]], claimed: set[datetime]
    ) -> int:
        if time in self._axis:
            return self._axis[time]
        # A late item can be the earliest of its scene, whose time then moves. The scene is known
        # by the items that it shares: it must not stay behind as a second one.
        for old, at in self._axis.items():
            if old not in claimed and set(ids) & set(items[at]):
                times = [time if each == old else each for each in self._axis]
                self._axis = {each: index for index, each in enumerate(times)}
                return at
        self._axis[time] = len(self._axis)
        return self._axis[time]

    def _column(self, name: str) -> list[str]:
        values = layout.values_of(self._group, name)
        return [str(each) for each in values]

    def _save(self, platforms: list[str], items: list[list[str]]) -> None:
        if len(items) > self._mask.shape[0]:
            layout.grow(self._group, len(items))
            self.reopen(self._group)
        texts = [json.dumps(each) for each in items]
        times = layout.microseconds(self._axis)
        layout.array_of(self._group, "time")[...] = times
        self._levels.set_times(times)
        layout.array_of(self._group, "platform")[...] = np.array(platforms, object)
        layout.array_of(self._group, "items")[...] = np.array(texts, object)

    def _at(self, time: datetime) -> int:
        try:
            return self._axis[time]
        except KeyError:
            raise StoreError(
                f"the store has no scene of {self._sensor} at {time.isoformat()}: call set_scenes first"
            ) from None

    # -- cells ---------------------------------------------------------------------------------

    def fingerprints(self) -> dict[datetime, NDArray[np.uint64]]:
        """Return the fingerprints (tile_y, tile_x) of every scene."""
        values = self._fingerprint.read()
        return {time: values[at] for time, at in self._axis.items()}

    @property
    def group(self) -> zarr.Group:
        """The group itself."""
        return self._group

    @property
    def axis(self) -> dict[datetime, int]:
        """Time of a scene -> its place."""
        return self._axis

    def put(self, at: int, tile: Tile, counts: NDArray[np.int64], fingerprint: int) -> None:
        """Set what is known of a cell beside its pixels, by its place."""
        self._histogram.put(at, tile, counts)
        self._fingerprint.put(at, tile, fingerprint)

    def fingerprint(self, time: datetime, tile: Tile) -> int:
        """Return the fingerprint of one cell."""
        return self._fingerprint.get(self._at(time), tile)

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
        at = self._at(time)
        if self.careful:
            self._fingerprint.clear_one(at, tile)
        self._mask[(at, *tile.window)] = codes
        self._write_confidence(at, tile, confidence)
        self._levels.write_codes("mask", at, tile, codes)
        self.put(at, tile, counts, fingerprint)

    def _write_confidence(
        self, at: int, tile: Tile, confidence: NDArray[np.uint8] | None
    ) -> None:
        if self._confidence is not None:
            self._confidence[(at, *tile.window)] = _pixels(confidence, tile)
        elif confidence is not None:
            raise ValueError(
                f"the masks of {self._sensor} keep no confidence: ask for it in set_scenes"
            )

    def read(self, times: Iterable[datetime], tile: Tile) -> NDArray[np.uint8]:
        """Return the masks (time, y, x) of a tile, in the order of `times`."""
        wanted = [self._at(time) for time in times]
        codes = np.zeros((len(wanted), *tile.geobox.shape), np.uint8)
        # One scene after the other: fancy indexing of a sharded array takes ten times as long.
        for n, at in enumerate(wanted):
            codes[n] = read(self._mask, (at, *tile.window))
        return codes

    def forget(self) -> None:
        """Read cells anew when they are next asked for."""
        self._fingerprint.forget()
        self._histogram.forget()

    @property
    def dirty(self) -> bool:
        """Whether cells wait for `flush`."""
        return self._fingerprint.dirty

    def flush(self) -> None:
        """Hand waiting cells to Zarr."""
        self._histogram.flush()
        # Last: without a transaction, what stops between leaves a cell that is done again.
        self._fingerprint.flush()


def _pixels(given: NDArray[np.uint8] | None, tile: Tile) -> NDArray[np.uint8]:
    """Return pixels of a tile, 0 where none are given."""
    shape = tuple(tile.geobox.shape)
    pixels = np.zeros(shape, np.uint8) if given is None else given
    if pixels.shape != shape or pixels.dtype != np.uint8:
        raise ValueError(
            f"tile {tile.name} is uint8 {shape}, not {pixels.dtype} {pixels.shape}"
        )
    return pixels
