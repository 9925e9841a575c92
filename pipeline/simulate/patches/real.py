"""Simulated clouds and shadows over real images: the ground is true, and so is what hangs over it.

The sky is drawn as for a patch of the stream. What it changes is the difference of two pictures of the same ground,
one under this sky and one under a clear one; that difference is added to the image, so that a clear sky
changes nothing, whatever the image's own air was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.ndimage

from pipeline.simulate.bands import Band
from pipeline.simulate.patches import clouds, render, truth
from pipeline.simulate.patches.fields import Canvas
from pipeline.simulate.patches.patch import Level, draw_sky
from pipeline.simulate.physics.atmosphere import Air, band_air, surface_reflectance
from pipeline.simulate.physics.noise import Floats
from pipeline.types import Code

_THIN, _THICK = np.uint8(1 << Code.THIN_CLOUD), np.uint8(1 << Code.THICK_CLOUD)
_NO_DATA = np.uint8(1 << Code.NO_DATA)

USUAL_AOD = 0.12
"""Optical depth of aerosol that the image's own air is taken to have."""

BLUR_PX = 0.5
"""Of the sensor: clouds are no sharper than the ground."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ground:
    """A square of a real image."""

    pixels: Floats
    """(B, Y, X) reflectance, finite; the edges are equal, and a multiple of 8."""
    labels: truth.Codes
    """(Y, X) sets of the codes that a pixel may be, as bits; nothing: unknown."""
    bands: Sequence[Band]
    pixel_m: float
    level: Level


def under_clouds(
    ground: Ground,
    rng: np.random.Generator,
    skies: Mapping[str, float] = clouds.WEATHER,
) -> tuple[Floats, truth.Codes]:
    """Draw a sky over a real ground.

    Parameters
    ----------
    ground
        The image.
    rng
        What the sky is drawn with.
    skies
        Kinds of sky, and how often each is.

    Returns
    -------
    (B, Y, X) reflectance of the ground's level, and its labels, (Y, X). Of cloud that was there nobody knows how it looks in the
    shadow of another: such pixels are unknown.
    """
    canvas = Canvas(rng, ground.labels.shape[0], ground.pixel_m)
    sky = draw_sky(canvas, "any", canvas.weighted(dict(skies)))
    lit = render.daylight(sky, canvas.pixel_m)
    flat = np.ones((1, 1), np.float32)
    view = render.look(sky, lit, (flat, flat), canvas.pixel_m)
    usual = Air(aod=USUAL_AOD, mu=sky.sun.mu)
    clear = render.look(
        render.Sky(sun=sky.sun, clouds=(), air=usual), None, (flat, flat), canvas.pixel_m
    )
    pixels = np.empty_like(ground.pixels)
    for number, (band, plane) in enumerate(zip(ground.bands, ground.pixels, strict=True)):
        air = band_air(usual, band)
        known = plane if ground.level == "L2A" else surface_reflectance(plane, air)
        clean = np.clip(known, 0, 1.2)
        seen = render.top_of_atmosphere(view, band, clean)
        change = seen - render.top_of_atmosphere(clear, band, clean)
        change = scipy.ndimage.gaussian_filter(change, BLUR_PX, mode="wrap")
        if ground.level == "L2A":
            change /= np.float32(air.gas * air.down * air.up)
        pixels[number] = plane + change
    albedo = float(np.clip(ground.pixels[-1], 0, 1).mean())
    light = render.shade(lit, sky.air, albedo)
    return pixels, _labels(ground.labels, sky.tau, light)


def _labels(known: truth.Codes, tau: Floats | None, light: Floats | None) -> truth.Codes:
    if tau is None:
        return known
    cloudy = known & (_THIN | _THICK) != 0
    under = np.where(tau >= truth.UNSURE_THIN[0], known | _THIN | _THICK, known)
    if light is not None:
        under = np.where(light < truth.UNSURE_LIGHT[1], np.uint8(0), under)
    labels = np.where(cloudy, under, truth.covered(known, tau, light))
    labels = np.where(known == 0, np.uint8(0), labels)
    labels = np.where(tau >= truth.UNSURE_THICK[1], _THICK, labels)
    return np.asarray(np.where(known == _NO_DATA, known, labels), np.uint8)
