"""Finds unfit numbers: DNs that are no reflectance, such as saturated or wrapped ones.

A saturated detector gives 65535; a DN shifted below zero in unsigned 16 bits wraps to e.g. 65486. Both would read as a
reflectance of 6.5. They are found among the source's own pixels, before averaging and interpolation, so that none of
them contributes to a pixel of the grid.
"""

from __future__ import annotations

import functools
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from pipeline import sensors
from pipeline.types import UNFIT

KINDS: Mapping[str, int] = {name: code for code, name in enumerate(UNFIT, start=1)}
SATURATED, DEFECTIVE, WRAPPED = KINDS["saturated"], KINDS["defective"], KINDS["wrapped"]

Kinds = NDArray[np.uint8]
"""(y, x): 0, or a kind, of `KINDS`."""


MARGIN_PX = 4
"""Radius, in pixels of an overview, round a suspected pixel that is suspected, too: a cubic kernel reaches two."""

INSIDE = slice(MARGIN_PX, -MARGIN_PX)

BLENDED = 16_000
"""A fourth of the smallest wrapped number: the mean of four numbers is at least that if one of them wrapped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The range of valid DNs of an asset: `sensors.Limits`, converted from reflectance."""

    smallest: float
    largest: float
    possible: float
    saturated: tuple[int, ...]
    shown: bool
    """Whether saturated pixels get the largest valid DN; otherwise they are no data."""

    @classmethod
    def of(
        cls, limits: sensors.Limits, radiometry: sensors.Radiometry, *, shown: bool
    ) -> Bounds:
        """Return the bounds of an asset with a radiometry."""
        smallest, largest, possible = (
            (value - radiometry.offset) / radiometry.scale
            for value in (limits.smallest, limits.largest, limits.possible)
        )
        # Half a DN wider, which exceeds the rounding error of the division.
        return cls(
            smallest=smallest - 0.5,
            largest=largest + 0.5,
            possible=possible + 0.5,
            saturated=limits.saturated,
            shown=shown,
        )

    def surely_valid(self, least: float, most: float) -> bool:
        """Return whether neither `find` nor `suspect` would find anything among numbers in this range."""
        inside = any(least <= each <= most for each in self.saturated)
        return self.smallest <= least and most <= self._most_in_overviews() and not inside

    def _most_in_overviews(self) -> float:
        return min(self.largest, BLENDED) if self.largest < 2 * BLENDED else self.largest

    def find(self, pixels: NDArray[np.float32]) -> Kinds | None:
        """Return the kinds of unfit numbers of a window, NaN = no data; None if there are none."""
        inside = [each for each in self.saturated if self.smallest <= each <= self.largest]
        equal = [pixels == each for each in inside]
        bright, dark = pixels > self.largest, pixels < self.smallest
        if not any(bool(each.any()) for each in (bright, dark, *equal)):
            return None
        kinds = np.zeros(pixels.shape, np.uint8)
        kinds[bright] = SATURATED
        kinds[dark | (pixels > self.possible)] = WRAPPED
        for number in self.saturated:
            kinds[pixels == number] = SATURATED
        return kinds

    def suspect(self, pixels: NDArray[np.float32]) -> Kinds | None:
        """Return where a window of an overview, `MARGIN_PX` larger on all sides, may be averaged from unfit numbers.

        A wrapped or saturated number among four raises their mean by 16 000. In coarser overviews a single one cannot
        be recognised, but an area of them can; all pixels within the margin of a recognised one are suspected.
        """
        found = (pixels > self._most_in_overviews()) | (pixels < self.smallest)
        if not found.any():
            return None
        near = scipy.ndimage.maximum_filter(found, size=2 * MARGIN_PX + 1)
        return near[INSIDE, INSIDE].astype(np.uint8)

    def settle(self, pixels: NDArray[np.float32], kinds: Kinds) -> None:
        """Replace unfit numbers in place: by no data, or saturated ones by the largest valid DN if `shown`."""
        pixels[kinds > SATURATED] = np.nan
        saturated = kinds == SATURATED
        if self.shown:
            largest = np.float32(np.floor(self.largest))
            pixels[saturated] = np.minimum(pixels[saturated], largest)
        else:
            pixels[saturated] = np.nan


_Values = tuple[tuple[str, tuple[int, ...]], ...]
_Bits = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """A quality band that flags numbers of another band."""

    asset: str
    href: str
    flags: sensors.Flags

    @property
    def key(self) -> tuple[str, _Values, _Bits]:
        """The key under which its answers are cached."""
        flags = self.flags
        return self.href, tuple(flags.values.items()), tuple(flags.bits.items())

    def kinds(self, codes: NDArray[np.float32]) -> Kinds:
        """Return the kinds that its codes flag; NaN flags nothing."""
        # Values of a raster of floats that are no 16-bit codes flag nothing.
        sound = (codes >= 0) & (codes < 2**16)
        _, values, bits = self.key
        kinds: Kinds = _table(values, bits)[np.where(sound, codes, 0).astype(np.uint16)]
        return kinds


@functools.lru_cache(maxsize=64)
def _table(values: _Values, bits: _Bits) -> Kinds:
    """Return the kind of every 16-bit code."""
    numbers = np.arange(2**16)
    kinds = np.zeros(2**16, np.uint8)
    for name, listed in values:
        kinds[list(listed)] = KINDS[name]
    for name, mask in bits:
        np.maximum(kinds, KINDS[name], out=kinds, where=(numbers & mask) != 0)
    return kinds


@dataclass(eq=False)
class Found:
    """Record of the unfit numbers and quality flags found while one block of one item is read."""

    kinds: Kinds | None = None
    """Of the block; none: nothing."""
    codes: dict[tuple[str, Hashable], tuple[NDArray[np.float32], int]] = field(
        default_factory=dict
    )
    """Codes of quality bands, cached because several bands need them: href, place -> `ExactReader.codes`."""
    flags: dict[tuple[tuple[str, _Values, _Bits], Hashable], Kinds] = field(
        default_factory=dict
    )
    """Cached flags: `Quality.key`, place -> kinds."""

    def note(
        self, kinds: Kinds | None, shape: tuple[int, int], part: tuple[slice, slice] | None
    ) -> None:
        """Record kinds found in a block of this shape, or in a part of it."""
        if kinds is None:
            return
        if self.kinds is None:
            self.kinds = np.zeros(shape, np.uint8)
        part_kinds = self.kinds if part is None else self.kinds[part]
        np.maximum(part_kinds, kinds, out=part_kinds)
