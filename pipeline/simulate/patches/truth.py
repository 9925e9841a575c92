"""The true class of each pixel of a patch, and where it is uncertain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.simulate.patches.ground import Where
from pipeline.simulate.physics.noise import Floats
from pipeline.types import Code

THIN_TAU, THICK_TAU = 0.1, 0.4
"""Optical depths from which a cloud is thin, and thick: as in `pipeline.evaluate.truth`."""
SHADOW_LIGHT = 0.80
"""Ground that gets less light than this share of a clear sky's is in shadow."""

UNSURE_THIN = (0.08, 0.12)
"""Optical depths at which it is uncertain whether there is a cloud."""
UNSURE_THICK = (0.35, 1.0)
"""Optical depths at which data sets disagree on whether a cloud is thin."""
UNSURE_LIGHT = (0.77, 0.83)
"""Shares of light at which it is uncertain whether there is a shadow."""


def surface_codes(shape: tuple[int, int], water: Where | None, snow: Where | None) -> Codes:
    """Return land, water or snow for each pixel."""
    codes = np.full(shape, Code.CLEAR, np.uint8)
    if water is not None:
        codes[water] = Code.WATER
    if snow is not None:
        codes[snow] = Code.SNOW
    return codes


Codes = NDArray[np.uint8]


def codes_of(surface: Codes, tau: Floats | None, light: Floats | None) -> Codes:
    """Return one code of `Code` for each pixel; clouds hide shadows."""
    codes = surface.copy()
    if light is not None:
        codes[light < SHADOW_LIGHT] = Code.CLOUD_SHADOW
    if tau is not None:
        codes[tau >= THIN_TAU] = Code.THIN_CLOUD
        codes[tau >= THICK_TAU] = Code.THICK_CLOUD
    return codes


def labels_of(surface: Codes, tau: Floats | None, light: Floats | None) -> Codes:
    """Return the set of codes that each pixel may be, as bits (`pipeline.datasets.labels`)."""
    return covered(np.uint8(1) << surface, tau, light)


def covered(clear: Codes, tau: Floats | None, light: Floats | None) -> Codes:
    """Return labels of clear ground with clouds and their shadows over it; see `labels_of`."""
    shadow, thin, thick = (
        np.uint8(1 << code) for code in (Code.CLOUD_SHADOW, Code.THIN_CLOUD, Code.THICK_CLOUD)
    )
    labels = clear
    if light is not None:
        labels = np.where(light < UNSURE_LIGHT[1], clear | shadow, clear)
        labels = np.where(light < UNSURE_LIGHT[0], shadow, labels)
    if tau is not None:
        labels = np.where(tau >= UNSURE_THIN[0], labels | thin, labels)
        # Over a shadow, too: who looks for clear ground wants neither, who looks for cloud wants this one.
        labels = np.where(tau >= UNSURE_THIN[1], thin, labels)
        labels = np.where(tau >= UNSURE_THICK[0], thin | thick, labels)
        labels = np.where(tau >= UNSURE_THICK[1], thick, labels)
    return np.asarray(labels, np.uint8)
