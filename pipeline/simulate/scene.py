"""One scene: from ground, clouds, air and sensor to Level-2A reflectance.

::

    clean surface ─┐
    clouds ─ light ┴▶ radiance at the top of the atmosphere ─▶ sensor (shift, blur, noise) ─▶ L2A
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.ndimage

from pipeline.simulate.bands import Band
from pipeline.simulate.clouds import Cover, form
from pipeline.simulate.grids import PIXEL_M, Reduce
from pipeline.simulate.landscape import Landscape
from pipeline.simulate.physics.atmosphere import Air, BandAir, band_air, surface_reflectance
from pipeline.simulate.physics.noise import Floats
from pipeline.simulate.physics.optics import two_stream
from pipeline.simulate.physics.shadow import Daylight, daylight_under, flank_shading, light
from pipeline.simulate.physics.sun import Sun

ENVIRONMENT_M = 600.0
"""Light scattered upwards by the air comes from surroundings of about this size."""

AOD_ERROR = 0.15
"""How well the Level-2A processor knows the aerosol, relative."""

SHIFT_PX = 0.25
"""Geolocation error of a scene, standard deviation in its own pixels at 10 m."""

PSF_PX = 0.45
"""Blur of the sensor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A layer of cloud as the radiation sees it; planes on one grid."""

    tau: Floats
    shading: Floats | None
    base_m: float
    ice: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """All that does not depend on the band, as planes (Y, X) on one grid."""

    sheets: tuple[Sheet, ...]
    """From the highest to the lowest."""
    daylight: Daylight | None
    illumination: Floats
    sky_view: Floats
    pixel_m: float

    def on(self, reduce: Reduce, pixel_m: float) -> Stage:
        """Return the stage on a coarser grid."""
        daylight = self.daylight
        return Stage(
            sheets=tuple(_sheet_on(sheet, reduce) for sheet in self.sheets),
            daylight=daylight
            and Daylight(beam=reduce(daylight.beam), sky=reduce(daylight.sky)),
            illumination=reduce(self.illumination),
            sky_view=reduce(self.sky_view),
            pixel_m=pixel_m,
        )

    @property
    def optical_depth(self) -> Floats:
        """Return the optical depth of all clouds."""
        total = np.zeros_like(self.illumination)
        for sheet in self.sheets:
            total += sheet.tau
        return total

    @property
    def ice_depth(self) -> Floats:
        """Return the optical depth of ice clouds alone."""
        total = np.zeros_like(self.illumination)
        for sheet in self.sheets:
            if sheet.ice:
                total += sheet.tau
        return total

    def light(self, diffuse: float, albedo: float) -> Floats:
        """Return the light on the ground, 1 = that of a clear sky."""
        if self.daylight is None:
            return np.ones_like(self.illumination)
        return light(self.daylight, diffuse, albedo)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What differs by sensor: random numbers, air, and the sky."""

    rng: np.random.Generator
    air: Air
    believed: Air
    """The air as the processor takes it to be."""
    shift_px: tuple[float, float]
    """Geolocation error (y, x), in pixels of 10 m."""


def set_stage(
    rng: np.random.Generator, landscape: Landscape, covers: Sequence[Cover], sun: Sun
) -> Stage:
    """Draw the clouds of a scene and the shadows that they throw, at 10 m."""
    shape = landscape.labels.shape
    layers = [form(rng, (shape[0], shape[1]), cover, PIXEL_M) for cover in covers]
    layers.sort(key=lambda layer: -layer.base_m)
    sheets = [
        Sheet(
            tau=layer.tau,
            shading=flank_shading(layer, sun, PIXEL_M),
            base_m=layer.base_m,
            ice=layer.ice,
        )
        for layer in layers
    ]
    return Stage(
        sheets=tuple(sheets),
        daylight=daylight_under(layers, sun, PIXEL_M),
        illumination=landscape.illumination(sun),
        sky_view=landscape.sky_view,
        pixel_m=PIXEL_M,
    )


def take_look(rng: np.random.Generator, sun: Sun) -> Look:
    """Draw the air of a scene and the errors of sensor and processor."""
    aod = float(np.clip(rng.lognormal(np.log(0.12), 0.5), 0.04, 0.40))
    shift = rng.normal(0, SHIFT_PX, 2)
    return Look(
        rng=rng,
        air=Air(aod=aod, mu=sun.mu),
        believed=Air(aod=aod * (1 + AOD_ERROR * float(rng.normal())), mu=sun.mu),
        shift_px=(float(shift[0]), float(shift[1])),
    )


