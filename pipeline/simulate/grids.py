"""Pixel grids of the products, and how 10 m planes become coarser ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse
from affine import Affine
from numpy.typing import NDArray

from pipeline.simulate.physics.noise import Floats

CRS = "EPSG:32632"
EPSG = 32632

WEST_M, NORTH_M = 696_320, 5_345_280
"""Top left corner of the landscape, near Munich: multiples of 10 240 m, so that 512 pixels of 20 m
start here whatever the size."""

PIXEL_M = 10
"""The simulation's own resolution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A raster on the ground."""

    west_m: int
    north_m: int
    pixel_m: int
    height: int
    width: int

    @property
    def transform(self) -> Affine:
        """Return the affine transform, pixel corner to map."""
        return Affine(self.pixel_m, 0, self.west_m, 0, -self.pixel_m, self.north_m)

    @property
    def bounds(self) -> tuple[int, int, int, int]:
        """Return west, south, east, north in metres."""
        south = self.north_m - self.height * self.pixel_m
        return self.west_m, south, self.west_m + self.width * self.pixel_m, self.north_m

    def grown(self, margin_px: int) -> Window:
        """Return the window with a margin on all sides."""
        return Window(
            west_m=self.west_m - margin_px * self.pixel_m,
            north_m=self.north_m + margin_px * self.pixel_m,
            pixel_m=self.pixel_m,
            height=self.height + 2 * margin_px,
            width=self.width + 2 * margin_px,
        )


def landscape_window(size_px: int, pixel_m: int = PIXEL_M) -> Window:
    """Return the landscape on a Sentinel-2 grid; `size_px` is its edge in 10 m pixels."""
    edge = size_px * PIXEL_M // pixel_m
    return Window(west_m=WEST_M, north_m=NORTH_M, pixel_m=pixel_m, height=edge, width=edge)


def landsat_window(size_px: int) -> Window:
    """Return the largest Landsat grid inside the landscape.

    Collection 2 centres its pixels on multiples of 30 m, so its edges are odd multiples of 15 m.
    """
    west = math.ceil((WEST_M - 15) / 30) * 30 + 15
    north = math.floor((NORTH_M - 15) / 30) * 30 + 15
    edge_m = size_px * PIXEL_M
    width = (WEST_M + edge_m - west) // 30
    height = (north - (NORTH_M - edge_m)) // 30
    return Window(west_m=west, north_m=north, pixel_m=30, height=height, width=width)


Reduce = Callable[[Floats], Floats]
"""Mean of a 10 m plane over the pixels of another grid."""


def same(plane: Floats) -> Floats:
    """Stay at 10 m."""
    return plane


def halve(plane: Floats) -> Floats:
    """Go to 20 m: the mean of two by two pixels."""
    top, bottom = plane[::2], plane[1::2]
    summed = top[:, ::2] + top[:, 1::2] + bottom[:, ::2] + bottom[:, 1::2]
    return np.asarray(summed * np.float32(0.25), dtype=np.float32)


def to_landsat(size_px: int) -> Reduce:
    """Go to the Landsat grid, whose pixels share 10 m pixels with their neighbours."""
    window = landsat_window(size_px)
    rows = _overlap(NORTH_M - window.north_m, window.height, size_px)
    columns = _overlap(window.west_m - WEST_M, window.width, size_px)

    def reduce(plane: Floats) -> Floats:
        return np.ascontiguousarray((columns @ (rows @ plane).T).T, dtype=np.float32)

    return reduce


def _overlap(start_m: int, pixels: int, size_px: int) -> scipy.sparse.csr_array:
    """Return the shares, (30 m pixel, 10 m pixel), in which pixels are made of pixels."""
    weights: NDArray[np.float32] = np.zeros((pixels, size_px), dtype=np.float32)
    for pixel in range(pixels):
        begin = start_m + 30 * pixel
        for source in range(begin // PIXEL_M, -(-(begin + 30) // PIXEL_M)):
            inside = min(begin + 30, (source + 1) * PIXEL_M) - max(begin, source * PIXEL_M)
            weights[pixel, source] = inside / 30
    return scipy.sparse.csr_array(weights)
