"""Patches of the archive's own regions: its ground, clouds and Level-2A processor, at other days, hours and seeds.

The stream's patches are of many worlds; these are of the one in which `cloudmask demo` and the benchmarks measure
composites. Seeds of regions start at `FIRST_SEED`, so that no archive of a smaller seed is ever learnt from.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from pipeline.simulate.bands import LANDSAT, SENTINEL2, Band
from pipeline.simulate.clouds import Cover, Kind
from pipeline.simulate.grids import PIXEL_M, Reduce, halve, same, to_landsat
from pipeline.simulate.landscape import Landscape, make_landscape
from pipeline.simulate.passes import LATITUDE, LONGITUDE
from pipeline.simulate.patches import truth
from pipeline.simulate.patches.patch import MAIN_ROLES, Patch
from pipeline.simulate.physics.atmosphere import band_air
from pipeline.simulate.physics.sun import sun_at
from pipeline.simulate.scene import level2a, set_stage, take_look

FIRST_SEED = 100_000

REGIONS = 32
"""Grounds that are drawn from; each is seen on any day of the year on which the sun stands high enough."""

SIZE_PX = 576
"""Edge of a region, in pixels of 10 m."""

_SKIES: tuple[tuple[float, tuple[tuple[Kind, float, float], ...]], ...] = (
    (0.08, ()),
    (0.45, (("cumulus", 0.02, 0.6),)),
    (0.12, (("cumulus", 0.02, 0.4), ("cirrus", 0.05, 0.3))),
    (0.13, (("stratocumulus", 0.15, 0.8),)),
    (0.07, (("stratus", 0.3, 0.98),)),
    (0.15, (("cirrus", 0.05, 0.5),)),
)
"""How often a sky is, and its layers: kind, least and largest share."""


@dataclass(frozen=True, slots=True)
class _View:
    """A sensor's bands, its pixels, and how planes of 10 m become those."""

    sensor: str
    bands: tuple[Band, ...]
    pixel_m: float
    reduce: Reduce


def make_regional_patch(seed: int, index: int, main_bands: float = 0.5) -> Patch:
    """Make a patch of one of the regions.

    Parameters
    ----------
    seed, index
        Which stream, and which patch of it; not negative.
    main_bands
        Share of patches that have blue, green, red and near infrared alone; others have shortwave infrared too.
    """
    rng = np.random.default_rng([seed, index, 5])
    view = _view(rng, main_bands)
    ground = _ground(int(rng.integers(REGIONS)))
    # From March to October the sun of the region stands at 25° and higher.
    when = datetime(2023, 3, 15, 9, tzinfo=UTC)
    when += timedelta(days=int(rng.integers(215)), minutes=int(rng.integers(240)))
    sun = sun_at(when, LONGITUDE, LATITUDE)
    look = take_look(rng, sun)
    stage = set_stage(rng, ground, _covers(rng), sun)
    clean = ground.reflectance(when.timetuple().tm_yday)
    nir = next(band for band in SENTINEL2 if band.role == "nir")
    lit = stage.light(band_air(look.air, nir).diffuse, float(clean["nir"].mean()))
    coarse = stage.on(view.reduce, view.pixel_m)
    pixels = [level2a(look, coarse, band, view.reduce(clean[band.role])) for band in view.bands]
    tau, light = coarse.optical_depth, view.reduce(lit)
    water = view.reduce(ground.water.astype(np.float32)) > 0.5
    surface = truth.surface_codes(tau.shape, water, None)
    return Patch(
        pixels=np.stack(pixels),
        bands=view.bands,
        labels=truth.labels_of(surface, tau, light),
        codes=truth.codes_of(surface, tau, light),
        tau=tau,
        light=light,
        pixel_m=view.pixel_m,
        sensor=view.sensor,
        level="L2A",
        ground="region",
        sky="region",
        sun=sun,
        aod=look.air.aod,
    )


@functools.lru_cache(maxsize=REGIONS)
def _ground(number: int) -> Landscape:
    return make_landscape(FIRST_SEED + number, SIZE_PX, PIXEL_M)


def _view(rng: np.random.Generator, main_bands: float) -> _View:
    wide = rng.random() >= main_bands
    kind = rng.choice(3, p=(0.25, 0.5, 0.25))
    if kind == 2:
        reduce = to_landsat(SIZE_PX)
        return _View("landsat-8", _some(LANDSAT, "nir08", wide=wide), 30.0, reduce)
    bands = _some(SENTINEL2, "nir" if rng.random() < 0.7 else "nir08", wide=wide)
    if kind == 1:
        return _View("sentinel-2", bands, 20.0, halve)
    return _View("sentinel-2", bands, 10.0, same)


def _some(bands: Sequence[Band], infrared: str, *, wide: bool) -> tuple[Band, ...]:
    wanted = {*MAIN_ROLES[:3], infrared} | ({"swir16", "swir22"} if wide else set())
    return tuple(band for band in bands if band.role in wanted)


def _covers(rng: np.random.Generator) -> list[Cover]:
    layers = _SKIES[int(rng.choice(len(_SKIES), p=[often for often, _ in _SKIES]))][1]
    return [Cover(kind=kind, share=float(rng.uniform(low, high))) for kind, low, high in layers]
