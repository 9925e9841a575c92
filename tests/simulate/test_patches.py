"""The stream: the same seed and index give the same patch, and labels are true of what is seen."""

import math

import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.simulate.bands import LANDSAT, SENTINEL2
from pipeline.simulate.patches import (
    SENSORS,
    PatchSettings,
    clouds,
    ground,
    kept_back,
    make_patch,
    make_regional_patch,
    sensors,
)
from pipeline.simulate.patches.clouds import Cloud
from pipeline.simulate.patches.fields import Canvas
from pipeline.simulate.patches.render import _slant
from pipeline.simulate.patches.spectra import KNOTS_UM, SPECTRA, seen_by
from pipeline.simulate.patches.truth import codes_of, labels_of
from pipeline.simulate.physics.sun import Sun
from pipeline.types import Code

SMALL = PatchSettings(size_px=96)


@pytest.fixture(scope="module")
def patches():
    return [make_patch(5, index, SMALL) for index in range(24)]


def test_a_patch_follows_from_its_seed_and_index(patches):
    again = make_patch(5, 3, SMALL)
    np.testing.assert_array_equal(again.pixels, patches[3].pixels)
    np.testing.assert_array_equal(again.labels, patches[3].labels)
    assert not np.array_equal(make_patch(6, 3, SMALL).codes, patches[3].codes) or (
        make_patch(6, 3, SMALL).ground != patches[3].ground
    )


def test_what_is_true_is_never_ruled_out(patches):
    for patch in patches:
        allowed = (patch.labels >> patch.codes) & 1
        assert allowed.all(), (patch.ground, patch.sky)


@pytest.mark.parametrize(
    ("tau", "light", "allowed"),
    [
        (0.0, 1.0, {Code.WATER}),
        (0.0, 0.82, {Code.WATER, Code.CLOUD_SHADOW}),
        (0.0, 0.5, {Code.CLOUD_SHADOW}),
        (0.09, 1.0, {Code.WATER, Code.THIN_CLOUD}),
        (0.09, 0.5, {Code.CLOUD_SHADOW, Code.THIN_CLOUD}),
        (0.2, 1.0, {Code.THIN_CLOUD}),
        # Who looks for cloud wants it, also where the ground below is in shadow.
        (0.2, 0.5, {Code.THIN_CLOUD}),
        (0.5, 0.5, {Code.THIN_CLOUD, Code.THICK_CLOUD}),
        (2.0, 0.5, {Code.THICK_CLOUD}),
    ],
)
def test_labels_leave_open_what_people_disagree_on(tau, light, allowed):
    surface, tau, light = (
        np.array([[Code.WATER]], np.uint8),
        np.array([[tau]]),
        np.array([[light]]),
    )
    labels = labels_of(surface, tau, light)
    assert {code for code in Code if labels[0, 0] >> code & 1} == allowed
    assert int(codes_of(surface, tau, light)[0, 0]) in allowed


def test_pixels_are_reflectance(patches):
    for patch in patches:
        assert patch.pixels.shape == (len(patch.bands), 96, 96)
        assert patch.pixels.dtype == np.float32
        assert np.isfinite(patch.pixels).all()
        assert -0.3 < patch.pixels.min() <= patch.pixels.max() < 2.5


@pytest.mark.parametrize("sky", ["clear", "haze"])
def test_without_a_cloud_there_is_neither_cloud_nor_shadow(sky):
    settings = PatchSettings(size_px=96, skies={sky: 1})
    for index in range(6):
        found = set(np.unique(make_patch(1, index, settings).codes).tolist())
        assert found <= {Code.CLEAR, Code.WATER, Code.SNOW}


@pytest.mark.parametrize("sky", [*clouds.WEATHER, *clouds.KEPT_BACK])
def test_every_sky_can_be_drawn(sky):
    patch = make_patch(2, 0, PatchSettings(size_px=64, skies={sky: 1}))
    assert (patch.tau.max() > 0) == (sky not in ("clear", "haze"))


@pytest.mark.parametrize("kind", [*ground.GROUNDS, *ground.KEPT_BACK])
def test_every_ground_can_be_drawn(kind):
    settings = PatchSettings(size_px=64, grounds={kind: 1}, skies={"clear": 1})
    codes = make_patch(2, 0, settings).codes
    if kind == "open water":
        assert (codes == Code.WATER).all()
    if kind == "sea ice":
        assert (codes == Code.SNOW).any()


