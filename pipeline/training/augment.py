"""Samples varied: cut, scaled, turned, brighter, hazier, noisier, blurred, with gaps."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from pipeline.datasets import labels
from pipeline.training.experiment import AugmentSection
from pipeline.training.sample import Floats, Sample

SUNLIT_UM = 3.0
"""Bands below this see the sun's light."""


def cropped(
    sample: Sample, rng: np.random.Generator, crop_px: int, scale: tuple[float, float]
) -> Sample:
    """Cut a square out of a scene and bring it to `crop_px`, enlarged or reduced at random."""
    size = min(sample.labels.shape)
    factor = float(np.exp(rng.uniform(np.log(scale[0]), np.log(scale[1]))))
    edge = int(np.clip(round(crop_px / factor), crop_px // 4, size))
    top, left = (int(rng.integers(each - edge + 1)) for each in sample.labels.shape)
    window = slice(top, top + edge), slice(left, left + edge)
    pixels, drawn = sample.pixels[:, *window], sample.labels[window]
    if edge != crop_px:
        place = (np.arange(crop_px) + 0.5) * (edge / crop_px) - 0.5
        pixels = _stretched(_stretched(pixels, place, 1), place, 2)
        nearest = np.clip(np.rint(place), 0, edge - 1).astype(int)
        drawn = drawn[np.ix_(nearest, nearest)]
    return Sample(pixels=pixels, labels=drawn, bands_um=sample.bands_um)


def _stretched(pixels: Floats, place: NDArray[np.floating[Any]], axis: int) -> Floats:
    """Take values at places along an axis, linear between pixels."""
    last = pixels.shape[axis] - 1
    place = np.clip(place, 0, last)
    low = np.minimum(place.astype(int), max(last - 1, 0))
    part = (place - low).astype(np.float32)
    part = part.reshape([-1 if each == axis else 1 for each in range(3)])
    below, above = pixels.take(low, axis), pixels.take(np.minimum(low + 1, last), axis)
    return np.asarray(below + part * (above - below), np.float32)


def turned(sample: Sample, rng: np.random.Generator) -> Sample:
    """Turn and mirror a sample: one of eight ways."""
    quarter, mirrored = int(rng.integers(4)), bool(rng.integers(2))
    pixels = np.rot90(sample.pixels, quarter, axes=(1, 2))
    drawn = np.rot90(sample.labels, quarter)
    if mirrored:
        pixels, drawn = pixels[:, :, ::-1], drawn[:, ::-1]
    return Sample(
        pixels=np.ascontiguousarray(pixels),
        labels=np.ascontiguousarray(drawn),
        bands_um=sample.bands_um,
    )


def varied(sample: Sample, rng: np.random.Generator, how: AugmentSection) -> Sample:
    """Change brightness, haze, sharpness and noise of a sample, and take a part of it away."""
    count = sample.pixels.shape[0]
    drawn_gain = 1 + how.gain * rng.normal() + how.band_gain * rng.normal(size=count)
    # Haze falls with wavelength: by a power between that of dust and that of molecules.
    slope = rng.uniform(1, 4)
    centre = sample.bands_um[:, 0]
    lit = (centre > 0) & (centre < SUNLIT_UM)
    # Neither heat nor radar nor height knows the sun's light, or haze.
    haze = np.where(
        lit, how.haze * rng.normal() * (np.where(lit, centre, 1) / 0.49) ** -slope, 0
    )
    gain = np.where(lit, drawn_gain, 1)
    pixels = sample.pixels * np.clip(gain, 0.5, 1.5).astype(np.float32)[:, None, None]
    pixels += haze.astype(np.float32)[:, None, None]
    if rng.random() < how.blur:
        pixels = scipy.ndimage.gaussian_filter(pixels, (0, *[rng.uniform(0.3, 1.2)] * 2))
    spread = np.float32(rng.uniform(0, how.noise))
    pixels += spread * rng.standard_normal(pixels.shape, dtype=np.float32)
    drawn = sample.labels
    if rng.random() < how.gaps:
        gap = _gap(rng, drawn.shape[0])
        pixels = np.where(gap, _filler(pixels, gap), pixels)
        drawn = np.where(gap, np.uint8(labels.NO_DATA), drawn)
    return Sample(pixels=pixels, labels=drawn, bands_um=sample.bands_um)


def _gap(rng: np.random.Generator, size: int) -> NDArray[np.bool_]:
    """Draw a half plane, as beyond the edge of a swath, or a stripe."""
    y, x = np.ogrid[:size, :size]
    angle = rng.uniform(0, 2 * np.pi)
    off = (x - size / 2) * np.cos(angle) + (y - size / 2) * np.sin(angle)
    start = rng.uniform(-0.2, 0.6) * size
    found: NDArray[np.bool_] = off > start
    if rng.random() < 0.3:
        found &= off < start + rng.uniform(0.02, 0.2) * size
    return found


def _filler(pixels: Floats, gap: NDArray[np.bool_]) -> Floats:
    """Return what stands in a gap: the image turned over, as the engine's mirror would, or nothing is left."""
    return pixels[:, ::-1, ::-1] if not gap.all() else pixels
