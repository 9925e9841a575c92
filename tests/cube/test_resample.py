"""Each pixel for itself: against numpy, pyproj and a linear ramp, on which bilinear is exact."""

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from pipeline.cube.resample import (
    aligned_offset,
    bilinear,
    block_mean,
    shrink_factor,
    source_coordinates,
)


def geobox(resolution, left, top, shape=(40, 50), crs="EPSG:32632"):
    return GeoBox(shape, Affine(resolution, 0, left, 0, -resolution, top), crs)


@given(
    npst.arrays(
        np.float32,
        st.tuples(st.integers(1, 5), st.integers(1, 5)).map(lambda n: (n[0] * 6, n[1] * 6)),
        elements=st.floats(0, 20000, width=32) | st.just(np.float32(np.nan)),
    ),
    st.sampled_from([1, 2, 3, 6]),
)
@pytest.mark.filterwarnings("ignore:Mean of empty slice:RuntimeWarning")
def test_block_mean_is_nanmean_of_blocks(pixels, factor):
    height, width = (size // factor for size in pixels.shape)
    blocks = pixels.astype(np.float64).reshape(height, factor, width, factor)
    expected = np.nanmean(blocks, axis=(1, 3))
    np.testing.assert_allclose(block_mean(pixels, factor), expected, rtol=1e-6)


@pytest.mark.parametrize("crs", ["EPSG:32632", "EPSG:32633", "EPSG:3035"])
def test_a_ramp_comes_back_as_coordinates(crs):
    source = geobox(30, 500_000, 5_400_000, (400, 500))
    ramp = np.add.outer(np.arange(400) * 3.0, np.arange(500) * 2.0).astype(np.float32)
    middle = source.center_pixel.extent.to_crs(crs).centroid.coords[0]
    target = geobox(20, middle[0] // 20 * 20, middle[1] // 20 * 20, crs=crs)
    rows, cols = source_coordinates(source.crs, source.transform, target)
    x, y = np.meshgrid(
        target.transform.c + (np.arange(50) + 0.5) * 20,
        target.transform.f - (np.arange(40) + 0.5) * 20,
    )
    x, y = Transformer.from_crs(crs, "EPSG:32632", always_xy=True).transform(x, y)
    expected_cols, expected_rows = (x - 500_000) / 30 - 0.5, (5_400_000 - y) / 30 - 0.5
    np.testing.assert_allclose(cols, expected_cols, atol=1e-6)
    np.testing.assert_allclose(rows, expected_rows, atol=1e-6)
    np.testing.assert_allclose(
        bilinear(ramp, rows, cols), 3 * expected_rows + 2 * expected_cols, rtol=1e-5
    )


def test_no_data_does_not_bleed_and_half_the_kernel_decides():
    pixels = np.full((4, 4), 100, np.float32)
    pixels[:, 2:] = np.nan
    places = np.array([[0.5, 1.0, 1.4, 1.6, 2.0]])
    result = bilinear(pixels, np.full_like(places, 1.0), places)
    np.testing.assert_array_equal(result, [[100, 100, 100, np.nan, np.nan]])


def test_places_outside_have_no_data():
    pixels = np.ones((3, 3), np.float32)
    rows = np.array([[-3.0, -0.4, 1.0, 2.4, 9.0, np.nan, np.inf]])
    result = bilinear(pixels, rows, np.ones_like(rows))
    np.testing.assert_array_equal(result, [[np.nan, 1, 1, 1, np.nan, np.nan, np.nan]])


@pytest.mark.parametrize(
    ("native", "wanted", "factor"),
    [(10, 10, 1), (10, 20, 2), (30, 20, 1), (10, 60, 6), (20, 50, 2)],
)
def test_shrink_is_the_ratio_rounded_down(native, wanted, factor):
    source = geobox(native, 600_000, 5_400_000, (512, 512))
    assert shrink_factor(source, geobox(wanted, 600_000, 5_400_000)) == factor


@given(st.integers(-500, 500), st.integers(-500, 500))
def test_aligned_grids_differ_by_whole_pixels(rows, cols):
    source = geobox(20, 600_000, 5_400_000)
    target = geobox(20, 600_000 + 20 * cols, 5_400_000 - 20 * rows)
    assert aligned_offset(source, target) == (rows, cols)


@pytest.mark.parametrize(
    "other",
    [
        geobox(20, 600_010, 5_400_000),
        geobox(10, 600_000, 5_400_000),
        geobox(20, 600_000, 5_400_000, crs="EPSG:32633"),
    ],
)
def test_other_grids_are_not_aligned(other):
    assert aligned_offset(geobox(20, 600_000, 5_400_000), other) is None
