"""Images of Landsat 8 made like those of Proba-V: its four bands, its blur, pixels of 90 m.

Mateo-García, Laparra, López-Puigdollers, Gómez-Chova 2020 (https://doi.org/10.1016/j.isprsjprs.2019.11.024): blue is a weighted sum of Landsat's
coastal and blue band, by the spectral responses; every band is blurred by a Gaussian as wide as Proba-V's point spread function, over 15 x
15 pixels of 30 m, and every third pixel is kept. The reprojection to Proba-V's grid of longitude and latitude, which the paper adds, is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from pipeline.datasets import labels as sets
from pipeline.errors import LabelledDataError
from pipeline.simulate.bands import Band
from pipeline.simulate.patches import SENSORS, Patch
from pipeline.training.sample import Floats, Sample, Source

Kind = TypeVar("Kind", bound=np.generic)

SHARES: Mapping[str, Mapping[str, float]] = {
    "blue": {"coastal": 0.24916, "blue": 0.75084},
    "red": {"red": 1.0},
    "nir": {"nir": 1.0},
    "swir16": {"swir16": 1.0},
}
"""Band of Proba-V -> bands of Landsat 8 and how much each counts."""

SIGMA_M = {"blue": 46.1236, "red": 50.0845, "nir": 46.7560, "swir16": 80.7639}
"""Standard deviation of each band's point spread function."""

PIXEL_M, TIMES, REACH_PX = 30.0, 3, 7
"""Landsat's pixel, how many of them make one, and how far the point spread function is followed."""


class AsProbaV:
    """A source of Landsat 8, made like Proba-V."""

    def __init__(self, source: Source) -> None:
        """Take a source whose scenes are three times as large."""
        self._source = source

    def scene(self, rng: np.random.Generator) -> Sample:
        """Draw a scene of the source, and make it like Proba-V."""
        found = self._source.scene(rng)
        known = found.labels != sets.NO_DATA
        return Sample(
            pixels=seen(found.pixels, found.bands_um, known),
            labels=joined(found.labels),
            bands_um=np.array(
                [(band.wavelength_um, band.width_um) for band in _bands()], np.float32
            ),
        )


def of_patch(patch: Patch) -> Patch:
    """Return a simulated patch of Landsat 8 made like Proba-V; the code of a pixel is that of its centre."""
    described = np.array([(each.wavelength_um, each.width_um) for each in patch.bands])
    everywhere = np.ones(patch.codes.shape, bool)
    return replace(
        patch,
        pixels=seen(patch.pixels, described, everywhere),
        bands=_bands(),
        labels=joined(patch.labels),
        codes=_centres(patch.codes),
        tau=_centres(patch.tau),
        light=_centres(patch.light),
        pixel_m=patch.pixel_m * TIMES,
        sensor="proba-v",
    )


def seen(
    pixels: Floats, bands_um: NDArray[np.floating[Any]], known: NDArray[np.bool_]
) -> Floats:
    """Return what Proba-V would see.

    Parameters
    ----------
    pixels
        (B, Y, X) reflectance of Landsat 8 at 30 m.
    bands_um
        (B, 2) centre and width of its bands.
    known
        (Y, X) where there is an image: what lies beside it is not mixed in.

    Returns
    -------
    (4, Y // 3, X // 3) reflectance in the order of `SHARES`.

    Raises
    ------
    LabelledDataError
        A band of Landsat 8 is lacking.
    """
    out = []
    for role, shares in SHARES.items():
        mixed = sum(share * pixels[_place(each, bands_um)] for each, share in shares.items())
        kernel = _kernel(SIGMA_M[role])
        weight = _centres(_blurred(known.astype(np.float32), kernel))
        total = _centres(_blurred(np.where(known, mixed, 0), kernel))
        out.append(np.divide(total, weight, out=np.zeros_like(total), where=weight > 0))
    return np.stack(out).astype(np.float32)


def joined(drawn: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return what each nine pixels together may be: any of what one may be; no data or unknown where one of them is."""
    height, width = (edge // TIMES for edge in drawn.shape)
    nine = drawn[: height * TIMES, : width * TIMES].reshape(height, TIMES, width, TIMES)
    either: NDArray[np.uint8] = np.bitwise_or.reduce(np.bitwise_or.reduce(nine, 3), 1)
    lacking = (nine == sets.NO_DATA).any(axis=(1, 3))
    unknown = (nine == sets.IGNORED).any(axis=(1, 3))
    either = np.where(unknown, np.uint8(sets.IGNORED), either)
    return np.where(lacking, np.uint8(sets.NO_DATA), either)


def _kernel(sigma_m: float) -> Floats:
    away = PIXEL_M * np.arange(-REACH_PX, REACH_PX + 1)
    found = np.exp(-(away**2) / (2 * sigma_m**2))
    return np.asarray(found / found.sum(), np.float32)


def _blurred(plane: Floats, kernel: Floats) -> Floats:
    for axis in (0, 1):
        plane = scipy.ndimage.correlate1d(plane, kernel, axis, mode="mirror")
    return plane


def _centres(plane: NDArray[Kind]) -> NDArray[Kind]:
    """Take the middle of each nine pixels."""
    height, width = (edge // TIMES * TIMES for edge in plane.shape)
    return plane[1:height:TIMES, 1:width:TIMES]


def _place(role: str, bands_um: NDArray[np.floating[Any]]) -> int:
    (wanted,) = (band for band in SENSORS["landsat-8"].bands if band.role == role)
    apart = np.abs(bands_um[:, 0] - wanted.wavelength_um)
    if apart.min() > 1e-3:
        raise LabelledDataError(
            f"images that shall look like Proba-V's need Landsat 8's bands coastal, blue, red, nir and swir16; {role} "
            "is lacking"
        )
    return int(apart.argmin())


def _bands() -> tuple[Band, ...]:
    known = {band.role: band for band in SENSORS["proba-v"].bands}
    return tuple(known[role] for role in SHARES)
