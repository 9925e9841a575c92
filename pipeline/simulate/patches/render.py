"""Light on its way through a patch: sun, clouds, ground, air, sensor.

The physics is that of `pipeline.simulate.scene`, arranged for speed: what clouds reflect and let through is
looked up by optical depth, and the same for all bands of a regime.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.ndimage

from pipeline.simulate.bands import Band
from pipeline.simulate.patches.clouds import MOST_TAU, Cloud
from pipeline.simulate.patches.fields import Canvas, rolled, smooth
from pipeline.simulate.physics.atmosphere import Air, BandAir, band_air
from pipeline.simulate.physics.noise import Floats
from pipeline.simulate.physics.optics import asymmetry, two_stream
from pipeline.simulate.physics.shadow import SPREAD_CAP_M, SUN_WIDTH, Daylight, light
from pipeline.simulate.physics.sun import Sun

TRUTH_UM = 0.86
"""Wavelength at which light on the ground is compared with that of a clear sky: as in the archive's truth."""

_STEPS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Sky:
    """What is between sun, ground and sensor."""

    sun: Sun
    clouds: Sequence[Cloud]
    air: Air
    haze: Floats | None = None
    """(Y, X) aerosol relative to its mean; none: even."""

    @property
    def tau(self) -> Floats | None:
        """Return the optical depth of all clouds; none: no clouds."""
        total = None
        for cloud in self.clouds:
            total = cloud.tau if total is None else total + cloud.tau
        return total


def daylight(sky: Sky, pixel_m: float) -> Daylight | None:
    """Return what clouds leave of the daylight on the ground; none: no clouds."""
    found: Daylight | None = None
    for cloud in sky.clouds:
        here = _under(cloud, sky.sun, pixel_m)
        if found is None:
            found = here
        else:
            dark = (1 - found.sky) * (1 - here.sky)
            found = Daylight(beam=found.beam * here.beam, sky=1 - dark)
    return found


def shade(lit: Daylight | None, air: Air, albedo: float) -> Floats | None:
    """Return light on the ground at `TRUTH_UM`, 1 = that of a clear sky; none: no clouds."""
    if lit is None:
        return None
    band = Band(
        role="nir08",
        product_name="",
        title="",
        wavelength_um=TRUTH_UM,
        width_um=0.02,
        gsd_m=10,
        gas=1.0,
    )
    return light(lit, band_air(air, band).diffuse, albedo)


def _under(cloud: Cloud, sun: Sun, pixel_m: float) -> Daylight:
    base_px = min(cloud.base_m, SPREAD_CAP_M) / pixel_m
    slant = smooth(
        _slant(cloud, sun, pixel_m), cloud.base_m / pixel_m * SUN_WIDTH / (2.4 * sun.mu)
    )
    place = _place(np.maximum(slant, 0))
    through = _table("vnir", cloud.ice)[1].take(place)
    straight = np.minimum(_straight(cloud.ice, round(sun.mu, 3)).take(place), through)
    overhead = _table("vnir", cloud.ice)[0].take(_place(cloud.tau))
    spread = np.maximum(smooth(through - straight, 0.25 * base_px), 0)
    return Daylight(
        beam=straight + spread, sky=np.clip(smooth(overhead, 0.6 * base_px), 0, 0.95)
    )


def _slant(cloud: Cloud, sun: Sun, pixel_m: float) -> Floats:
    """Return the optical depth between the ground and the sun, slice by slice of the cloud's height."""
    slices = int(np.clip(math.ceil(cloud.depth_m * sun.tangent / (3 * pixel_m)), 1, 6))
    if slices == 1:
        return _cast(cloud.tau, cloud.base_m + cloud.depth_m / 2, sun, pixel_m)
    top = height(cloud)
    density = cloud.tau / np.maximum(top, 1.0)
    thickness = cloud.depth_m / slices
    total = np.zeros_like(cloud.tau)
    for index in range(slices):
        filled = np.clip(top - index * thickness, 0, thickness) * density
        total += _cast(filled, cloud.base_m + (index + 0.5) * thickness, sun, pixel_m)
    return total


def height(cloud: Cloud) -> Floats:
    """Return the geometric thickness of a cloud, (Y, X) metres."""
    highest = max(float(cloud.tau.max()), 1e-3)
    return np.asarray(np.sqrt(cloud.tau / highest) * cloud.depth_m, np.float32)


def _cast(plane: Floats, height_m: float, sun: Sun, pixel_m: float) -> Floats:
    away = height_m * sun.tangent / pixel_m
    return rolled(
        plane, round(away * math.cos(sun.azimuth)), round(-away * math.sin(sun.azimuth))
    )