def level2a(look: Look, stage: Stage, band: Band, clean: Floats) -> Floats:
    """Return the surface reflectance of a band in the product.

    Parameters
    ----------
    look
        The sensor's look at the scene.
    stage
        Clouds and light, on the band's grid.
    band
        Which band.
    clean
        The surface without clouds, (Y, X) on the same grid.
    """
    toa = top_of_atmosphere(stage, band, band_air(look.air, band), clean)
    seen = _sense(look, toa, stage.pixel_m)
    return surface_reflectance(seen, band_air(look.believed, band))


def top_of_atmosphere(stage: Stage, band: Band, air: BandAir, clean: Floats) -> Floats:
    """Return the reflectance that a perfect sensor would see.

    From the top down: air above a sheet, the sheet itself seen through that air, and so on; the
    ground last, through everything.
    """
    albedo = float(clean.mean())
    lit = stage.light(air.diffuse, albedo)
    signal: Floats = np.zeros_like(clean)
    veil = np.ones_like(clean)
    passed = np.ones_like(clean)
    path_so_far = 0.0
    for sheet, reflected, transmitted in _sheets(stage, band):
        path = air.path_above(sheet.base_m)
        signal += veil * (path - path_so_far)
        signal += passed * passed * air.two_way_above(sheet.base_m) * reflected
        veil *= np.exp(-sheet.tau / 2)
        passed *= transmitted
        path_so_far = path
    signal += veil * ((air.path - path_so_far) * (0.8 + 0.2 * lit))
    signal += (air.down * air.up) * passed * _ground(stage, air, clean * lit)
    return np.asarray(air.gas * signal, dtype=np.float32)


def _sheet_on(sheet: Sheet, reduce: Reduce) -> Sheet:
    shading = None if sheet.shading is None else reduce(sheet.shading)
    return Sheet(tau=reduce(sheet.tau), shading=shading, base_m=sheet.base_m, ice=sheet.ice)


def _sheets(stage: Stage, band: Band) -> Iterator[tuple[Sheet, Floats, Floats]]:
    for sheet in stage.sheets:
        reflected, transmitted = two_stream(sheet.tau, band.regime, ice=sheet.ice)
        if sheet.shading is not None:
            reflected = np.minimum(reflected * sheet.shading, np.float32(0.95))
        yield sheet, reflected, transmitted


def _ground(stage: Stage, air: BandAir, lit_surface: Floats) -> Floats:
    """Return what the ground sends up, mixed with its surroundings by the air."""
    relief = (1 - air.diffuse) * stage.illumination + air.diffuse * stage.sky_view
    surface = lit_surface * relief
    around = _surroundings(surface, ENVIRONMENT_M / stage.pixel_m)
    return np.asarray(air.straight * surface + (1 - air.straight) * around, dtype=np.float32)


def _surroundings(surface: Floats, sigma_px: float) -> Floats:
    """Blur widely, on a grid of a quarter of the pixels: nothing finer is left anyway."""
    step = 4
    height, width = surface.shape
    padded = np.pad(surface, ((0, -height % step), (0, -width % step)), mode="edge")
    blocks = padded.reshape(padded.shape[0] // step, step, padded.shape[1] // step, step)
    coarse = scipy.ndimage.gaussian_filter(
        blocks.mean(axis=(1, 3)), sigma_px / step, mode="nearest"
    )
    fine = scipy.ndimage.zoom(coarse, step, order=1, mode="nearest", grid_mode=True)
    return np.asarray(fine[:height, :width], dtype=np.float32)


def _sense(look: Look, toa: Floats, pixel_m: float) -> Floats:
    """See the scene with a sensor: misplaced, blurred, noisy, in steps of 1e-4."""
    scale = PIXEL_M / pixel_m
    for axis, shift in enumerate(look.shift_px):
        toa = scipy.ndimage.correlate1d(toa, _kernel(shift * scale), axis=axis, mode="nearest")
    noise = look.rng.standard_normal(toa.shape, dtype=np.float32)
    toa = toa + noise * np.sqrt(2e-7 + 1.2e-5 * np.maximum(toa, 0))
    return np.asarray(np.round(toa * 1e4) / 1e4, dtype=np.float32)


def _kernel(shift_px: float) -> Floats:
    """Return the taps of the sensor's blur, centred off the pixel by the shift."""
    taps = np.exp(-((np.arange(-3, 4) - shift_px) ** 2) / (2 * PSF_PX**2))
    return np.asarray(taps / taps.sum(), dtype=np.float32)
