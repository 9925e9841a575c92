"""One patch of the stream: everything is drawn from its seed and index."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from pipeline.errors import ConfigError
from pipeline.simulate.bands import Band
from pipeline.simulate.patches import clouds, ground, recipes, render, sensors, truth, unlit
from pipeline.simulate.patches.fields import Canvas
from pipeline.simulate.physics.atmosphere import Air, band_air, surface_reflectance
from pipeline.simulate.physics.noise import Floats
from pipeline.simulate.physics.sun import Sun

MAIN_ROLES = ("blue", "green", "red", "nir", "nir08")
"""The bands that nearly every sensor has; near infrared by either name."""

TRUTH = sensors.band("", 1000 * render.TRUTH_UM, 20)
"""Where light on the ground is compared with that of a clear sky."""

Level = Literal["L1C", "L2A"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchSettings:
    """What the stream draws from."""

    size_px: int = 512
    """Edge; a multiple of 8."""
    sensors: tuple[str, ...] = ("sentinel-2", "landsat-8", "landsat-7", "venus", "superdove")
    levels: tuple[Level, ...] = ("L1C", "L2A")
    pixels_m: tuple[float, float] = (10.0, 60.0)
    """Finest and coarsest pixel."""
    bands: tuple[int, int] = (3, 6)
    """Fewest and most bands of a patch."""
    main_bands: float = 0.5
    """Share of patches that have just the bands of `MAIN_ROLES`."""
    grounds: Mapping[str, float] = field(default_factory=lambda: ground.GROUNDS)
    skies: Mapping[str, float] = field(default_factory=lambda: clouds.WEATHER)
    roles: tuple[str, ...] = ()
    """Just these bands, of each sensor or of `pipeline.simulate.patches.unlit`, in this order; none: some are drawn. Ground, sky
    and truth do not depend on them."""

    def __post_init__(self) -> None:
        self._known("sensors", self.sensors, sensors.SENSORS)
        self._known(
            "grounds", self.grounds, {**ground.GROUNDS, **dict.fromkeys(ground.KEPT_BACK)}
        )
        self._known("skies", self.skies, {**clouds.WEATHER, **dict.fromkeys(clouds.KEPT_BACK)})
        if self.size_px < 32 or self.size_px % 8:
            raise ConfigError(
                f"size_px: a multiple of 8 from 32 on is expected; got {self.size_px}"
            )
        self._have_roles()
        if not 1 <= self.bands[0] <= self.bands[1]:
            raise ConfigError(f"bands: fewest and most are expected; got {self.bands}")

    def _have_roles(self) -> None:
        for name in self.sensors if self.roles else ():
            optical = [band.role for band in sensors.SENSORS[name].bands]
            self._known("roles", self.roles, dict.fromkeys([*optical, *unlit.BANDS]))
            if not set(self.roles) & set(optical):
                raise ConfigError(
                    f"roles: a band that sees the sun's light is expected; got {', '.join(self.roles)}"
                )

    @staticmethod
    def _known(name: str, given: Sequence[str] | Mapping[str, float], known: object) -> None:
        assert isinstance(known, Mapping)
        unknown = [each for each in given if each not in known]
        if unknown or not given:
            raise ConfigError(
                f"{name}: there is no {', '.join(unknown) or 'entry'}; known are {', '.join(known)}"
            )


def kept_back(size_px: int = 512) -> PatchSettings:
    """Return settings of what training leaves out: other sensors, skies and grounds."""
    return PatchSettings(
        size_px=size_px,
        sensors=sensors.KEPT_BACK,
        pixels_m=(10.0, 100.0),
        grounds=dict.fromkeys(ground.KEPT_BACK, 1.0) | dict.fromkeys(ground.GROUNDS, 0.3),
        skies=dict.fromkeys(clouds.KEPT_BACK, 1.0) | dict.fromkeys(clouds.WEATHER, 0.1),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Patch:
    """A simulated image and what is true of it; planes (Y, X)."""

    pixels: Floats
    """(B, Y, X) reflectance."""
    bands: tuple[Band, ...]
    labels: truth.Codes
    """Sets of the codes that a pixel may be, as bits."""
    codes: truth.Codes
    """The one code of `Code` that is true."""
    tau: Floats
    """Optical depth of cloud."""
    light: Floats
    """Near infrared light on the ground, 1 = that of a clear sky."""
    pixel_m: float
    sensor: str
    level: Level
    ground: str
    sky: str
    sun: Sun
    aod: float
    """Optical depth of aerosol at 0.55 µm."""


def make_patch(seed: int, index: int, settings: PatchSettings | None = None) -> Patch:
    """Make one patch of a stream.

    Parameters
    ----------
    seed, index
        Which stream, and which patch of it; not negative.
    settings
        What is drawn from.
    """
    settings = settings or PatchSettings()
    rng = np.random.default_rng([seed, index])
    sensor = sensors.SENSORS[settings.sensors[int(rng.integers(len(settings.sensors)))]]
    canvas = Canvas(rng, settings.size_px, _pixel(rng, sensor, settings))
    kinds = canvas.weighted(dict(settings.grounds)), canvas.weighted(dict(settings.skies))
    bands = _bands(canvas, sensor, settings)
    optical = tuple(each for each in bands if each.role not in unlit.BANDS)
    laid = recipes.lay(canvas, kinds[0])
    sky = draw_sky(canvas, kinds[0], kinds[1])
    level = settings.levels[int(rng.integers(len(settings.levels)))]
    # Given roles, what is true must not depend on them.
    compared = (*optical, TRUTH) if settings.roles else optical
    clean = laid.reflectance(canvas, compared)
    lit = render.daylight(sky, canvas.pixel_m)
    light = render.shade(lit, sky.air, _albedo(clean, compared))
    relief = laid.illumination(sky.sun)
    view = render.look(sky, lit, relief, canvas.pixel_m)
    pixels = _seen(canvas, view, (sensor, level), list(zip(optical, clean, strict=False)))
    if len(optical) < len(bands):
        scene = unlit.Scene(
            ground=laid, sky=sky, illumination=relief[0], light=light, pixel_m=canvas.pixel_m
        )
        planes = unlit.seen(np.random.default_rng([seed, index, 71]), scene)
        own = {**dict(zip((each.role for each in optical), pixels, strict=True)), **planes}
        pixels = np.stack([own[each.role] for each in bands])
    surface = truth.surface_codes(pixels.shape[1:], laid.water, laid.snow)
    return Patch(
        pixels=pixels,
        bands=bands,
        labels=truth.labels_of(surface, sky.tau, light),
        codes=truth.codes_of(surface, sky.tau, light),
        tau=np.zeros_like(pixels[0]) if sky.tau is None else sky.tau,
        light=np.ones_like(pixels[0]) if light is None else light,
        pixel_m=canvas.pixel_m,
        sensor=sensor.name,
        level=level,
        ground=kinds[0],
        sky=kinds[1],
        sun=sky.sun,
        aod=sky.air.aod,
    )


def _pixel(rng: np.random.Generator, sensor: sensors.Sensor, settings: PatchSettings) -> float:
    low = max(sensor.pixels_m[0], settings.pixels_m[0])
    high = max(low, min(sensor.pixels_m[1], settings.pixels_m[1]))
    usual = [each for each in (10.0, 20.0, 30.0, 60.0) if low <= each <= high]
    if usual and rng.random() < 0.7:
        return usual[int(rng.integers(len(usual)))]
    return float(np.exp(rng.uniform(math.log(low), math.log(high))))


def _bands(canvas: Canvas, sensor: sensors.Sensor, settings: PatchSettings) -> tuple[Band, ...]:
    """Draw some bands of a sensor, in any order, or take those of the settings."""
    if settings.roles:
        own = {**{each.role: each for each in sensor.bands}, **unlit.BANDS}
        return tuple(own[role] for role in settings.roles)
    fewest, most = (min(each, len(sensor.bands)) for each in settings.bands)
    main = [each for each in sensor.bands if each.role in MAIN_ROLES]
    if {"nir", "nir08"} <= {each.role for each in main}:
        dropped = canvas.one_of("nir", "nir08")
        main = [each for each in main if each.role != dropped]
    if canvas.chance(settings.main_bands) and fewest <= len(main) <= most:
        return tuple(main)
    count = int(canvas.rng.integers(fewest, most + 1))
    return tuple(sensor.bands[i] for i in canvas.rng.permutation(len(sensor.bands))[:count])


def draw_sky(canvas: Canvas, on: str, over: str) -> render.Sky:
    """Draw sun, air and clouds: `over` is the kind of sky, `on` the kind of ground."""
    # Where snow lies the sun is low; elsewhere any height between dawn and the tropics' noon.
    low, high = (35, 76) if on in ("snow", "sea ice") else (12, 72)
    sun = Sun(
        zenith=math.radians(canvas.between(low, high)), azimuth=canvas.between(0, 2 * math.pi)
    )
    hazy = over == "haze"
    usual = float(np.clip(canvas.rng.lognormal(math.log(0.12), 0.6), 0.02, 0.5))
    aod = canvas.between(0.3, 0.8) if hazy else usual
    haze = None
    if hazy or canvas.chance(0.2):
        uneven = np.exp(np.float32(canvas.between(0.1, 0.5)) * canvas.noise(4.4, 6000))
        haze = np.asarray(uneven / uneven.mean(), np.float32)
    return render.Sky(
        sun=sun, clouds=clouds.sky(canvas, over), air=Air(aod=aod, mu=sun.mu), haze=haze
    )


def _albedo(clean: Sequence[Floats], bands: Sequence[Band]) -> float:
    """Return the mean reflectance in the band nearest to where light is compared."""
    nearest = min(
        range(len(bands)), key=lambda i: abs(bands[i].wavelength_um - render.TRUTH_UM)
    )
    return float(clean[nearest][::4, ::4].mean())


def _seen(
    canvas: Canvas,
    view: render.View,
    product: tuple[sensors.Sensor, Level],
    planes: Sequence[tuple[Band, Floats]],
) -> Floats:
    """Return the product's reflectance, (B, Y, X)."""
    rng, (sensor, level) = canvas.rng, product
    believed = Air(
        aod=max(0.01, view.sky.air.aod * (1 + 0.25 * rng.normal())), mu=view.sky.air.mu
    )
    if view.sky.air.aod > 0.3:
        # A processor underestimates thick haze and corrects too little of it.
        believed = Air(aod=canvas.between(0.1, view.sky.air.aod), mu=view.sky.air.mu)
    blur = canvas.between(0.35, 0.7)
    spread = 0.6 if canvas.chance(0.15) else 0.12
    stripes = canvas.log_between(1e-4, 0.012) if canvas.chance(0.2) else 0.0
    ceiling = sensor.ceiling * canvas.between(0.8, 1.2)
    out = np.empty((len(planes), canvas.size_px, canvas.size_px), np.float32)
    for number, (band, clean) in enumerate(planes):
        toa = render.top_of_atmosphere(view, band, clean)
        shift = rng.normal(0, spread, 2).clip(-1.5, 1.5)
        toa = render.sense(canvas, toa, blur, (float(shift[0]), float(shift[1])))
        if stripes:
            toa *= 1 + rng.normal(0, stripes, (1, canvas.size_px)).astype(np.float32)
        np.minimum(toa, np.float32(ceiling), out=toa)
        out[number] = (
            toa if level == "L1C" else surface_reflectance(toa, band_air(believed, band))
        )
    return out
