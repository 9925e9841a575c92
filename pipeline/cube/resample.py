"""Source pixels -> pixels of the grid, each computed for itself.

GDAL's warper is not used: its approximate transformer interpolates coordinates along the rows of
whatever window it is given, and its kernel is scaled by that window's size, so the same pixel
differs between one tiling and another (seen with GDAL 3.10: up to 0.02 source pixels, 500 of
10 000 DN at an edge). Here a pixel depends on its own place and on the raster alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox

ALIGNED = 1e-3
"""Share of a pixel by which two grids may differ and still count as the same."""

HALF = 0.5
"""Share of the bilinear kernel that must have data for the result to have data."""


def shrink_factor(source: GeoBox, target: GeoBox) -> int:
    """Say how many source pixels make one target pixel along an edge, rounded down, at least 1.

    Measured at the middle of the source, not of a window, so that every window of a raster is
    read from the same overview.
    """
    middle = source.center_pixel.extent.to_crs(target.crs).boundingbox  # type: ignore[arg-type]
    pixel = max(middle.span_x, middle.span_y)
    return max(1, math.floor(abs(target.resolution.x) / pixel + ALIGNED))


def block_mean(pixels: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """Average blocks of ``factor × factor`` pixels; NaNs do not count, all NaN gives NaN."""
    if factor == 1:
        return pixels
    height, width = pixels.shape[0] // factor, pixels.shape[1] // factor
    blocks = pixels.reshape(height, factor, width, factor)
    has_data = np.isfinite(blocks)
    total = np.where(has_data, blocks, 0).sum(axis=(1, 3), dtype=np.float64)
    count = has_data.sum(axis=(1, 3))
    mean = np.full((height, width), np.nan, np.float32)
    np.divide(total, count, out=mean, where=count > 0, casting="same_kind")
    return mean


def block_max(numbers: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Return the largest of each block of ``factor × factor`` numbers."""
    if factor == 1:
        return numbers
    height, width = numbers.shape[0] // factor, numbers.shape[1] // factor
    largest: NDArray[np.uint8] = numbers.reshape(height, factor, width, factor).max(axis=(1, 3))
    return largest


def finer(geobox: GeoBox, factor: int) -> GeoBox:
    """Return a geobox with ``factor × factor`` pixels in place of each."""
    shape = (geobox.shape.y * factor, geobox.shape.x * factor)
    return GeoBox(shape, geobox.transform @ Affine.scale(1 / factor), geobox.crs)


def aligned_offset(source: GeoBox, target: GeoBox) -> tuple[int, int] | None:
    """Return the (row, column) of the source where the target starts, none where grids differ."""
    if source.crs != target.crs:
        return None
    shift = ~source.transform @ target.transform
    row, col = round(shift.f), round(shift.c)
    reach = max(target.shape)
    off = max(
        abs(shift.f - row),
        abs(shift.c - col),
        abs(shift.a - 1) * reach,
        abs(shift.e - 1) * reach,
        abs(shift.b) * reach,
        abs(shift.d) * reach,
    )
    return (row, col) if off < ALIGNED else None


@dataclass(frozen=True, slots=True, eq=False)
class Positions:
    """Where the centres of a block's pixels lie in a source, 0.0 at its first pixel's centre."""

    rows: NDArray[np.float64]
    cols: NDArray[np.float64]
    """(y, x), or (y, 1) and (1, x) where `parallel`; not finite: nowhere."""
    parallel: bool
    """Whether a row of the block lies in a row of the source, and a column in a column."""

    def window(self, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]] | None:
        """Return the first and the last-but-one (row, column) that interpolation needs, if any.

        It may reach a pixel beyond the source of `height` × `width` pixels.
        """
        spans = []
        inside = (
            (self.rows > -1) & (self.rows < height) & (self.cols > -1) & (self.cols < width)
        )
        if not inside.any():
            return None
        everywhere = bool(inside.all())
        for axis in (self.rows, self.cols):
            held = axis if everywhere else np.broadcast_to(axis, inside.shape)[inside]
            spans.append((math.floor(held.min()), math.floor(held.max()) + 2))
        (top, bottom), (left, right) = spans
        return (top, left), (bottom, right)

    def within(self, start: tuple[int, int]) -> Positions:
        """Return the same positions counted from another pixel of the source."""
        return Positions(self.rows - start[0], self.cols - start[1], self.parallel)


