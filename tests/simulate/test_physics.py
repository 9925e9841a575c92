"""Laws of the simulation's physics."""

import math
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.simulate.bands import LANDSAT, ROLES, SENTINEL2, SPECTRA
from pipeline.simulate.clouds import CloudLayer, Cover, form
from pipeline.simulate.grids import halve, landsat_window, landscape_window, to_landsat
from pipeline.simulate.landscape import make_landscape
from pipeline.simulate.physics.atmosphere import Air, band_air, surface_reflectance
from pipeline.simulate.physics.noise import Spectrum, blur, noise
from pipeline.simulate.physics.optics import two_stream
from pipeline.simulate.physics.shadow import daylight_under, flank_shading, slant_depth
from pipeline.simulate.physics.sun import Sun, sun_at
from pipeline.simulate.scene import Stage, top_of_atmosphere

SHAPE = (96, 96)


@given(
    beta=st.floats(1.0, 5.0),
    scale_m=st.floats(50, 10_000),
    stretch=st.sampled_from([1.0, 5.0]),
    seed=st.integers(0, 100),
)
def test_noise_has_zero_mean_and_unit_variance(beta, scale_m, stretch, seed):
    field = noise(
        np.random.default_rng(seed), (48, 60), Spectrum(beta, scale_m, stretch, 0.7), 10
    )
    assert field.dtype == np.float32
    assert abs(field.mean()) < 1e-3
    assert field.std() == pytest.approx(1, abs=1e-3)


def test_noise_is_periodic():
    field = noise(np.random.default_rng(0), SHAPE, Spectrum(5.0, 1000), 10)
    inside = np.abs(np.diff(field, axis=0)).max()
    assert np.abs(field[0] - field[-1]).max() <= 1.5 * inside
    assert np.abs(field[:, 0] - field[:, -1]).max() <= 1.5 * inside


def test_blur_keeps_the_mean_and_wraps():
    field = np.zeros(SHAPE, np.float32)
    field[0, 0] = 1
    smooth = blur(field, 2.0)
    assert smooth.sum() == pytest.approx(1, abs=1e-4)
    assert smooth[-1, -1] == pytest.approx(smooth[1, 1], rel=1e-3)


@pytest.mark.parametrize("ice", [False, True])
@pytest.mark.parametrize("regime", ["vnir", "swir16", "swir22"])
def test_clouds_conserve_energy(regime, ice):
    tau = np.linspace(0, 100, 500).astype(np.float32)
    reflected, transmitted = two_stream(tau, regime, ice=ice)
    assert (reflected + transmitted <= 1 + 1e-6).all()
    assert reflected[0] == pytest.approx(0, abs=1e-6)
    assert transmitted[0] == pytest.approx(1, abs=1e-6)
    assert (np.diff(reflected) >= -1e-6).all()
    assert (np.diff(transmitted) <= 1e-6).all()
    if regime == "vnir":
        assert (reflected + transmitted >= 0.97).all()


def test_sun_at_known_places():
    # Solstice noon at Munich: 90° - 48.18° + 23.44° high, due south.
    noon = sun_at(datetime(2023, 6, 21, 11, 15, tzinfo=UTC), 11.74, 48.18)
    assert math.degrees(noon.zenith) == pytest.approx(48.18 - 23.44, abs=0.3)
    assert math.degrees(noon.azimuth) == pytest.approx(180, abs=2)
    morning = sun_at(datetime(2023, 6, 21, 7, 0, tzinfo=UTC), 11.74, 48.18)
    assert 80 < math.degrees(morning.azimuth) < 110


@pytest.mark.parametrize("azimuth", [0, 45, 150, 180, 270])
def test_shadows_fall_away_from_the_sun(azimuth):
    sun = Sun(zenith=math.radians(40), azimuth=math.radians(azimuth))
    tau = np.zeros(SHAPE, np.float32)
    tau[46:50, 46:50] = 20
    depth = np.where(tau > 0, 100, 0).astype(np.float32)
    layer = CloudLayer(tau=tau, depth_m=depth, base_m=250.0, ice=False)
    cast = slant_depth(layer, sun, 10)
    assert cast.sum() == pytest.approx(tau.sum(), rel=1e-3)
    y, x = (float((cast * axis).sum() / cast.sum()) for axis in np.indices(SHAPE))
    reach = 300 * math.tan(sun.zenith) / 10
    assert y - 47.5 == pytest.approx(math.cos(sun.azimuth) * reach, abs=1.0)
    assert x - 47.5 == pytest.approx(-math.sin(sun.azimuth) * reach, abs=1.0)
    beam = daylight_under([layer], sun, 10).beam
    assert np.unravel_index(beam.argmin(), SHAPE) == pytest.approx((y, x), abs=4)


