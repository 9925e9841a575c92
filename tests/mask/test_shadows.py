"""Shadows against the sun: by hand, by ray, and the same whatever the cut."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from pipeline.mask.postprocess.shadows import Sun, check_shadows, reach_px
from pipeline.types import Code, ShadowSettings

RESOLUTION = 10.0


def clear(shape=(80, 80)) -> np.ndarray:
    return np.full(shape, Code.CLEAR, np.uint8)


@pytest.mark.parametrize(
    ("azimuth", "down", "right"),
    [(180, -20, 0), (0, 20, 0), (90, 0, -20), (135, -14, -14), (225, -14, 14)],
)
def test_a_shadow_lies_away_from_the_sun(azimuth, down, right):
    """At 45 degrees a cloud of 200 m throws its shadow 200 m."""
    codes = clear()
    codes[40, 40] = Code.THICK_CLOUD
    codes[40 + down, 40 + right] = Code.CLOUD_SHADOW
    codes[40 - down, 40 - right] = Code.CLOUD_SHADOW
    how = ShadowSettings(lowest_m=200, highest_m=200, tolerance_m=15)
    checked = check_shadows(codes, None, Sun(azimuth, 45), how, RESOLUTION)
    assert checked[40 + down, 40 + right] == Code.CLOUD_SHADOW
    assert checked[40 - down, 40 - right] == Code.CLEAR


def test_dark_ground_in_the_zone_becomes_shadow_and_nothing_else():
    codes, nir = clear(), np.full((80, 80), 0.3, np.float32)
    codes[38:43, 38:43] = Code.THIN_CLOUD
    nir[18:23, 38:43] = 0.1  # behind the cloud
    nir[60:65, 38:43] = 0.1  # before it: a lake
    codes[19, 39] = Code.WATER
    how = ShadowSettings(drop=False, add=True, lowest_m=100, highest_m=300, dark_within_m=100)
    checked = check_shadows(codes, nir, Sun(180, 45), how, RESOLUTION)
    expected = codes.copy()
    expected[18:23, 38:43] = Code.CLOUD_SHADOW
    expected[19, 39] = Code.WATER
    np.testing.assert_array_equal(checked, expected)


def test_wide_dark_ground_is_no_shadow():
    codes, nir = clear(), np.full((80, 80), 0.1, np.float32)
    codes[38:43, 38:43] = Code.THICK_CLOUD
    how = ShadowSettings(add=True, lowest_m=100, highest_m=300)
    np.testing.assert_array_equal(
        check_shadows(codes, nir, Sun(180, 45), how, RESOLUTION), codes
    )


def test_beside_the_swath_edge_and_under_a_low_sun_shadows_stand():
    codes = clear()
    codes[60:] = Code.NO_DATA
    codes[50, 40] = codes[10, 40] = Code.CLOUD_SHADOW
    how = ShadowSettings(lowest_m=0, highest_m=200, tolerance_m=0)
    checked = check_shadows(codes, None, Sun(180, 45), how, RESOLUTION)
    assert checked[50, 40] == Code.CLOUD_SHADOW
    assert checked[10, 40] == Code.CLEAR
    np.testing.assert_array_equal(
        check_shadows(codes, None, Sun(180, 29), how, RESOLUTION), codes
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9999), st.floats(0, 360), st.floats(15, 80))
def test_every_kept_shadow_has_a_cloud_on_the_ray_to_the_sun(seed, azimuth, elevation):
    rng = np.random.default_rng(seed)
    codes = clear()
    codes[rng.random(codes.shape) < 0.004] = Code.THICK_CLOUD
    codes[rng.random(codes.shape) < 0.1] = Code.CLOUD_SHADOW
    how = ShadowSettings(lowest_m=100, highest_m=300, tolerance_m=0, lowest_sun=15)
    sun = Sun(azimuth, elevation)
    checked = check_shadows(codes, None, sun, how, RESOLUTION)
    clouds = np.argwhere(codes == Code.THICK_CLOUD)
    toward = np.array([-math.cos(math.radians(azimuth)), math.sin(math.radians(azimuth))])
    heights = np.linspace(100, 300, 200)
    lengths = heights / math.tan(math.radians(elevation)) / RESOLUTION
    for row, col in np.argwhere(codes == Code.CLOUD_SHADOW):
        ray = np.array([row, col]) + lengths[:, None] * toward
        gap = np.abs(ray[:, None] - clouds).max(axis=2).min() if len(clouds) else np.inf
        if gap < 0.4:
            assert checked[row, col] == Code.CLOUD_SHADOW
        elif gap > 1.1:
            assert checked[row, col] == Code.CLEAR


@pytest.mark.parametrize(("distance", "left"), [(15, Code.CLOUD_SHADOW), (40, Code.CLEAR)])
def test_under_a_lower_sun_clouds_are_looked_for_as_far_as_under_the_lowest(distance, left):
    """At 45 degrees 200 m throw 200 m; at 10 degrees they throw 1.1 km, which is beyond reach."""
    codes = clear()
    codes[70, 40] = Code.THICK_CLOUD
    codes[70 - distance, 40] = Code.CLOUD_SHADOW
    how = ShadowSettings(
        lowest_m=0, highest_m=200, lowest_sun=45, tolerance_m=0, under_lower_sun="check"
    )
    checked = check_shadows(codes, None, Sun(180, 10), how, RESOLUTION)
    assert checked[70 - distance, 40] == left


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 9999),
    st.floats(0, 360),
    st.floats(5, 80),
    st.tuples(st.integers(0, 79), st.integers(0, 79), st.integers(1, 50)),
    st.booleans(),
    st.sampled_from(["keep", "check"]),
)
def test_any_cut_with_enough_beyond_it_gives_the_same(seed, azimuth, elevation, cut, add, low):
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=(80, 80)), 2)
    codes = clear()
    codes[field > 0.1] = Code.THICK_CLOUD
    codes[field < -0.1] = Code.CLOUD_SHADOW
    codes[:, :5] = Code.NO_DATA
    nir = (0.3 + field).astype(np.float32)
    nir[codes == Code.NO_DATA] = np.nan
    how = ShadowSettings(
        add=add,
        lowest_m=50,
        highest_m=150,
        tolerance_m=20,
        dark_within_m=40,
        lowest_sun=20,
        under_lower_sun=low,
    )
    sun = Sun(azimuth, elevation)
    whole = check_shadows(codes, nir, sun, how, RESOLUTION)
    reach, (top, left, size) = reach_px(how, RESOLUTION), cut
    rows = slice(max(0, top - reach), top + size + reach)
    cols = slice(max(0, left - reach), left + size + reach)
    part = check_shadows(codes[rows, cols], nir[rows, cols], sun, how, RESOLUTION)
    inner = part[top - rows.start :, left - cols.start :][:size, :size]
    np.testing.assert_array_equal(inner, whole[top : top + size, left : left + size])
