"""Bands that do not see the sun's light: heat, radar and height, on the scale of reflectance.

Each is what a network may be given beside a patch's optical bands; clouds hide the ground from the first alone.

- **Heat** (`lwir11`, 10.9 µm): Planck radiances of ground and cloud tops, added up by emissivity. Air cools by 6.5 K/km (ICAO
  standard atmosphere) down to 217 K. A cloud's emissivity is 1 - exp(-τ/2): it absorbs at 11 µm about half of what it takes from visible
  light (Minnis et al. 1993, https://doi.org/10.1175/1520-0450(1993)032<1279:SCPDTA>2.0.CO;2; Stephens 1978 gives nearly the same
  for water clouds). The sun warms ground above the air, bare ground most, under shadows half as much. Brightness temperature, as
  TIRS of Landsat 8 resolves it (100 m, .1 to .4 K): 180 K is 0, 330 K is 1.
- **Radar** (`vv`, `vh`, 5.405 GHz): backscatter of each surface, typical of C band at 30 to 45° (Ulaby and Dobson 1989, "Handbook of
  radar scattering statistics for terrain", rounded), brighter on slopes that face it, on a floor of -25 dB, with the speckle of 4.4 looks in
  10 m (products of Sentinel-1 by ESA), fewer grains in larger pixels. Clouds are transparent. -30 dB is 0, 0 dB is 1.
- **Height** (`height`): of the relief above the sea, with errors of 2 m. 4 km is 1.

A band is told by its wavelength, none for height. What is received across (`vh`) has its edges the other way round: networks that
know bands by their edges tell the two apart, as SEnSeI-v2 fills one half of its code or the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.simulate.bands import Band
from pipeline.simulate.patches import render
from pipeline.simulate.patches.fields import smooth
from pipeline.simulate.patches.ground import Ground
from pipeline.simulate.patches.sensors import band
from pipeline.simulate.patches.spectra import SNOW, WATER
from pipeline.simulate.physics.noise import Floats

RADAR_NM = 299_792_458 / 5.405e9 * 1e9

BANDS: Mapping[str, Band] = {
    each.role: each
    for each in (
        band("lwir11", 10_895, 590),
        band("vv", RADAR_NM, RADAR_NM / 2),
        band("vh", RADAR_NM, -RADAR_NM / 2),
        band("height", 0, 0),
    )
}

LAPSE_K_PER_M = 0.0065
COLDEST_K = 217.0
HIDDEN_PER_TAU = 0.5
"""Optical depth of absorption at 11 µm for each of visible light."""
PLANCK_K = 14_387.77 / 10.895
"""hc / (λk)."""
KELVIN = (180.0, 330.0)
DECIBEL = (-30.0, 0.0)
HIGHEST_M = 4000.0
FLOOR_DB = -25.0
LOOKS = 4.4
"""Of radar, in a pixel of 10 m."""

# Of each surface: how much warmer than air under a high sun, K; VV and VH, dB.
_TABLE: Mapping[str, tuple[float, float, float]] = {
    "crop": (3, -11, -17),
    "grass": (4, -13, -20),
    "dry grass": (10, -13.5, -21),
    "leaves": (2, -9.5, -14.5),
    "needles": (2, -10, -15.5),
    "rainforest": (1, -8.5, -13.5),
    "shrub": (7, -12, -18.5),
    "loam": (14, -12.5, -21),
    "dark soil": (15, -11.5, -20),
    "red soil": (15, -13, -21.5),
    "sand": (16, -19, -26),
    "bright sand": (14, -20, -27),
    "salt": (8, -16, -25),
    "rock": (14, -10, -18),
    "lava": (19, -9, -17),
    "char": (17, -12, -20),
    "ash": (12, -13, -21),
    "asphalt": (16, -17, -25),
    "concrete": (11, -5, -13),
    "white roof": (5, -4, -11),
    "metal roof": (7, -3, -11),
    "blue roof": (11, -3, -11),
    "tiles": (13, -4, -11),
    "greenhouse": (6, -6, -13),
    **dict.fromkeys(WATER, (-3.0, -20.0, -28.0)),
    **dict.fromkeys(SNOW, (-3.0, -14.0, -21.0)),
}
SNOW_K = 272.5
"""Snow is no warmer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a patch is made of."""

    ground: Ground
    sky: render.Sky
    illumination: Floats
    """Direct sunlight on the slopes, 1 = on flat ground."""
    light: Floats | None
    """On the ground, 1 = that of a clear sky; none: no clouds."""
    pixel_m: float


def seen(rng: np.random.Generator, scene: Scene) -> Mapping[str, Floats]:
    """Return what each of `BANDS` sees, (Y, X) float32, mostly 0 to 1."""
    high = rng.uniform(0, 60 if scene.ground.water is not None else 1500)
    relief = scene.ground.height_m
    height = np.zeros_like(scene.ground.blend) if relief is None else relief - relief.min()
    height = np.asarray(height + np.float32(high), np.float32)
    return {
        "lwir11": _heat(rng, scene, height),
        "vv": _radar(rng, scene, 1),
        "vh": _radar(rng, scene, 2),
        "height": (height + _noise(rng, height, 2.0)) / np.float32(HIGHEST_M),
    }


def kelvin(value: Floats) -> Floats:
    """Return the brightness temperature that a value of the band of heat stands for."""
    return np.asarray(KELVIN[0] + (KELVIN[1] - KELVIN[0]) * value, np.float32)


def _heat(rng: np.random.Generator, scene: Scene, height: Floats) -> Floats:
    snow = scene.ground.snow
    air = rng.uniform(258, 273) if snow is not None else rng.uniform(276, 308)
    sun = scene.illumination * np.float32(scene.sky.sun.mu)
    if scene.light is not None:
        sun = sun * (np.float32(0.5) + np.float32(0.5) * scene.light)
    warm = _of_materials(scene.ground, 0)
    # The sun does not warm water and snow within a day: they are colder than the air by as much all the time.
    surface = air - LAPSE_K_PER_M * height + warm * np.where(warm > 0, sun, 1)
    if snow is not None:
        surface = np.where(snow, np.minimum(surface, SNOW_K), surface)
    radiance = planck(np.asarray(surface, np.float32))
    for cloud in reversed(scene.sky.clouds):
        top = cloud.base_m + render.height(cloud)
        cold = planck(np.maximum(air - np.float32(LAPSE_K_PER_M) * top, np.float32(COLDEST_K)))
        through = np.exp(np.float32(-HIDDEN_PER_TAU) * cloud.tau)
        radiance = through * radiance + (1 - through) * cold
    found = temperature(smooth(np.asarray(radiance, np.float32), 100 / 2.355 / scene.pixel_m))
    found = found + _noise(rng, found, rng.uniform(0.1, 0.4))
    return np.asarray((found - KELVIN[0]) / (KELVIN[1] - KELVIN[0]), np.float32)


def planck(kelvins: Floats) -> Floats:
    """Return the radiance of a black body at 10.9 µm, in units of its own."""
    return np.asarray(1 / np.expm1(PLANCK_K / kelvins), np.float32)


def temperature(radiance: Floats) -> Floats:
    """Return the temperature, K, of a black body with a radiance of `planck`."""
    return np.asarray(PLANCK_K / np.log1p(1 / np.maximum(radiance, 1e-6)), np.float32)


def _radar(rng: np.random.Generator, scene: Scene, column: int) -> Floats:
    ground = scene.ground
    facing = np.clip(1 + np.float32(1.5) * ground.slope_east, 0.2, 4)
    power = 10 ** (_of_materials(ground, column) / 10) * facing
    looks = LOOKS * min(max(1.0, (scene.pixel_m / 10) ** 2), 50.0)
    speckle = rng.gamma(looks, 1 / looks, power.shape).astype(np.float32)
    decibel = 10 * np.log10((power + 10 ** (FLOOR_DB / 10)) * speckle)
    return np.asarray((decibel - DECIBEL[0]) / (DECIBEL[1] - DECIBEL[0]), np.float32)


def _of_materials(ground: Ground, column: int) -> Floats:
    """Return a column of the table for each pixel, mixed as its spectra are."""
    one, two = (
        np.array([_TABLE[pair[side]][column] for pair in ground.materials], np.float32)
        for side in (0, 1)
    )
    return np.asarray(
        one.take(ground.labels) + (two - one).take(ground.labels) * ground.blend, np.float32
    )


def _noise(rng: np.random.Generator, like: Floats, spread: float) -> Floats:
    return np.float32(spread) * rng.standard_normal(like.shape, dtype=np.float32)
