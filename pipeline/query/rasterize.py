"""Which pixels have their centre in an area: by scanlines, and where that is too close to tell, by shapely.

Each row of centres is cut by the outline; between an odd and the next even cut lies the area. Where a cut is as close to
a centre as rounding could move it, shapely's robust predicate decides, so that the answer is that of `shapely.contains_xy`
for every pixel (GDAL's rasterizer was seen to count pixels along slivers whose centre lies outside).
"""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from shapely.geometry.base import BaseGeometry

Window = tuple[slice, slice]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CLOSE_PX = 1e-6
"""Cuts this close to a centre are not trusted: far above the rounding of coordinates, of some 1e-9 pixels."""
STEEP = 1e4
"""Edges with more columns a row than this are not trusted in the rows that they cut."""


def draw(area: BaseGeometry, geobox: GeoBox, window: Window) -> NDArray[np.bool_]:
    """Say which pixels (y, x) of a window have their centre in an area.

    Parameters
    ----------
    area
        Valid polygon or multipolygon in the CRS of the grid.
    geobox
        The grid; windows beyond its edges are on the same grid carried on.
    window
        Rows and columns.
    """
    ys, xs = window
    inside = np.zeros((ys.stop - ys.start, xs.stop - xs.start), bool)
    starts, ends = _edges(area, geobox, window)
    rows, cuts, slopes = _cuts(starts, ends, inside.shape[0])
    _fill(inside, rows, cuts)
    doubtful = _doubtful(inside.shape, (starts, ends), (rows, cuts, slopes))
    if doubtful[0].size:
        shapely.prepare(area)
        inside[doubtful] = _contains(area, geobox, window, doubtful)
    return inside


def _edges(area: BaseGeometry, geobox: GeoBox, window: Window) -> tuple[Floats, Floats]:
    """Return starts and ends (edge, 2) of all edges as (column, row), such that centres are whole numbers."""
    rings = shapely.get_rings(shapely.get_parts([area]))
    points, ring = shapely.get_coordinates(rings, return_index=True)
    a, b, x0, d, e, y0 = tuple(~geobox.affine)[:6]
    x, y = points.T
    ys, xs = window
    cols, rows = a * x + b * y + x0 - 0.5 - xs.start, d * x + e * y + y0 - 0.5 - ys.start
    pixels = np.column_stack([cols, rows])
    same = ring[1:] == ring[:-1]
    return pixels[:-1][same], pixels[1:][same]


def _cuts(starts: Floats, ends: Floats, height: int) -> tuple[Ints, Floats, Floats]:
    """Return row, column and columns a row of each cut of an edge with a row of centres."""
    upper, lower = np.minimum(starts[:, 1], ends[:, 1]), np.maximum(starts[:, 1], ends[:, 1])
    # Half open: a corner on a row is of one of its two edges.
    first, stop = (
        np.clip(np.ceil(each), 0, height).astype(np.int64) for each in (upper, lower)
    )
    count = stop - first
    edge = np.repeat(np.arange(count.size), count)
    rows = np.arange(edge.size) + np.repeat(first - (np.cumsum(count) - count), count)
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = (ends[:, 0] - starts[:, 0]) / (ends[:, 1] - starts[:, 1])
    cuts = starts[edge, 0] + (rows - starts[edge, 1]) * slopes[edge]
    return rows, cuts, slopes[edge]


def _fill(inside: NDArray[np.bool_], rows: Ints, cuts: Floats) -> None:
    order = np.lexsort((cuts, rows))
    cols = np.clip(np.ceil(cuts[order]), 0, inside.shape[1]).astype(np.int64)
    spans = zip(rows[order][::2].tolist(), cols[::2].tolist(), cols[1::2].tolist(), strict=True)
    for row, start, stop in spans:
        inside[row, start:stop] = True


def _doubtful(
    shape: tuple[int, ...], edges: tuple[Floats, Floats], cut: tuple[Ints, Floats, Floats]
) -> tuple[Ints, Ints]:
    """Return rows and columns of the pixels that shapely is to decide."""
    rows, cuts, slopes = cut
    nearest = np.rint(cuts)
    close = np.abs(cuts - nearest) <= CLOSE_PX + CLOSE_PX * np.abs(slopes)
    close &= (nearest >= 0) & (nearest < shape[1])
    # A corner on a row: whether it cuts the row is not certain.
    corners = edges[0][:, 1]
    on_row = np.abs(corners - np.rint(corners)) <= CLOSE_PX
    whole = np.union1d(np.rint(corners[on_row]).astype(np.int64), rows[np.abs(slopes) > STEEP])
    whole = whole[(whole >= 0) & (whole < shape[0])]
    all_rows = np.repeat(whole, shape[1])
    all_cols = np.tile(np.arange(shape[1]), whole.size)
    return (
        np.concatenate([rows[close], all_rows]),
        np.concatenate([nearest[close].astype(np.int64), all_cols]),
    )


def _contains(
    area: BaseGeometry, geobox: GeoBox, window: Window, where: tuple[Ints, Ints]
) -> NDArray[np.bool_]:
    ys, xs = window
    a, b, x0, d, e, y0 = tuple(geobox.affine)[:6]
    rows, cols = where[0] + ys.start + 0.5, where[1] + xs.start + 0.5
    x, y = a * cols + b * rows + x0, d * cols + e * rows + y0
    return np.asarray(shapely.contains_xy(area, x, y), bool)
