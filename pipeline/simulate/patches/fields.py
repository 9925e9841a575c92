"""Random fields on a small torus, drawn quickly: thousands of patches are made for one training."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pipeline.simulate.physics.noise import Floats, Spectrum, amplitude


@dataclass(frozen=True, slots=True)
class Canvas:
    """The grid and the random numbers that a patch is drawn with."""

    rng: np.random.Generator
    size_px: int
    pixel_m: float

    def noise(
        self, beta: float, scale_m: float, stretch: float = 1.0, angle: float = 0.0
    ) -> Floats:
        """Draw a periodic field (Y, X) of zero mean and unit variance; see `Spectrum`."""
        size = self.size_px
        waves = np.empty((size, size // 2 + 1), np.complex64)
        self.rng.standard_normal(dtype=np.float32, out=waves.view(np.float32))
        waves *= amplitude((size, size), Spectrum(beta, scale_m, stretch, angle), self.pixel_m)
        field = scipy.fft.irfft2(waves, s=(size, size), overwrite_x=True)
        # The wave of number zero has no amplitude, so that the mean is zero.
        field *= np.float32(1 / max(float(np.sqrt(np.vdot(field, field) / field.size)), 1e-20))
        return np.asarray(field, dtype=np.float32)

    def axes(self) -> tuple[Floats, Floats]:
        """Return metres along y, as a column, and along x, as a row, from the patch's centre."""
        along = (np.arange(self.size_px, dtype=np.float32) - self.size_px / 2) * self.pixel_m
        return along[:, None].astype(np.float32), along[None, :].astype(np.float32)

    def between(self, low: float, high: float) -> float:
        """Draw a number evenly."""
        return float(self.rng.uniform(low, high))

    def log_between(self, low: float, high: float) -> float:
        """Draw a positive number evenly on a logarithmic scale."""
        return float(np.exp(self.rng.uniform(np.log(low), np.log(high))))

    def chance(self, share: float) -> bool:
        """Return true with a probability of `share`."""
        return bool(self.rng.random() < share)

    def one_of(self, *names: str) -> str:
        """Draw one of some names."""
        return names[int(self.rng.integers(len(names)))]

    def weighted(self, weights: dict[str, float]) -> str:
        """Draw a name by its weight."""
        names = list(weights)
        shares = np.array([weights[name] for name in names])
        return names[int(self.rng.choice(len(names), p=shares / shares.sum()))]


@functools.lru_cache(maxsize=8)
def _squares(size: int) -> tuple[Floats, Floats]:
    return (
        scipy.fft.fftfreq(size).astype(np.float32)[:, None],
        scipy.fft.rfftfreq(size).astype(np.float32)[None, :],
    )


def smooth(field: Floats, sigma_px: float) -> Floats:
    """Blur a periodic field with a Gaussian."""
    if sigma_px < 0.15:
        return field
    ky, kx = _squares(field.shape[0])
    factor = np.float32(-2 * (np.pi * sigma_px) ** 2)
    waves = scipy.fft.rfft2(field)
    waves *= np.exp(factor * ky**2)
    waves *= np.exp(factor * kx**2)
    return np.asarray(scipy.fft.irfft2(waves, s=field.shape, overwrite_x=True), np.float32)


def excess(field: Floats, share: float) -> Floats:
    """Return by how much a field exceeds the threshold that so large a share of it exceeds."""
    # Every third pixel is enough for a quantile, and sorting is dear.
    sample = field[::3, ::3].ravel()
    place = int(np.clip((1 - share) * sample.size, 0, sample.size - 1))
    return np.asarray(np.maximum(field - np.partition(sample, place)[place], 0), np.float32)


def rolled(field: Floats, dy: int, dx: int) -> Floats:
    """Move a periodic field by whole pixels, down and to the right."""
    return np.asarray(np.roll(field, (dy, dx), axis=(0, 1)), np.float32)


def parcels(
    canvas: Canvas, width_m: float, aspect: float, warp_m: float = 0.0
) -> tuple[NDArray[np.int32], Floats]:
    """Cut the plane into strips, and each strip into rectangles of uneven lengths, turned by an angle.

    Returns
    -------
    A number of each pixel's parcel, below 4096, and the distance to the parcel's edge, in metres.
    """
    y, x = canvas.axes()
    angle = canvas.between(0, np.pi)
    u = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))
    v = y * np.float32(np.cos(angle)) - x * np.float32(np.sin(angle))
    if warp_m:
        bend = canvas.noise(5.0, 3000) * np.float32(warp_m)
        u, v = u + bend, v - bend
    strips, strip, across = _cut(canvas, u, width_m)
    # Each strip has its own cuts: a table of them, moved by a random distance a strip.
    v = v + (canvas.rng.uniform(0, 50 * width_m, strips).astype(np.float32)).take(strip)
    _, piece, along = _cut(canvas, v, width_m * aspect)
    number = (strip.astype(np.int64) * 7919 + piece.astype(np.int64) * 104729) % 4093
    return number.astype(np.int32), np.minimum(across, along)


def _cut(
    canvas: Canvas, along: Floats, width_m: float
) -> tuple[int, NDArray[np.int32], Floats]:
    """Cut a line into pieces of uneven widths; return how many, each pixel's, and how far from its edge."""
    low, high = float(along.min()), float(along.max())
    count = int((high - low) / width_m) + 3
    # A random border within each cell of an even lattice needs no search.
    borders = (np.arange(count) + canvas.rng.uniform(-0.38, 0.38, count)).astype(np.float32)
    place = (along - low) * np.float32(1 / width_m) + 1
    cell = np.rint(place).astype(np.int32)
    piece = np.clip(cell - (place < borders.take(cell, mode="clip")), 0, count - 2)
    left, right = borders.take(piece), borders.take(piece + 1)
    edge = np.minimum(place - left, right - place) * np.float32(width_m)
    return count, piece.astype(np.int32), np.asarray(edge, np.float32)