def test_clouds_are_brighter_than_what_they_hide_and_shadows_darker():
    settings = PatchSettings(
        size_px=128, grounds={"forest": 1}, skies={"cumulus": 1}, sensors=("perusat",)
    )
    seen = 0
    for index in range(12):
        patch = make_patch(3, index, settings)
        nir = (
            patch.pixels[[band.role for band in patch.bands].index("nir")]
            if any(band.role == "nir" for band in patch.bands)
            else None
        )
        ground_pixels = patch.codes == Code.CLEAR
        shadow = (patch.light < 0.5) & (patch.tau < 0.01)
        if nir is None or min(ground_pixels.sum(), shadow.sum()) < 50:
            continue
        seen += 1
        assert nir[shadow].mean() < nir[ground_pixels].mean()
        thick = patch.tau > 8
        if thick.sum() > 50:
            blue = patch.pixels[0]
            assert blue[thick].mean() > blue[ground_pixels].mean()
    assert seen >= 3


def test_a_shadow_falls_away_from_the_sun_by_height_times_tangent():
    tau = np.zeros((64, 64), np.float32)
    tau[32, 32] = 10
    # The sun stands in the south-east; the shadow falls to the north-west.
    sun = Sun(zenith=math.atan(0.5), azimuth=math.radians(135))
    shadow = _slant(Cloud(tau=tau, base_m=1000, depth_m=0.0), sun, 50.0)
    y, x = np.argwhere(shadow > 5)[0]
    step = round(1000 * 0.5 / 50 * math.sqrt(0.5))
    assert (y, x) == (32 - step, 32 - step)


def test_noise_has_no_mean_and_unit_variance():
    field = Canvas(np.random.default_rng(0), 96, 20.0).noise(3.3, 800)
    assert abs(float(field.mean())) < 1e-3
    assert float(field.std()) == pytest.approx(1, abs=1e-3)


def test_a_band_sees_the_mean_of_a_spectrum_over_its_width():
    # Between knots a spectrum is straight, so that its mean over a band is that at the centre.
    band = sensors.band("red", 575, 20)
    expected = np.interp(0.575, KNOTS_UM, SPECTRA["sand"])
    assert seen_by([band], ["sand"])[0, 0] == pytest.approx(expected, rel=1e-5)


def test_what_is_kept_back_is_drawn_by_name_alone(patches):
    usual = PatchSettings()
    assert not {*usual.sensors} & {*sensors.KEPT_BACK}
    assert not {*usual.grounds} & {*ground.KEPT_BACK}
    assert not {*usual.skies} & {*clouds.KEPT_BACK}
    assert {*kept_back().sensors} == {*sensors.KEPT_BACK} <= {*SENSORS}


@pytest.mark.parametrize(
    "wrong", [{"sensors": ("landsat-6",)}, {"skies": {}}, {"size_px": 100}, {"bands": (5, 3)}]
)
def test_wrong_settings_are_named(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        PatchSettings(**wrong)


@pytest.fixture(scope="module")
def regional():
    return [make_regional_patch(4, index) for index in range(6)]


def test_a_region_follows_from_its_seed_and_index(regional):
    again = make_regional_patch(4, 2)
    np.testing.assert_array_equal(again.pixels, regional[2].pixels)
    np.testing.assert_array_equal(again.labels, regional[2].labels)


def test_of_a_region_what_is_true_is_never_ruled_out(regional):
    for patch in regional:
        assert patch.pixels.shape == (len(patch.bands), *patch.codes.shape)
        assert np.isfinite(patch.pixels).all()
        assert ((patch.labels >> patch.codes) & 1).all()
        cloud = np.isin(patch.codes, (Code.THIN_CLOUD, Code.THICK_CLOUD))
        np.testing.assert_array_equal(cloud, patch.tau >= 0.1)


def test_regions_have_the_bands_of_their_sensors(regional):
    for patch in regional:
        assert {(each.wavelength_um, each.width_um) for each in patch.bands} <= {
            (each.wavelength_um, each.width_um) for each in (*SENTINEL2, *LANDSAT)
        }
    few = {len(make_regional_patch(4, index, main_bands=1).bands) for index in range(4)}
    assert few == {4}
