"""Pixels of a raster's window, with a map of its unfit numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.cube.unfit import Kinds
from pipeline.cube.windows import Window

Marked = Mapping[Window, Kinds]
"""Flags of a quality band by window of another band; windows without a flag are left out."""

Box = tuple[slice, slice]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPlan:
    """How to read a geobox from a raster, or from its overview."""

    shrink: int
    """Source pixels per target pixel along an edge."""
    marked: Marked
    overview: bool


@dataclass(frozen=True, slots=True, eq=False)
class RasterPixels:
    """The pixels of a window, or of part of a geobox."""

    pixels: NDArray[np.float32]
    """(y, x) DNs, NaN = no data."""
    kinds: Kinds | None = None
    """(y, x) kinds of unfit numbers, in an overview of numbers that may be averaged from unfit ones; None: none."""

    def unfit_box(self) -> Box | None:
        """Return the rows and columns that contain all flagged pixels; None if there are none."""
        if self.kinds is None or not self.kinds.any():
            return None
        rows, cols = (np.flatnonzero(self.kinds.any(axis=axis)) for axis in (1, 0))
        return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(cols[0]), int(cols[-1]) + 1)

    def corrected(self, fine: RasterPixels, box: Box) -> RasterPixels:
        """Return these pixels of an overview with the suspected ones replaced by those of the raster itself."""
        assert self.kinds is not None
        suspected = self.kinds[box] > 0
        pixels, kinds = self.pixels.copy(), np.zeros_like(self.kinds)
        np.copyto(pixels[box], fine.pixels, where=suspected)
        if fine.kinds is not None:
            np.copyto(kinds[box], fine.kinds, where=suspected)
        return RasterPixels(pixels, kinds if kinds.any() else None)


def stacked(parts: Sequence[RasterPixels]) -> RasterPixels:
    """Concatenate row strips from top to bottom."""
    if len(parts) == 1:
        return parts[0]
    pixels = np.concatenate([each.pixels for each in parts])
    if all(each.kinds is None for each in parts):
        return RasterPixels(pixels)
    kinds = (
        np.zeros(each.pixels.shape, np.uint8) if each.kinds is None else each.kinds
        for each in parts
    )
    return RasterPixels(pixels, np.concatenate(list(kinds)))
