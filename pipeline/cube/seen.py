"""What is read of a window: pixels, and where numbers stood that are no reflectance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.cube.unfit import Kinds
from pipeline.cube.windows import Window

Marked = Mapping[Window, Kinds]
"""What a quality band says of the windows of another band; where it says nothing, a window is left out."""

Box = tuple[slice, slice]


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How a geobox is read from a raster, or from its overview."""

    shrink: int
    """Pixels that make one along an edge."""
    marked: Marked
    overview: bool


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What a window holds."""

    pixels: NDArray[np.float32]
    """(y, x) DNs, NaN = no data."""
    kinds: Kinds | None = None
    """Where numbers stood that are no reflectance, or may stand in an overview; none: nowhere."""

    def box(self) -> Box | None:
        """Return the rows and columns that hold all such numbers, none if there are none."""
        if self.kinds is None or not self.kinds.any():
            return None
        rows, cols = (np.flatnonzero(self.kinds.any(axis=axis)) for axis in (1, 0))
        return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(cols[0]), int(cols[-1]) + 1)

    def mended(self, fine: Seen, box: Box) -> Seen:
        """Return this with what is better known of a part, where such numbers were suspected."""
        assert self.kinds is not None
        suspected = self.kinds[box] > 0
        pixels, kinds = self.pixels.copy(), np.zeros_like(self.kinds)
        np.copyto(pixels[box], fine.pixels, where=suspected)
        if fine.kinds is not None:
            np.copyto(kinds[box], fine.kinds, where=suspected)
        return Seen(pixels, kinds if kinds.any() else None)


def joined(parts: Sequence[Seen]) -> Seen:
    """Put windows one below the other."""
    pixels = np.concatenate([each.pixels for each in parts])
    if all(each.kinds is None for each in parts):
        return Seen(pixels)
    held = (
        np.zeros(each.pixels.shape, np.uint8) if each.kinds is None else each.kinds
        for each in parts
    )
    return Seen(pixels, np.concatenate(list(held)))