@lru_cache(maxsize=4)
def source_positions(source_crs: CRS, source_transform: Affine, target: GeoBox) -> Positions:
    """Return where the centres of the target's pixels lie in the source.

    Between CRSs, the nodes of a net of `NODE_PX` pixels are projected and the pixels interpolated
    between them; a mesh whose middle is then more than `NET_ERROR` source pixels off is projected
    pixel by pixel. The net is fixed in the CRS plane, not in the window, so that where a pixel lies
    does not depend on the window. Cached, since bands share them.
    """
    turned = any((target.transform.b, target.transform.d))
    if target.crs != source_crs and not turned:
        rows, cols = _interpolated(source_crs, source_transform, target)
        return Positions(rows, cols, parallel=False)
    x, y = np.arange(target.shape.x) + 0.5, np.arange(target.shape.y) + 0.5
    if not (turned or source_transform.b or source_transform.d):
        back = ~source_transform @ target.transform
        return Positions(
            (back.e * y + back.f - 0.5)[:, None],
            (back.a * x + back.c - 0.5)[None],
            parallel=True,
        )
    rows, cols = _projected(source_crs, source_transform, target, *_centres(target))
    return Positions(rows, cols, parallel=False)


def bilinear(pixels: NDArray[np.float32], positions: Positions) -> NDArray[np.float32]:
    """Interpolate between the four nearest source pixels, over those that have data.

    Parameters
    ----------
    pixels
        (row, column) float32, NaN = no data.
    positions
        Positions in `pixels`.

    Returns
    -------
    (y, x) float32; NaN where less than half of the kernel's weight has data.
    """
    sample = _sample_parallel if positions.parallel else _sample
    has_data = np.isfinite(pixels)
    if has_data.all() and _inside(positions, pixels.shape):
        return sample(pixels, positions)
    value = sample(np.where(has_data, pixels, np.float32(0)), positions)
    weight = sample(has_data.astype(np.float32), positions)
    # Four pixels with data weigh one, exactly: the result is then that of a window without gaps.
    weight[weight > 1 - 1e-6] = 1
    result = np.full(value.shape, np.nan, np.float32)
    np.divide(value, weight, out=result, where=weight >= HALF)
    return result


def nearest(pixels: NDArray[np.float32], positions: Positions) -> NDArray[np.float32]:
    """Take the source pixel in which each place lies; NaN outside. Arguments as of `bilinear`."""
    height, width = pixels.shape
    row, col = np.floor(positions.rows + HALF), np.floor(positions.cols + HALF)
    inside = (row >= 0) & (row < height) & (col >= 0) & (col < width)
    row, col = (
        np.broadcast_to(each, inside.shape)[inside].astype(np.intp) for each in (row, col)
    )
    result = np.full(inside.shape, np.nan, np.float32)
    result[inside] = pixels[row, col]
    return result


# -- positions ------------------------------------------------------------------------------------

NODE_PX = 32
"""Pixels between two nodes of the net on which positions are projected."""

POSITION_BITS = 20
"""The position of a pixel on the net is known to this binary fraction of a pixel."""

NET_ERROR = 1e-3
"""Share of a source pixel by which a position may be off."""

EDGE = NET_ERROR / 2
"""The same along one edge of a mesh: rows and columns of the net add up."""


def _centres(target: GeoBox) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    cols, rows = np.meshgrid(np.arange(target.shape.x) + 0.5, np.arange(target.shape.y) + 0.5)
    x = target.transform.c + cols * target.transform.a + rows * target.transform.b
    y = target.transform.f + cols * target.transform.d + rows * target.transform.e
    return x, y


