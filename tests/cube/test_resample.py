"""Each pixel for itself: against numpy, pyproj and a linear ramp, on which bilinear is exact."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from rasterio.warp import Resampling, reproject

from pipeline.cube.positions import Positions, source_positions
from pipeline.cube.resample import aligned_offset, bilinear, block_mean, nearest, shrink_factor


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
    # Below what float32 holds in full, digits are lost.
    np.testing.assert_allclose(block_mean(pixels, factor), expected, rtol=1e-6, atol=1e-37)


@pytest.mark.parametrize("crs", ["EPSG:32632", "EPSG:32633", "EPSG:3035"])
def test_a_ramp_comes_back_as_coordinates(crs):
    source = geobox(30, 500_000, 5_400_000, (400, 500))
    ramp = np.add.outer(np.arange(400) * 3.0, np.arange(500) * 2.0).astype(np.float32)
    middle = source.center_pixel.extent.to_crs(crs).centroid.coords[0]
    target = geobox(20, middle[0] // 20 * 20, middle[1] // 20 * 20, crs=crs)
    positions = source_positions(source.crs, source.transform, target)
    expected_rows, expected_cols = projected(source, target)
    np.testing.assert_allclose(
        np.broadcast_to(positions.cols, (40, 50)), expected_cols, atol=1e-3
    )
    np.testing.assert_allclose(
        np.broadcast_to(positions.rows, (40, 50)), expected_rows, atol=1e-3
    )
    np.testing.assert_allclose(
        bilinear(ramp, positions), 3 * expected_rows + 2 * expected_cols, atol=6e-3
    )


def projected(source, target):
    """Rows and columns of the source for each pixel of the target, by pyproj alone."""
    x, y = np.meshgrid(
        target.transform.c + (np.arange(target.shape.x) + 0.5) * target.transform.a,
        target.transform.f + (np.arange(target.shape.y) + 0.5) * target.transform.e,
    )
    x, y = Transformer.from_crs(str(target.crs), str(source.crs), always_xy=True).transform(
        x, y
    )
    x, y = (np.where(np.isfinite(x) & np.isfinite(y), axis, np.nan) for axis in (x, y))
    cols, rows = ~source.transform * (x, y)
    return rows - 0.5, cols - 0.5


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(
        [
            ("EPSG:32633", "EPSG:32632", (500_000, 5_400_000)),
            ("EPSG:3035", "EPSG:32632", (4_321_000, 3_210_000)),
            ("EPSG:3031", "EPSG:32755", (150_000, -1_800_000)),
            ("EPSG:32601", "EPSG:32660", (300_000, 7_000_000)),
            ("EPSG:6933", "EPSG:32632", (900_000, 5_900_000)),
            ("EPSG:32632", "EPSG:4326", (500_000, 5_400_000)),
        ]
    ),
    st.sampled_from([10.0, 30.0, 100.0, 2500.0]),
    st.tuples(st.integers(-3000, 3000), st.integers(-3000, 3000)),
    st.tuples(st.integers(0, 90), st.integers(0, 90)),
)
def test_the_net_is_exact_and_does_not_move_with_the_window(crs_pair, resolution, shift, cut):
    crs, source_crs, (left, top) = crs_pair
    left, top = (
        (value // resolution + by) * resolution
        for value, by in zip((left, top), shift, strict=True)
    )
    target = geobox(resolution, left, top, (100, 120), crs=crs)
    size = resolution / (111_000 if source_crs == "EPSG:4326" else 1)
    source = GeoBox((10, 10), Affine(size, 0, 0, 0, -size, 0), source_crs)
    whole = source_positions(source.crs, source.transform, target)
    rows, cols = projected(source, target)
    np.testing.assert_allclose(whole.rows, rows, rtol=0, atol=1e-3)
    np.testing.assert_allclose(whole.cols, cols, rtol=0, atol=1e-3)
    part = source_positions(source.crs, source.transform, target[cut[0] :, cut[1] :])
    np.testing.assert_array_equal(part.rows, whole.rows[cut[0] :, cut[1] :])
    np.testing.assert_array_equal(part.cols, whole.cols[cut[0] :, cut[1] :])


@settings(max_examples=30, deadline=None)
@given(
    npst.arrays(
        np.float32,
        st.just((9, 11)),
        elements=st.integers(0, 9).map(float) | st.just(np.nan),
    ),
    st.floats(-40, 40),
    st.floats(-40, 40),
    st.sampled_from([7.0, 10.0, 13.0]),
)
def test_rows_and_columns_apart_are_both_at_once(pixels, x, y, resolution):
    source = geobox(20, 600_000, 5_400_000, (9, 11))
    target = geobox(resolution, 600_000 + x, 5_400_000 + y, (30, 30))
    apart = source_positions(source.crs, source.transform, target)
    assert apart.parallel
    rows, cols = np.broadcast_arrays(apart.rows, apart.cols)
    together = bilinear(pixels, Positions(rows, cols, parallel=False))
    found = bilinear(pixels, apart)
    # Where the kernel is cut exactly in half by no data, rounding decides.
    both = np.isfinite(found) & np.isfinite(together)
    np.testing.assert_allclose(found[both], together[both], atol=1e-4)
    assert (np.isfinite(found) != np.isfinite(together)).mean() < 0.2


@settings(max_examples=30, deadline=None)
@given(st.integers(-100, 100), st.integers(-100, 100), st.sampled_from([7, 10, 60]))
def test_nearest_is_that_of_gdal(x, y, resolution):
    rng = np.random.default_rng(5)
    source = geobox(20, 600_000, 5_400_000, (30, 40))
    target = geobox(resolution, 600_000 + x + 0.3, 5_400_000 + y + 0.3, (50, 60))
    codes = rng.integers(1, 12, (30, 40)).astype(np.float32)
    expected = np.full((50, 60), np.nan, np.float32)
    reproject(
        codes,
        expected,
        src_transform=source.transform,
        src_crs=rasterio.CRS.from_epsg(32632),
        dst_transform=target.transform,
        dst_crs=rasterio.CRS.from_epsg(32632),
        dst_nodata=np.nan,
        resampling=Resampling.nearest,
    )
    found = nearest(codes, source_positions(source.crs, source.transform, target))
    np.testing.assert_array_equal(found, expected)


def test_no_data_does_not_bleed_and_half_the_kernel_decides():
    pixels = np.full((4, 4), 100, np.float32)
    pixels[:, 2:] = np.nan
    positions = np.array([[0.5, 1.0, 1.4, 1.6, 2.0]])
    result = bilinear(
        pixels, Positions(np.full_like(positions, 1.0), positions, parallel=False)
    )
    np.testing.assert_allclose(result, [[100, 100, 100, np.nan, np.nan]], rtol=1e-6)


def test_places_outside_have_no_data():
    pixels = np.ones((3, 3), np.float32)
    rows = np.array([[-3.0, -0.4, 1.0, 2.4, 9.0, np.nan, np.inf]])
    result = bilinear(pixels, Positions(rows, np.ones_like(rows), parallel=False))
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
