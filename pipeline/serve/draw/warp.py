"""Which pixels of a region a map tile shows, and from which overview.

A pixel of a tile takes the region's pixel in which its centre lies (nearest neighbour): class codes must not be
averaged, and overviews have averaged reflectance already. Its place is computed exactly at a grid of Chebyshev
nodes, and between them by the polynomial through them: far below a hundredth of a pixel from a hundred kilometres
down, at a hundredth of the cost of projecting every pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import morecantile
import numpy as np
import pyproj
from numpy.typing import NDArray

from pipeline.types import Grid

NODES = 12
"""Along each side of a tile."""


@dataclass(frozen=True)
class Place:
    """Where the pixels of a tile lie in an overview of a region."""

    level: int
    """Factor of the overview."""
    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    """(y, x) of the tile: position of the pixel in the overview; not to be read where not `inside`."""
    inside: NDArray[np.bool_]

    @cached_property
    def window(self) -> tuple[slice, slice] | None:
        """The smallest window of the overview that has all of them; none: the tile lies beside the region."""
        if not self.inside.any():
            return None
        return _span(self.rows, self.inside), _span(self.cols, self.inside)

    @cached_property
    def _flat(self) -> NDArray[np.int64]:
        """Where the pixels lie in the flat window; the first where not `inside`."""
        assert self.window is not None
        ys, xs = self.window
        at = (self.rows - ys.start) * (xs.stop - xs.start) + (self.cols - xs.start)
        return np.where(self.inside, at, 0)

    def take(self, pixels: NDArray[Any], fill: float) -> NDArray[Any]:
        """Return the tile's values (y, x) of the pixels of `window`."""
        if self.window is None:
            return np.full(self.inside.shape, fill, pixels.dtype)
        out = pixels.ravel().take(self._flat)
        out[~self.inside] = fill
        return out


def _span(positions: NDArray[np.int64], where: NDArray[np.bool_]) -> slice:
    most = np.iinfo(positions.dtype).max
    least = positions.min(where=where, initial=most)
    return slice(int(least), int(positions.max(where=where, initial=-1)) + 1)


@lru_cache(maxsize=64)
def _to_grid(source: str, target: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(source, target, always_xy=True)


@lru_cache(maxsize=16)
def _interpolation(size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the nodes in 0 to 1, and the matrix (size, nodes) from values there to those at centres of pixels."""
    nodes = np.cos(np.pi * (2 * np.arange(NODES) + 1) / (2 * NODES))
    centres = 2 * (np.arange(size) + 0.5) / size - 1
    # Evaluated in Chebyshev polynomials, in which it is well conditioned.
    basis = np.polynomial.chebyshev.chebvander
    matrix = basis(centres, NODES - 1) @ np.linalg.inv(basis(nodes, NODES - 1))
    return (nodes + 1) / 2, matrix


def place(
    grid: Grid,
    levels: Sequence[int],
    tms: morecantile.TileMatrixSet,
    tile: morecantile.Tile,
    size: int,
) -> Place:
    """Find the pixels of a tile.

    Parameters
    ----------
    levels
        Factors of the overviews that there are, 1 included.
    size
        Edge of the tile, pixels.
    """
    nodes, matrix = _interpolation(size)
    left, bottom, right, top = tms.xy_bounds(tile)
    x, y = np.meshgrid(left + nodes * (right - left), top - nodes * (top - bottom))
    crs = grid.geobox.crs
    assert crs is not None, "a grid has a CRS"
    projected = _to_grid(tms.crs._pyproj_crs.to_wkt(), crs.to_wkt()).transform(x, y)
    inverse = ~grid.geobox.affine
    finite = np.isfinite(projected[0]) & np.isfinite(projected[1])
    px, py = (np.where(finite, each, 0.0) for each in projected)
    cols = inverse.a * px + inverse.b * py + inverse.c
    rows = inverse.d * px + inverse.e * py + inverse.f
    if not finite.all():
        return _nowhere(size)
    rows, cols = (matrix @ each @ matrix.T for each in (rows, cols))
    return _placed(grid, levels, rows, cols)


def _nowhere(size: int) -> Place:
    zeros = np.zeros((size, size), np.int64)
    return Place(1, zeros, zeros, np.zeros((size, size), bool))


def _placed(
    grid: Grid, levels: Sequence[int], rows: NDArray[np.float64], cols: NDArray[np.float64]
) -> Place:
    ny, nx = grid.geobox.shape
    inside = (rows >= 0) & (rows < ny) & (cols >= 0) & (cols < nx)
    step = max(np.abs(np.diff(rows, axis=0)).mean(), np.abs(np.diff(cols, axis=1)).mean())
    # As few pixels as show all detail of the tile; half a pixel more is not seen.
    level = max((each for each in levels if each <= 1.5 * step), default=1)
    shape = (-(-ny // level), -(-nx // level))
    at = [
        np.clip(np.floor(each / level), 0, most - 1).astype(np.int64)
        for each, most in zip((rows, cols), shape, strict=True)
    ]
    return Place(level, at[0], at[1], inside)