def test_flanks_towards_the_sun_are_brighter():
    south = Sun(zenith=math.radians(40), azimuth=math.pi)
    rows = np.arange(96, dtype=np.float32)[:, None]
    dome = np.maximum(0, 200 - 8 * np.abs(rows - 48)) * np.ones((1, 96), np.float32)
    shading = flank_shading(
        CloudLayer(tau=dome, depth_m=dome, base_m=900, ice=False), south, 10
    )
    assert shading[60].mean() > 1 > shading[36].mean()


def test_light_stays_within_bounds():
    rng = np.random.default_rng(4)
    sun = Sun(zenith=math.radians(30), azimuth=math.radians(150))
    layers = [form(rng, SHAPE, Cover(kind="cumulus", share=0.3), 10)]
    daylight = daylight_under(layers, sun, 10)
    assert daylight.beam.min() >= 0
    # Light scattered out of a shadow brightens what is around it, but not by much.
    assert daylight.beam.max() < 1.5
    assert 0 <= daylight.sky.min() <= daylight.sky.max() <= 0.95
    assert daylight_under([], sun, 10) is None


@pytest.mark.parametrize("kind", ["cumulus", "stratocumulus", "stratus", "cirrus"])
def test_cover_is_about_what_was_asked(kind):
    layer = form(np.random.default_rng(1), (384, 384), Cover(kind=kind, share=0.4), 10)
    assert (layer.tau > 0.4).mean() == pytest.approx(0.4, abs=0.15)
    assert layer.tau.min() >= 0
    assert layer.ice == (kind == "cirrus")


@pytest.mark.parametrize("band", [*SENTINEL2, *LANDSAT], ids=lambda band: band.product_name)
def test_a_clear_sky_is_inverted_exactly_when_the_air_is_known(band):
    air = band_air(Air(aod=0.15, mu=0.85), band)
    clean = np.full((16, 16), SPECTRA["grass"][ROLES.index(band.role)], np.float32)
    flat = np.ones_like(clean)
    stage = Stage(sheets=(), daylight=None, illumination=flat, sky_view=flat, pixel_m=10)
    toa = top_of_atmosphere(stage, band, air, clean)
    assert surface_reflectance(toa, air) == pytest.approx(clean, abs=1e-5)


def test_the_ground_is_gentle_and_varied():
    ground = make_landscape(5, 384, 10)
    slope = np.hypot(ground.slope_east, ground.slope_north)
    assert np.quantile(slope, 0.98) <= math.tan(math.radians(6))
    assert 0.002 < ground.water.mean() < 0.2
    june, august = ground.reflectance(160), ground.reflectance(230)
    assert all(plane.min() > 0 and plane.max() < 1 for plane in june.values())
    assert not np.allclose(june["nir"], august["nir"], atol=0.05)


def test_coarser_grids_keep_the_mean_and_the_place():
    y, x = np.indices((192, 192), dtype=np.float32)
    assert halve(x)[0, :2] == pytest.approx([0.5, 2.5])
    fine, coarse = landscape_window(192), landsat_window(192)
    east = fine.west_m + (x + 0.5) * 10
    north = fine.north_m - (y + 0.5) * 10
    reduce = to_landsat(192)
    columns = coarse.west_m + (np.arange(coarse.width) + 0.5) * 30
    rows = coarse.north_m - (np.arange(coarse.height) + 0.5) * 30
    assert reduce(east - fine.west_m)[3] == pytest.approx(columns - fine.west_m, abs=0.01)
    assert reduce(north - fine.north_m)[:, 3] == pytest.approx(rows - fine.north_m, abs=0.01)
    assert coarse.west_m % 30 == 15
    assert coarse.north_m % 30 == 15