def _place(tau: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    """Return where in a table an optical depth stands: by its root, since small ones matter most."""
    scaled = np.sqrt(tau)
    scaled *= np.float32((_STEPS - 1) / math.sqrt(MOST_TAU))
    return np.minimum(scaled, _STEPS - 1).astype(np.int32)


@functools.cache
def _depths() -> Floats:
    return np.asarray(np.linspace(0, math.sqrt(MOST_TAU), _STEPS) ** 2, np.float32)


@functools.cache
def _table(regime: str, ice: bool) -> tuple[Floats, Floats]:
    return two_stream(_depths(), regime, ice=ice)


@functools.lru_cache(maxsize=64)
def _straight(ice: bool, mu: float) -> Floats:
    forward = 1 - asymmetry(ice=ice) ** 2
    return np.asarray(np.exp(-forward * _depths() / mu), np.float32)


# -- the view from above -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """All that does not depend on the band."""

    sky: Sky
    lit: Daylight | None
    illumination: Floats
    sky_view: Floats
    pixel_m: float
    optics: Mapping[tuple[int, str], tuple[Floats, Floats]]
    """(Layer, regime) -> reflectance, transmittance."""
    veil: Sequence[Floats]
    """Of each layer, how much of what the air below it scatters still comes through."""


def look(sky: Sky, lit: Daylight | None, relief: tuple[Floats, Floats], pixel_m: float) -> View:
    """Prepare what all bands share."""
    return View(
        sky=sky,
        lit=lit,
        illumination=relief[0],
        sky_view=relief[1],
        pixel_m=pixel_m,
        optics={},
        veil=[np.exp(np.float32(-0.5) * cloud.tau) for cloud in sky.clouds],
    )


def _optics(view: View, number: int, regime: str) -> tuple[Floats, Floats]:
    known = view.optics
    if (number, regime) not in known:
        cloud = view.sky.clouds[number]
        place = _place(cloud.tau)
        reflected, through = (each.take(place) for each in _table(regime, cloud.ice))
        shading = _flanks(cloud, view.sky.sun, view.pixel_m)
        if shading is not None:
            reflected = np.minimum(reflected * shading, np.float32(0.95))
        known[number, regime] = reflected, through  # type: ignore[index]
    return known[number, regime]


def _flanks(cloud: Cloud, sun: Sun, pixel_m: float) -> Floats | None:
    """Return how much brighter flanks towards the sun are than those away from it; none: a flat top."""
    if cloud.depth_m < 120 or cloud.ice:
        return None
    top = smooth(height(cloud), 1.5)
    east = (np.roll(top, -1, axis=1) - np.roll(top, 1, axis=1)) / np.float32(2 * pixel_m)
    north = (np.roll(top, 1, axis=0) - np.roll(top, -1, axis=0)) / np.float32(2 * pixel_m)
    east *= np.float32(math.sin(sun.azimuth) * 0.55 * sun.tangent)
    north *= np.float32(math.cos(sun.azimuth) * 0.55 * sun.tangent)
    return np.clip(1 - east - north, 0.72, 1.18)


def top_of_atmosphere(view: View, band: Band, clean: Floats) -> Floats:
    """Return the reflectance that a perfect sensor sees; as `pipeline.simulate.scene.top_of_atmosphere`."""
    air = band_air(view.sky.air, band)
    lit: Floats | None = None
    if view.lit is not None:
        lit = light(view.lit, air.diffuse, float(clean[::4, ::4].mean()))
    signal, veil, passed = np.zeros_like(clean), np.ones_like(clean), np.ones_like(clean)
    path_so_far = 0.0
    for number, cloud in enumerate(view.sky.clouds):
        reflected, through = _optics(view, number, band.regime)
        path = air.path_above(cloud.base_m)
        signal = signal + veil * np.float32(path - path_so_far)
        signal = (
            signal + (passed * passed * np.float32(air.two_way_above(cloud.base_m))) * reflected
        )
        veil = veil * view.veil[number]
        passed = passed * through
        path_so_far = path
    below = np.full_like(clean, air.path - path_so_far)
    if view.sky.haze is not None:
        below = below + np.float32(air.path_aerosol) * (view.sky.haze - 1)
    if lit is not None:
        below = below * (np.float32(0.8) + np.float32(0.2) * lit)
    ground = _ground(view, air, clean if lit is None else clean * lit)
    signal = signal + veil * below + (passed * np.float32(air.down * air.up)) * ground
    return np.asarray(np.float32(air.gas) * signal, np.float32)


def _ground(view: View, air: BandAir, lit: Floats) -> Floats:
    relief = np.float32(1 - air.diffuse) * view.illumination
    relief += np.float32(air.diffuse) * view.sky_view
    surface = lit * relief
    around = _surroundings(surface, 600 / view.pixel_m)
    return np.asarray(
        np.float32(air.straight) * surface + np.float32(1 - air.straight) * around, np.float32
    )


def _surroundings(surface: Floats, sigma_px: float) -> Floats:
    """Blur widely: nothing finer than an eighth of the pixels is left."""
    step = 8
    size = surface.shape[0] // step
    coarse = surface.reshape(size, step, size, step).mean(axis=(1, 3))
    coarse = smooth(coarse.astype(np.float32), sigma_px / step)
    return np.repeat(np.repeat(coarse, step, axis=0), step, axis=1)


def sense(
    canvas: Canvas, plane: Floats, blur_px: float, shift_px: tuple[float, float]
) -> Floats:
    """Apply a sensor to a band: blur it and shift it by a part of a pixel."""
    for axis, shift in enumerate(shift_px):
        taps = np.exp(-((np.arange(-3, 4) - shift) ** 2) / (2 * blur_px**2))
        kernel = (taps / taps.sum()).astype(np.float32)
        plane = scipy.ndimage.correlate1d(plane, kernel, axis=axis, mode="wrap")
    noise = canvas.rng.standard_normal(plane.shape, dtype=np.float32)
    noise *= np.sqrt(np.float32(2e-7) + np.float32(1.2e-5) * np.maximum(plane, 0))
    return np.asarray(plane + noise, np.float32)
