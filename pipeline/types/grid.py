"""The grid of a region and its tiles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox


CELL_PX = 64
"""Edge of the square cells of pixels, on multiples of it from the grid's anchor, in which scenes are compared."""


def beside(position_m: float, pixel_m: float) -> float:
    """Return how far a coordinate lies beyond a multiple of the pixel, in metres, rounded to a micrometre."""
    offset = round(position_m % pixel_m, 6)
    # Micrometres before a multiple: on it, as `pipeline.mask.lattice` counts pixels.
    return 0.0 if pixel_m - offset < 2e-6 * pixel_m else offset


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A rectangle of a grid: the unit of work, retry and commit."""

    row: int
    col: int
    """Position among the grid's tiles, from the top left."""
    window: tuple[slice, slice]
    """(y, x) pixels inside the grid's arrays, half-open."""
    geobox: GeoBox

    @property
    def name(self) -> str:
        """``r003c012``."""
        return f"r{self.row:03d}c{self.col:03d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """One pixel grid for a region and all its sensors, anchored on the origin of its CRS or beside it."""

    geobox: GeoBox
    """The region: its edges lie on whole multiples of `chunk_px` pixels from its anchor."""
    tile_px: int
    chunk_px: int

    @property
    def resolution_m(self) -> float:
        """Edge of a pixel."""
        return float(abs(self.geobox.resolution.x))

    @property
    def corner(self) -> tuple[float, float]:
        """How far (x, y) corners of pixels lie beyond multiples of the pixel, in metres."""
        affine = self.geobox.transform
        return beside(affine.c, self.resolution_m), beside(affine.f, self.resolution_m)

    @property
    def shape_in_tiles(self) -> tuple[int, int]:
        """(rows, columns) of tiles; the last of each may be narrower."""
        ny, nx = self.geobox.shape
        return -(-ny // self.tile_px), -(-nx // self.tile_px)

    def tile(self, row: int, col: int) -> Tile:
        """Return a tile by its position.

        Raises
        ------
        IndexError
            The grid has no such tile.
        """
        rows, cols = self.shape_in_tiles
        if not (0 <= row < rows and 0 <= col < cols):
            raise IndexError(f"tile ({row}, {col}) is outside a grid of {rows} × {cols} tiles")
        ny, nx = self.geobox.shape
        ys = slice(row * self.tile_px, min((row + 1) * self.tile_px, ny))
        xs = slice(col * self.tile_px, min((col + 1) * self.tile_px, nx))
        return Tile(row=row, col=col, window=(ys, xs), geobox=self.geobox[ys, xs])

    def tiles(self) -> Iterator[Tile]:
        """Yield every tile, row by row."""
        rows, cols = self.shape_in_tiles
        for row in range(rows):
            for col in range(cols):
                yield self.tile(row, col)
