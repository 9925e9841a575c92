"""Positions of inference windows, in whole pixels counted from the origin of the CRS.

In most masking networks a pixel depends on its whole window (squeeze-and-excitation, attention, normalisation by the
window's own mean), so that no halo makes a mask independent of how the scene is cut into chunks; only windows at
fixed positions do. Their cores tile the plane from the CRS origin. A rectangle, whether tile, chunk or region, is
masked by all windows whose support meets it. The support is where a window's weight is not zero: its core and
`reach_px` on all sides.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from pipeline.errors import GridError
from pipeline.types import Lattice


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreBlock:
    """The cores whose windows decide a rectangle: all whose support meets it."""

    top: int
    left: int
    """First pixel of the first core, counted down and right from the CRS origin."""
    rows: int
    cols: int
    """Number of cores."""


def core_block(lattice: Lattice, top: int, left: int, shape: tuple[int, int]) -> CoreBlock:
    """Return the smallest block of whole cores that decides a rectangle.

    Parameters
    ----------
    lattice
        The lattice.
    top, left
        First pixel of the rectangle, counted from the CRS origin, y down.
    shape
        (height, width) of the rectangle in pixels, each at least 1.
    """
    (first_row, rows), (first_col, cols) = (
        _span(lattice, start, size) for start, size in zip((top, left), shape, strict=True)
    )
    return CoreBlock(
        top=lattice.shift_px + first_row * lattice.core_px,
        left=lattice.shift_px + first_col * lattice.core_px,
        rows=rows,
        cols=cols,
    )


def _span(lattice: Lattice, start: int, size: int) -> tuple[int, int]:
    """Return the first core whose support meets pixels start … start + size, and the number of such cores."""
    core, shift, reach = lattice.core_px, lattice.shift_px, lattice.reach_px
    first = (start - reach - shift) // core
    last = (start + size - 1 + reach - shift) // core
    return first, last - first + 1


def weights(lattice: Lattice) -> NDArray[np.float32]:
    """Return the weights of a window's scores along one axis.

    Returns
    -------
    (core_px + 2 · reach_px,) float32 in 0 … 1, from `reach_px` before the core to `reach_px` after it: a Hann ramp
    (sin²) over `blend_px`, 1 inside, and the mirrored ramp. The weights of neighbours add up to one.
    """
    steps = (np.arange(lattice.blend_px) + 0.5) / max(lattice.blend_px, 1)
    rising = (np.sin(np.pi / 2 * steps) ** 2).astype(np.float32)
    flat = np.ones(lattice.core_px - lattice.blend_px, np.float32)
    return np.concatenate([rising, flat, np.float32(1) - rising])


@functools.cache
def window_weights(lattice: Lattice) -> NDArray[np.float32]:
    """Return the weights of a window, (S, S) with S = core + 2 · reach; read-only."""
    along = weights(lattice)
    return along[:, np.newaxis] * along


_Array = TypeVar("_Array")


def support(lattice: Lattice, window: _Array) -> _Array:
    """Return the support (…, S, S), S = core + 2 · reach, of a window; for any array library."""
    edge = lattice.halo_px - lattice.reach_px
    inner = slice(edge, lattice.window_px - edge)
    part: _Array = window[..., inner, inner]  # type: ignore[index]
    return part


def sole_part(lattice: Lattice) -> slice:
    """Return the part of a window's support, along an axis, that no other window overlaps."""
    return slice(lattice.blend_px, lattice.core_px)


def overlapping_parts(lattice: Lattice) -> tuple[tuple[slice, slice], ...]:
    """Return the rows and columns of a window's support that others overlap: top, bottom, left, right."""
    every, sole = slice(None), sole_part(lattice)
    first, last = slice(0, lattice.blend_px), slice(lattice.core_px, None)
    return (first, every), (last, every), (sole, first), (sole, last)


NOISE = 1e-6
"""Rounding error of a corner's position, as a share of a pixel."""


def origin_px(geobox: GeoBox) -> tuple[int, int]:
    """Return a geobox's (top, left) pixel counted from the CRS origin, y down.

    If the grid's corners do not lie on multiples of its pixel, the count starts at the first corner right of and
    above the CRS origin.

    Raises
    ------
    GridError
        The geobox is rotated.
    """
    transform = geobox.transform
    if transform.b or transform.d:
        raise GridError(
            f"a grid of {transform.a} m pixels that starts at ({transform.c}, {transform.f}) is "
            "rotated; expected north up"
        )
    top, left = -transform.f / -transform.e, transform.c / transform.a
    return math.ceil(top - NOISE), math.floor(left + NOISE)


def geobox_cores(lattice: Lattice, geobox: GeoBox) -> CoreBlock:
    """Return the cores whose windows decide a geobox."""
    top, left = origin_px(geobox)
    return core_block(lattice, top, left, (geobox.shape.y, geobox.shape.x))


def read_geobox(lattice: Lattice, geobox: GeoBox) -> GeoBox:
    """Return the pixels to read for masking a geobox: all windows that decide a pixel of it."""
    cores = geobox_cores(lattice, geobox)
    top, left = origin_px(geobox)
    halo, core = lattice.halo_px, lattice.core_px
    shape = (cores.rows * core + 2 * halo, cores.cols * core + 2 * halo)
    shift = Affine.translation(cores.left - halo - left, cores.top - halo - top)
    return GeoBox(shape, geobox.transform @ shift, geobox.crs)


def coarser(geobox: GeoBox, factor: int) -> tuple[GeoBox, tuple[slice, slice]]:
    """Return the pixels of ``factor × factor`` that meet a geobox, counted from the CRS origin, and its place in them.

    Returns
    -------
    The geobox of larger pixels, and the (rows, columns) of the given one once each of them is repeated `factor` times along
    both axes.
    """
    starts = origin_px(geobox)
    firsts = [start // factor for start in starts]
    ends = [
        -(-(start + size) // factor) for start, size in zip(starts, geobox.shape, strict=True)
    ]
    rows, cols = (
        slice(start - first * factor, start - first * factor + size)
        for start, first, size in zip(starts, firsts, geobox.shape, strict=True)
    )
    move = Affine.translation(-cols.start, -rows.start) @ Affine.scale(factor)
    shape = (ends[0] - firsts[0], ends[1] - firsts[1])
    return GeoBox(shape, geobox.transform @ move, geobox.crs), (rows, cols)


def finer(
    pixels: NDArray[np.uint8], factor: int, inside: tuple[slice, slice]
) -> NDArray[np.uint8]:
    """Repeat pixels `factor` times along both axes, and cut out those of `coarser`'s geobox."""
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)[inside]
