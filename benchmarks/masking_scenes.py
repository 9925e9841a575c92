"""What the benchmark of the masking engine masks: a scene of any size that takes no memory.

A texture of clouds of many sizes over fields repeats, so that a block of a scene is a view of it: what
reading costs is another benchmark. A peer gets the same pixels as the array it asks for.
"""

from __future__ import annotations

import dask.array as da
import numpy as np
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

PERIOD = 1024


def texture(n_bands: int) -> np.ndarray:
    """Return (B, 2 · PERIOD, 2 · PERIOD) float32 reflectance: the pattern four times.

    So any block of up to PERIOD px is one view of it. Nobody's timing depends on what is in it.
    """
    rng = np.random.default_rng(7)
    image = np.full((n_bands, PERIOD, PERIOD), 0.1, np.float32)
    for cell in (512, 128, 32, 8):
        coarse = rng.random((PERIOD // cell,) * 2, dtype=np.float32) ** 3
        image += 0.2 * np.kron(coarse, np.ones((cell, cell), np.float32))
    image += rng.normal(0, 0.01, image.shape).astype(np.float32)
    return np.tile(image, (1, 2, 2))


def whole(size: int, n_bands: int) -> np.ndarray:
    """Return (B, size, size) float32, in memory."""
    pattern = texture(n_bands)[:, :PERIOD, :PERIOD]
    times = -(-size // PERIOD)
    return np.tile(pattern, (1, times, times))[:, :size, :size]


class Band:
    """One band of a scene with no data round it, (time, y, x), made when it is read."""

    dtype = np.dtype(np.float32)
    ndim = 3

    def __init__(
        self,
        pattern: np.ndarray,
        reads: GeoBox,
        at: tuple[int, int],
        size: int,
        bordered: dict[str, np.ndarray],
    ) -> None:
        """Place a scene of size × size pixels at (top, left) of what is read; blocks at its edge are kept."""
        self.shape = (1, *reads.shape)
        self._pattern = pattern
        self._at, self._size = at, size
        self._bordered = bordered

    def __getitem__(self, key: tuple[slice, slice, slice]) -> np.ndarray:
        spans = [
            (span.start - start, span.stop - start)
            for span, start in zip(key[1:], self._at, strict=True)
        ]
        views = tuple(
            slice(first % PERIOD, first % PERIOD + last - first) for first, last in spans
        )
        block = self._pattern[views][np.newaxis]
        if all(first >= 0 and last <= self._size for first, last in spans):
            return block
        inside = tuple(
            slice(max(-first, 0), max(min(last, self._size) - first, 0))
            for first, last in spans
        )
        # Made once, and kept: blocks at the edge would be the only ones that take memory.
        key = repr((views, inside))
        if key not in self._bordered:
            bordered = np.full(block.shape, np.nan, np.float32)
            bordered[0, *inside] = block[0, *inside]
            self._bordered[key] = bordered
        return self._bordered[key]


def cube(
    pattern: np.ndarray,
    roles: tuple[str, ...],
    reads: GeoBox,
    at: tuple[int, int],
    size: int,
    bordered: dict[str, dict[str, np.ndarray]],
) -> xr.Dataset:
    """Return a scene as a lazy cube (time, y, x) of 512 px chunks over what is read.

    Blocks at the edge are looked up in, and added to, what scenes before it had, by role.
    """
    lazy = {
        role: (
            ("time", "y", "x"),
            da.from_array(
                Band(band, reads, at, size, bordered.setdefault(role, {})),
                (1, 512, 512),
                name=f"{role}-{size}",
            ),
        )
        for role, band in zip(roles, pattern, strict=True)
    }
    held = xr.Dataset(lazy, xr_coords(reads))
    for role in roles:
        held[role].encoding["grid_mapping"] = "spatial_ref"
    return held


def square(size: int) -> GeoBox:
    """Return the geobox of a scene of 20 m pixels at the origin of its CRS."""
    return GeoBox((size, size), Affine(20, 0, 0, 0, -20, 0), "EPSG:32632")


class Counts:
    """A target that counts codes instead of storing them."""

    def __init__(self) -> None:
        self._blocks: list[int] = []

    def __setitem__(self, key: tuple[slice, ...], block: np.ndarray) -> None:
        # Appending is safe from several threads.
        self._blocks.append(np.count_nonzero(block))

    def total(self) -> int:
        """Return how many pixels have a class."""
        return sum(self._blocks)