def _projected(
    source_crs: CRS,
    source_transform: Affine,
    target: GeoBox,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return rows and columns of the source at positions of the target's CRS, each for itself."""
    if target.crs != source_crs:
        assert target.crs is not None
        x, y = target.crs.transformer_to_crs(source_crs)(x, y)
    # Infinite where a CRS has no coordinates for it.
    x, y = (np.where(np.isfinite(x) & np.isfinite(y), axis, np.nan) for axis in (x, y))
    back = ~source_transform
    return (
        back.d * x + back.e * y + back.f - 0.5,
        back.a * x + back.b * y + back.c - 0.5,
    )


def _interpolated(
    source_crs: CRS, source_transform: Affine, target: GeoBox
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    step_x, step_y = NODE_PX * target.transform.a, NODE_PX * target.transform.e
    mesh_y, part_y = _meshes(target.transform.f / target.transform.e, target.shape.y)
    mesh_x, part_x = _meshes(target.transform.c / target.transform.a, target.shape.x)
    # Nodes, and the middles between them, by which the net is judged.
    half_y = np.arange(2 * mesh_y[0], 2 * mesh_y[-1] + 3) / 2
    half_x = np.arange(2 * mesh_x[0], 2 * mesh_x[-1] + 3) / 2
    halves = _projected(
        source_crs, source_transform, target, *np.meshgrid(half_x * step_x, half_y * step_y)
    )
    below, beside = mesh_y - mesh_y[0], mesh_x - mesh_x[0]
    bad = np.zeros((half_y.size // 2, half_x.size // 2), bool)
    positions = []
    for axis in halves:
        bad |= _is_bent(axis)
        nodes = axis[::2, ::2]
        along = nodes[below] + (nodes[below + 1] - nodes[below]) * part_y[:, None]
        start = along[:, beside]
        positions.append(start + (along[:, beside + 1] - start) * part_x)
    rows, cols = positions
    if bad.any():
        off = bad[np.ix_(below, beside)]
        x, y = _centres(target)
        rows[off], cols[off] = _projected(source_crs, source_transform, target, x[off], y[off])
    return rows, cols


def _is_bent(halves: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Say for each mesh whether its edges are bent by more than `NET_ERROR`, or not finite.

    `halves` holds nodes at even rows and columns and the middles between them at odd ones.
    """
    # Written so that what is not finite is bent, too.
    across = ~(np.abs(halves[::2, 1::2] - (halves[::2, :-1:2] + halves[::2, 2::2]) / 2) <= EDGE)
    down = ~(np.abs(halves[1::2, ::2] - (halves[:-1:2, ::2] + halves[2::2, ::2]) / 2) <= EDGE)
    return across[:-1] | across[1:] | down[:, :-1] | down[:, 1:]


def _meshes(first: float, count: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the mesh of each pixel centre, counted from the CRS origin, and how far into it."""
    # What division leaves beside a grid's corners differs from window to window: on a binary fraction of a
    # pixel all of what follows is exact.
    start = round(first * 2**POSITION_BITS) / 2**POSITION_BITS
    place = (start + np.arange(count) + 0.5) / NODE_PX
    mesh = np.floor(place)
    return mesh.astype(np.intp), place - mesh


# -- sampling ----------------------------------------------------------------------------------


def _inside(positions: Positions, shape: tuple[int, ...]) -> bool:
    """Say whether every place has four neighbours."""
    return all(
        bool(((axis >= 0) & (axis <= size - 1)).all())
        for axis, size in zip((positions.rows, positions.cols), shape, strict=True)
    )


SAMPLED_ROWS = 32
"""Rows of a block that are interpolated at once."""


def _sample(pixels: NDArray[np.float32], positions: Positions) -> NDArray[np.float32]:
    """Interpolate bilinearly; outside the pixels are zeros.

    As `scipy.ndimage.map_coordinates` of order 1, in half of its time: a few rows at a time, so
    that what lies between stays in the processor's cache.
    """
    padded = np.pad(pixels, 1)
    sampled = np.empty(positions.rows.shape, np.float32)
    for start in range(0, len(sampled), SAMPLED_ROWS):
        held = slice(start, start + SAMPLED_ROWS)
        sampled[held] = _sampled_rows(padded, positions.rows[held], positions.cols[held])
    return sampled


def _sampled_rows(
    padded: NDArray[np.float32], rows: NDArray[np.float64], cols: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Interpolate in pixels that have one more of zeros about them."""
    row, row_part = _neighbours(rows, padded.shape[0] - 2)
    col, col_part = _neighbours(cols, padded.shape[1] - 2)
    numbers, width = padded.ravel(), padded.shape[1]
    row *= width
    row += col
    upper, lower = (_between(numbers, at, col_part) for at in (row, row + width))
    lower -= upper
    lower *= row_part
    upper += lower
    return upper


def _between(
    numbers: NDArray[np.float32], first: NDArray[np.intp], part: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Interpolate between numbers and their right neighbours."""
    # Every place is inside: to clip is merely faster than to check.
    left = numbers.take(first, mode="clip")
    right = numbers.take(first + 1, mode="clip")
    right -= left
    right *= part
    left += right
    return left


def _sample_parallel(pixels: NDArray[np.float32], positions: Positions) -> NDArray[np.float32]:
    """Interpolate along columns, then along rows; outside the pixels are zeros."""
    padded = np.pad(pixels, 1)
    row, row_part = _neighbours(positions.rows[:, 0], pixels.shape[0])
    col, col_part = _neighbours(positions.cols[0], pixels.shape[1])
    upper = padded[row]
    upper += (padded[row + 1] - upper) * row_part[:, None]
    left = upper[:, col]
    left += (upper[:, col + 1] - left) * col_part
    return left


def _neighbours(
    positions: NDArray[np.float64], size: int
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return the first of two neighbours in an axis padded by one, and the weight of the second."""
    held = np.clip(positions, -1, size)
    if np.isnan(held.sum()):
        held[np.isnan(held)] = -1
    # Truncation is floor from nought on.
    held += 1
    first = np.minimum(held.astype(np.intp), size)
    held -= first
    return first, held.astype(np.float32)
