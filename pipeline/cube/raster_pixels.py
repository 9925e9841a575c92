"""Pixels of a raster's window, with a map of its unfit numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.cube.blocks.raster import BlockRaster
from pipeline.cube.blocks.units import Soon
from pipeline.cube.metadata.facts import AssetFacts
from pipeline.cube.meter import METER
from pipeline.cube.unfit import Kinds
from pipeline.cube.windows import Needed, Window, are_parallel, part_in

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


def no_data(shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return pixels without data."""
    return np.full(shape, np.nan, np.float32)


def read_numbers(
    raster: BlockRaster, band: int, facts: AssetFacts, needed: Needed, margin_px: int = 0
) -> tuple[NDArray[np.float32], bool]:
    """Read the rows and columns that are needed, and a margin on all sides.

    Returns
    -------
    (y, x) float32 DNs, NaN = no data, also outside the raster; and whether all are surely valid.
    """
    needed = needed.grown(margin_px)
    start, stop = needed.start, needed.stop
    (top, bottom), (left, right) = (
        (max(first, 0), min(last, edge))
        for first, last, edge in zip(start, stop, raster.shape, strict=True)
    )
    if top >= bottom or left >= right:
        return no_data((stop[0] - start[0], stop[1] - start[1])), True
    soon = soon_of(raster, facts, margin_px)
    numbers = raster.read(band, ((top, bottom), (left, right)), soon)
    METER.count(bytes_read=numbers.nbytes, reads=1)
    ends = _ends(numbers)
    inner = numbers.astype(np.float32)
    if ends is None or ends[0] <= facts.nodata <= ends[1]:
        inner[numbers == facts.nodata] = np.nan
    # No number, of no data included, can be unfit.
    bounds = facts.bounds
    valid = bounds is None or (ends is not None and bounds.surely_valid(*ends))
    if (top, left) == start and (bottom, right) == stop:
        return inner, valid
    pixels = no_data((stop[0] - start[0], stop[1] - start[1]))
    pixels[top - start[0] : bottom - start[0], left - start[1] : right - start[1]] = inner
    return pixels, valid


def _ends(numbers: NDArray[Any]) -> tuple[int, int] | None:
    """Return the least and the largest of whole numbers, which takes no time; None: floats, among which may be NaN."""
    return (int(numbers.min()), int(numbers.max())) if numbers.dtype.kind in "ui" else None


@dataclass(frozen=True, slots=True, eq=False)
class Reflectance:
    """Where the reflectance of a band is put."""

    scale: NDArray[np.float32]
    offset: NDArray[np.float32]
    """(1, 1) each: reflectance = DN · scale + offset."""
    target: NDArray[np.float32]
    """(y, x), filled in place; NaN = no data."""

    def put(self, numbers: NDArray[Any]) -> None:
        """Fill it from DNs, whole or float32, in the arithmetic of float32."""
        # Whole numbers become floats a few thousand at a time, in the processor's cache.
        target = self.target
        np.multiply(numbers, self.scale, out=target, dtype=np.float32, casting="unsafe")
        target += self.offset


def put_numbers(
    raster: BlockRaster,
    band: int,
    facts: AssetFacts,
    needed: Needed,
    margin_px: int,
    into: Reflectance,
) -> bool | None:
    """Fill reflectance from the rows and columns that are needed, if nothing among them or in a margin can be unfit.

    Returns
    -------
    Whether all pixels surely have data; None: nothing is filled, since there may be unfit numbers or pixels outside the
    raster.
    """
    wide = needed.grown(margin_px)
    (top, left), (bottom, right) = wide.start, wide.stop
    height, width = raster.shape
    if top < 0 or left < 0 or bottom > height or right > width:
        return None
    soon = soon_of(raster, facts, margin_px)
    numbers = raster.read(band, ((top, bottom), (left, right)), soon)
    ends = _ends(numbers)
    bounds = facts.bounds
    if ends is None or not (bounds is None or bounds.surely_valid(*ends)):
        return None
    METER.count(bytes_read=numbers.nbytes, reads=1)
    inner = numbers[margin_px : bottom - top - margin_px, margin_px : right - left - margin_px]
    into.put(inner)
    if not ends[0] <= facts.nodata <= ends[1]:
        return True
    into.target[inner == facts.nodata] = np.nan
    return False


def soon_of(raster: BlockRaster, facts: AssetFacts, margin_px: int) -> Soon | None:
    """Return what will be wanted of a raster with a margin; None: that is not known."""
    region = facts.region
    # Of files of this machine nothing is asked for early.
    if region is None or not raster.is_remote:
        return None
    part = part_in(raster.geobox, region, margin_px)
    if part is None:
        return None
    return Soon(part, are_parallel(raster.geobox, region))
