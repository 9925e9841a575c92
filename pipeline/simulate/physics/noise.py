"""Periodic random fields with a power-law spectrum.

Everything soft in the simulation (relief, woods, clouds) is made of these. They live on a torus, so
that a cloud field may be rolled along the sun's direction to become its own shadow without a seam.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Spectrum:
    """How the power of a field falls with wavenumber: (k² + L⁻²)^(−β/2)."""

    beta: float
    """Steepness; 2 is grainy, 5 is smooth."""
    scale_m: float
    """Outer scale L: the size of the largest structures."""
    stretch: float = 1.0
    """How many times longer structures are along `angle` than across it."""
    angle: float = 0.0
    """Radians from the x axis towards the y axis."""


def noise(
    rng: np.random.Generator, shape: tuple[int, int], spectrum: Spectrum, pixel_m: float
) -> Floats:
    """Draw a periodic field of zero mean and unit variance.

    Parameters
    ----------
    rng
        Where the randomness comes from.
    shape
        (Y, X).
    spectrum
        Its power spectrum.
    pixel_m
        Size of a pixel.

    Returns
    -------
    (Y, X) float32.
    """
    white = rng.standard_normal(shape, dtype=np.float32)
    waves = scipy.fft.rfft2(white) * amplitude(shape, spectrum, pixel_m)
    field = scipy.fft.irfft2(waves, s=shape)
    return np.asarray(field / field.std(dtype=np.float64), dtype=np.float32)


def blur(field: Floats, sigma_px: float) -> Floats:
    """Smooth a periodic field with a Gaussian, in Fourier space: the cost does not grow with sigma."""
    ky, kx = _wavenumbers(field.shape, 1.0)
    window = np.exp(-2 * (np.pi * sigma_px) ** 2 * (ky**2 + kx**2)).astype(np.float32)
    smooth = scipy.fft.irfft2(scipy.fft.rfft2(field) * window, s=field.shape)
    return np.asarray(smooth, dtype=np.float32)


def _wavenumbers(shape: tuple[int, ...], pixel_m: float) -> tuple[Floats, Floats]:
    """Return cycles a metre along y, as a column, and along x, as a row."""
    ky = scipy.fft.fftfreq(shape[0], pixel_m).astype(np.float32)[:, None]
    kx = scipy.fft.rfftfreq(shape[1], pixel_m).astype(np.float32)[None, :]
    return ky, kx


def amplitude(shape: tuple[int, int], spectrum: Spectrum, pixel_m: float) -> Floats:
    """Return the amplitude of each wave of a field, as `scipy.fft.rfft2` orders them; zero for the mean."""
    ky, kx = _wavenumbers(shape, pixel_m)
    if spectrum.stretch != 1.0:
        cos, sin = np.cos(spectrum.angle), np.sin(spectrum.angle)
        along, across = kx * cos + ky * sin, ky * cos - kx * sin
        ky, kx = across.astype(np.float32), (along * spectrum.stretch).astype(np.float32)
    power = np.float32(spectrum.scale_m**-2) + ky**2 + kx**2
    amplitude = power ** np.float32(-spectrum.beta / 4)
    amplitude[0, 0] = 0.0
    return np.asarray(amplitude, dtype=np.float32)
