"""How far observations are from the clouds and shadows of their scene, beyond the edge of the tile, too.

Clouds and shadows are those of the masks, as the store has them: of this tile and of those around it. Neither
the guard nor evidence from time changes them, because both look at pixels of a tile alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pipeline import composite
from pipeline.run.common.ahead import in_order
from pipeline.run.common.cellstore import CellReader
from pipeline.run.common.method import reach_m_of
from pipeline.run.tile.task import TileTask
from pipeline.types import UNREADABLE, Scene, Tile

Window = tuple[slice, slice]


@dataclass(frozen=True)
class Around:
    """The masks of a tile and of those around it, as far as a method looks."""

    tile: Tile
    """What is composed: a tile, or a part of one."""
    near: Sequence[Tile]
    """Whole tiles with a pixel within reach of the tile, itself the first."""
    store: CellReader
    reach_m: float
    names: Sequence[str]
    """The distances that the method needs."""
    threads: int

    @classmethod
    def of(cls, task: TileTask, method: composite.Method, store: CellReader) -> Around | None:
        """Return what a method looks at beyond each pixel; None: nothing."""
        reach_m = reach_m_of(method)
        if not reach_m:
            return None
        own = task.near[0]
        wide = _padded(own.window, composite.reach_px(reach_m, _pixel_m(task.tile)))
        return cls(
            tile=task.tile,
            near=[each for each in task.near if _common(wide, each.window)],
            store=store,
            reach_m=reach_m,
            names=[each for each in composite.DISTANCES if each in method.needs],
            threads=task.job.run.workers,
        )

    def fingerprints(self, scene: Scene) -> list[tuple[int, int, int]]:
        """Return (rows, columns, fingerprint) of each mask of a scene around the tile, row by row."""
        own = self.near[0]
        found = (
            (each.row - own.row, each.col - own.col, self._fingerprint(scene, each))
            for each in self.near[1:]
        )
        return [each for each in found if each[2] > UNREADABLE]

    def distances(self, scenes: Sequence[Scene]) -> xr.Dataset:
        """Measure (time, y, x) of some scenes; see `pipeline.composite.cloud_distances`."""
        shape = (len(scenes), *self.tile.geobox.shape)
        made = {name: np.empty(shape, np.float32) for name in self.names}
        masks = (self._codes(scene) for scene in scenes)
        for at, one in enumerate(in_order(self._measured, masks, most=self.threads)):
            for name, layer in made.items():
                layer[at] = one[name].values[0]
        return xr.Dataset({name: (("time", "y", "x"), each) for name, each in made.items()})

    def _measured(self, codes: NDArray[np.uint8]) -> xr.Dataset:
        inner, _ = self._windows
        mask = xr.DataArray(codes[np.newaxis], dims=("time", "y", "x"))
        pixel_m = _pixel_m(self.tile)
        return composite.cloud_distances(mask, inner, pixel_m, self.reach_m, self.names)

    def _codes(self, scene: Scene) -> NDArray[np.uint8]:
        """Read the mask of a scene, as far around the tile as there are pixels."""
        _, wide = self._windows
        codes = np.zeros([each.stop - each.start for each in wide], np.uint8)
        for part in self._parts(scene, wide):
            place = _within(part.window, wide)
            codes[place] = self.store.read_mask(scene.sensor, [scene.time], part)[0]
        return codes

    def _parts(self, scene: Scene, wide: Window) -> Iterator[Tile]:
        """Yield what of a window has a mask, tile by tile."""
        for each in self.near:
            shared = _common(wide, each.window)
            if shared and self._fingerprint(scene, each) > UNREADABLE:
                geobox = each.geobox[_within(shared, each.window)]
                yield dataclasses.replace(each, window=shared, geobox=geobox)

    def _fingerprint(self, scene: Scene, tile: Tile) -> int:
        return self.store.mask_fingerprint(scene.sensor, scene.time, tile)

    @property
    def _windows(self) -> tuple[Window, Window]:
        """Return the tile within what is read around it, and that within the region's arrays."""
        pixels = composite.reach_px(self.reach_m, _pixel_m(self.tile))
        tiles = [each.window for each in self.near]
        whole = tuple(
            slice(min(each.start for each in axis), max(each.stop for each in axis))
            for axis in zip(*tiles, strict=True)
        )
        wide = _common(_padded(self.tile.window, pixels), (whole[0], whole[1]))
        assert wide is not None
        return _within(self.tile.window, wide), wide


def _pixel_m(tile: Tile) -> float:
    return float(abs(tile.geobox.resolution.x))


def _padded(window: Window, pixels: int) -> Window:
    ys, xs = (slice(each.start - pixels, each.stop + pixels) for each in window)
    return ys, xs


def _common(one: Window, other: Window) -> Window | None:
    """Return what two windows share; None: nothing."""
    ys, xs = (
        slice(max(a.start, b.start), min(a.stop, b.stop))
        for a, b in zip(one, other, strict=True)
    )
    return (ys, xs) if ys.start < ys.stop and xs.start < xs.stop else None


def _within(inner: Window, outer: Window) -> Window:
    """Return a window as rows and columns of another that holds it."""
    ys, xs = (
        slice(a.start - b.start, a.stop - b.start) for a, b in zip(inner, outer, strict=True)
    )
    return ys, xs
