"""The group ``masks/<sensor>``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.errors import StoreError
from pipeline.store import layout
from pipeline.store.cells import Cells
from pipeline.types import NEVER, Grid, Tile

SceneRow = tuple[datetime, str, Sequence[str]]
"""Time, platform and item ids of a scene."""


ITEMS_ATTRIBUTES = {"long_name": "ids of the scene's items, a JSON list", "chunk": 256}


class MaskGroup:
    """The masks of one sensor, while a session writes them."""

    def __init__(self, group: zarr.Group, sensor: str) -> None:
        self._sensor = sensor
        self._group = group
        self._mask = layout.array_of(group, "mask")
        self._fingerprint = Cells(layout.array_of(group, "fingerprint"))
        self._histogram = Cells(layout.array_of(group, "histogram"))
        stored = np.asarray(layout.array_of(group, "time")[...])
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
        self._group = group
        self._mask = layout.array_of(group, "mask")
        self._fingerprint.reopen(layout.array_of(group, "fingerprint"))
        self._histogram.reopen(layout.array_of(group, "histogram"))

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
        values = np.asarray(layout.array_of(self._group, name)[...])
        return [str(each) for each in values]

    def _save(self, platforms: list[str], items: list[list[str]]) -> None:
        if len(items) > self._mask.shape[0]:
            layout.grow(self._group, len(items))
            self.reopen(self._group)
        texts = [json.dumps(each) for each in items]
        layout.array_of(self._group, "time")[...] = layout.microseconds(self._axis)
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

    def write(
        self, time: datetime, tile: Tile, mask: NDArray[np.uint8] | None, fingerprint: int
    ) -> None:
        """Write one cell; see `Writer.write_mask`."""
        if fingerprint == NEVER:
            raise ValueError(f"{NEVER} is the fingerprint of cells that were never written")
        shape = tuple(tile.geobox.shape)
        codes = np.zeros(shape, np.uint8) if mask is None else mask
        if codes.shape != shape or codes.dtype != np.uint8:
            raise ValueError(
                f"tile {tile.name} is uint8 {shape}, not {codes.dtype} {codes.shape}"
            )
        counts = np.bincount(codes.ravel(), minlength=layout.CLASSES)
        if counts.size > layout.CLASSES:
            raise ValueError(f"a mask has codes 0 to {layout.CLASSES - 1}, not {codes.max()}")
        at = self._at(time)
        self._mask[(at, *tile.window)] = codes
        self._histogram.put(at, tile, counts)
        self._fingerprint.put(at, tile, fingerprint)

    def read(self, times: Iterable[datetime], tile: Tile) -> NDArray[np.uint8]:
        """Return the masks (time, y, x) of a tile, in the order of `times`."""
        wanted = [self._at(time) for time in times]
        codes = np.zeros((len(wanted), *tile.geobox.shape), np.uint8)
        # One scene after the other: fancy indexing of a sharded array takes ten times as long.
        for n, at in enumerate(wanted):
            codes[n] = self._mask[(at, *tile.window)]
        return codes

    @property
    def dirty(self) -> bool:
        """Whether cells wait for `flush`."""
        return self._fingerprint.dirty

    def flush(self) -> None:
        """Hand waiting cells to Zarr."""
        self._fingerprint.flush()
        self._histogram.flush()
