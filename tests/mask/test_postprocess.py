"""Cleaning: against scipy's morphology on discs, and the same whatever the cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from pipeline.mask.postprocess.clean import clean, reach_px
from pipeline.types import CleanSettings, Code

RESOLUTION = 10.0
CLOUD = (Code.THIN_CLOUD, Code.THICK_CLOUD)


def speckled(seed: int, shape=(90, 100)) -> np.ndarray:
    """Blobs of several sizes, single pixels and a swath edge."""
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=shape), rng.uniform(0.6, 3))
    codes = np.full(shape, Code.CLEAR, np.uint8)
    codes[field < np.quantile(field, 0.25)] = Code.CLOUD_SHADOW
    codes[field > np.quantile(field, 0.6)] = Code.THICK_CLOUD
    codes[field > np.quantile(field, 0.85)] = Code.THIN_CLOUD
    codes[:, : rng.integers(0, 9)] = Code.NO_DATA
    return codes


def disc(radius_m: float) -> np.ndarray:
    reach = int(radius_m // RESOLUTION)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1] * RESOLUTION
    return x**2 + y**2 <= radius_m**2


metres = st.sampled_from([0.0, 10.0, 14.2, 20.0, 30.0])
areas = st.sampled_from([0.0, 200.0, 900.0])
cleanings = st.builds(
    CleanSettings,
    open_m=metres,
    close_m=metres,
    dilate_m=metres,
    min_object_m2=areas,
    min_hole_m2=areas,
)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10_000),
    st.fixed_dictionaries({}, optional={"cloud": cleanings, "shadow": cleanings}),
    st.integers(0, 89),
    st.integers(0, 99),
    st.integers(1, 60),
)
def test_any_cut_with_enough_beyond_it_gives_the_same(seed, wanted, top, left, size):
    codes = speckled(seed)
    whole = clean(codes, wanted, RESOLUTION)
    reach = reach_px(wanted, RESOLUTION)
    rows = slice(max(0, top - reach), top + size + reach)
    cols = slice(max(0, left - reach), left + size + reach)
    part = clean(codes[rows, cols], wanted, RESOLUTION)
    inner = part[top - rows.start :, left - cols.start :][:size, :size]
    np.testing.assert_array_equal(inner, whole[top : top + size, left : left + size])


@pytest.mark.parametrize("radius", [10.0, 14.2, 30.0, 55.0])
def test_dilation_opening_and_closing_are_those_of_discs(radius):
    codes = speckled(4)
    codes[codes == Code.NO_DATA] = Code.CLEAR
    cloud, element = np.isin(codes, CLOUD), disc(radius)

    def found(**how: float) -> np.ndarray:
        return np.isin(clean(codes, {"cloud": CleanSettings(**how)}, RESOLUTION), CLOUD)

    np.testing.assert_array_equal(
        found(dilate_m=radius), ndimage.binary_dilation(cloud, element)
    )
    opened = ndimage.binary_erosion(cloud, element, border_value=1)
    np.testing.assert_array_equal(
        found(open_m=radius), ndimage.binary_dilation(opened, element)
    )
    # Beyond the edges there is neither cloud to grow in nor sky to grow back.
    filled = ndimage.binary_dilation(cloud, element)
    closed = ndimage.binary_erosion(filled, element, border_value=1)
    np.testing.assert_array_equal(found(close_m=radius), closed)


def test_small_objects_and_holes_go_by_area():
    codes = np.full((40, 40), Code.CLEAR, np.uint8)
    codes[5:7, 5:7] = Code.THICK_CLOUD  # 400 m²
    codes[20:30, 20:30] = Code.THIN_CLOUD
    codes[24:26, 24:26] = Code.WATER  # a hole of 400 m²
    kept = clean(
        codes, {"cloud": CleanSettings(min_object_m2=400, min_hole_m2=400)}, RESOLUTION
    )
    np.testing.assert_array_equal(kept, codes)
    done = clean(
        codes, {"cloud": CleanSettings(min_object_m2=401, min_hole_m2=401)}, RESOLUTION
    )
    assert (done[5:7, 5:7] == Code.CLEAR).all()
    assert (done[24:26, 24:26] == Code.THICK_CLOUD).all()
    assert (done[20:24, 20:30] == Code.THIN_CLOUD).all()


def test_no_data_stays_and_what_the_swath_cuts_is_no_small_object():
    codes = np.full((20, 20), Code.CLEAR, np.uint8)
    codes[:, :4] = Code.NO_DATA
    codes[10, 4] = Code.THICK_CLOUD
    done = clean(codes, {"cloud": CleanSettings(min_object_m2=1000, dilate_m=30)}, RESOLUTION)
    assert (done[:, :4] == Code.NO_DATA).all()
    assert done[10, 4] == Code.THICK_CLOUD
    assert (done != Code.CLEAR).sum() > 80 + 1


def test_a_sliver_between_the_swath_edge_and_nothing_is_no_hole():
    codes = np.full((20, 20), Code.NO_DATA, np.uint8)
    codes[5:7, 5:7] = Code.CLEAR
    np.testing.assert_array_equal(
        clean(codes, {"cloud": CleanSettings(min_hole_m2=1000)}, RESOLUTION), codes
    )


def test_shadows_do_not_grow_over_clouds():
    codes = np.full((20, 20), Code.CLEAR, np.uint8)
    codes[:, 10:] = Code.THICK_CLOUD
    codes[:, 8:10] = Code.CLOUD_SHADOW
    done = clean(codes, {"shadow": CleanSettings(dilate_m=40)}, RESOLUTION)
    np.testing.assert_array_equal(done[:, 10:], codes[:, 10:])
    assert (done[:, 4:10] == Code.CLOUD_SHADOW).all()
