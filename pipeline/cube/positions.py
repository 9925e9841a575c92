"""Positions of the grid's pixels in a source raster, in fractions of its pixels.

Between two CRSs only the nodes of a coarse net are projected, and positions of pixels are interpolated. The net is
fixed in the CRS plane, so that the position of a pixel does not depend on the window that is read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox

T = TypeVar("T")

NODE_PX = 32
"""Pixels between two nodes of the net."""

POSITION_BITS = 20
"""Positions of pixels on the net are rounded to this binary fraction of a pixel."""

NET_ERROR = 1e-3
"""Largest error of a position, in source pixels."""

EDGE = NET_ERROR / 2
"""Largest error along one edge of a mesh: errors of rows and columns add up."""


@dataclass(frozen=True, slots=True, eq=False)
class Positions:
    """Positions of a block's pixel centres in a source; 0.0 is the centre of the source's first pixel."""

    rows: NDArray[np.float64]
    cols: NDArray[np.float64]
    """(y, x), or (y, 1) and (1, x) where `parallel`; not finite: nowhere."""
    parallel: bool
    """Whether rows of the block are parallel to rows of the source, and columns to columns."""
    notes: dict[Hashable, Any] = field(default_factory=dict)
    """What was computed from them: see `once`."""

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return what a function of these positions returns, computed for the first who asks: bands share it."""
        if key not in self.notes:
            self.notes[key] = compute()
        made: T = self.notes[key]
        return made

    def window(self, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]] | None:
        """Return the first and the last-but-one (row, column) that interpolation needs, if any.

        It may reach a pixel beyond the source of `height` × `width` pixels.
        """
        ends = [(axis.min(), axis.max()) for axis in (self.rows, self.cols)]
        # Not so where a position is NaN.
        everywhere = all(
            least > -1 and most < size
            for (least, most), size in zip(ends, (height, width), strict=True)
        )
        if not everywhere:
            inside = (
                (self.rows > -1) & (self.rows < height) & (self.cols > -1) & (self.cols < width)
            )
            if not inside.any():
                return None
            axes = (
                np.broadcast_to(each, inside.shape)[inside] for each in (self.rows, self.cols)
            )
            ends = [(axis.min(), axis.max()) for axis in axes]
        (top, bottom), (left, right) = (
            (math.floor(least), math.floor(most) + 2) for least, most in ends
        )
        return (top, left), (bottom, right)

    def within(self, start: tuple[int, int]) -> Positions:
        """Return the same positions counted from another pixel of the source."""
        return Positions(self.rows - start[0], self.cols - start[1], self.parallel)


def source_positions(source_crs: CRS, source_transform: Affine, target: GeoBox) -> Positions:
    """Return where the centres of the target's pixels lie in the source.

    Between two CRSs, the nodes of a net of `NODE_PX` pixels are projected and positions of pixels interpolated; a mesh
    with an error of more than `NET_ERROR` source pixels in its middle is projected pixel by pixel. The net is fixed in
    the CRS plane, not in the window, so that positions do not depend on the window.
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
    """Return rows and columns of the source at positions in the target's CRS, each projected exactly."""
    if target.crs != source_crs:
        assert target.crs is not None
        x, y = target.crs.transformer_to_crs(source_crs)(x, y)
    # Infinite where the CRS has no coordinates for a position.
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
    # Nodes, and the middles between them, by which the error of the net is measured.
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
    """Return for each mesh whether its edges are bent by more than `NET_ERROR`, or not finite.

    `halves` holds nodes at even rows and columns and the middles between them at odd ones.
    """
    # Written so that edges that are not finite count as bent, too.
    across = ~(np.abs(halves[::2, 1::2] - (halves[::2, :-1:2] + halves[::2, 2::2]) / 2) <= EDGE)
    down = ~(np.abs(halves[1::2, ::2] - (halves[:-1:2, ::2] + halves[2::2, ::2]) / 2) <= EDGE)
    return across[:-1] | across[1:] | down[:, :-1] | down[:, 1:]


def _meshes(first: float, count: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the mesh of each pixel centre, counted from the CRS origin, and how far into it."""
    # The rounding error of a grid's corners differs between windows; rounded to a binary fraction of a pixel, the
    # following arithmetic is exact.
    start = round(first * 2**POSITION_BITS) / 2**POSITION_BITS
    place = (start + np.arange(count) + 0.5) / NODE_PX
    mesh = np.floor(place)
    return mesh.astype(np.intp), place - mesh
