"""The masks of one sensor as a store has them, for answers that need no xarray."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.types.job import Period
from pipeline.types.searched import Searched

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

Reader = Callable[[str, tuple[int | slice, ...]], NDArray[Any]]
"""Name of an array of the sensor and the wanted part -> its values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredScene:
    """A scene, and its place on the stored time axis."""

    time: datetime
    """UTC."""
    platform: str
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMasks:
    """Cells and pixels of one sensor; each method reads what it returns."""

    geobox: GeoBox
    """The region."""
    tile_px: int
    scenes: tuple[StoredScene, ...]
    """Sorted by time."""
    searched: tuple[Searched, ...]
    """What runs looked for, whether or not they found it."""
    reader: Reader

    def within(self, period: Period | None) -> StoredMasks:
        """Return the masks without the scenes outside of a period; none: all."""
        if period is None:
            return self
        return replace(self, scenes=tuple(each for each in self.scenes if each.time in period))

    def fingerprints(self, row: int, col: int) -> NDArray[np.uint64]:
        """Return the fingerprints (scene) of a tile."""
        return self._cells("fingerprint", row, col)

    def histograms(self, row: int, col: int) -> NDArray[np.uint32]:
        """Return the pixels by class (scene, class) of a tile."""
        return self._cells("histogram", row, col)

    def codes(self, at: int, window: tuple[slice, slice]) -> NDArray[np.uint8]:
        """Return the class codes (y, x) of the scene at a position in `scenes`."""
        return self.reader("mask", (self.scenes[at].position, *window))

    def _cells(self, name: str, row: int, col: int) -> NDArray[Any]:
        return self.reader(name, (slice(None), row, col))[[s.position for s in self.scenes]]
