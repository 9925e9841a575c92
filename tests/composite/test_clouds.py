"""Distances to clouds and shadows: against all pairs of pixels, and the same in any partition."""

import itertools

import numpy as np
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline.composite import cloud_distances, compose, method, reach_px
from pipeline.types import Code

DIMS = ("time", "y", "x")
SHAPE = (3, 7, 9)
RESOLUTION_M = 20.0
CODES = st.sampled_from([Code.NO_DATA, *[Code.CLEAR] * 12, Code.THICK_CLOUD, Code.CLOUD_SHADOW])
MASKS = hnp.arrays(np.uint8, SHAPE, elements=CODES.map(int), fill=st.just(int(Code.CLEAR)))
WHOLE = (slice(None), slice(None))


def parts(length, ends):
    edges = sorted({0, length, *ends})
    return [slice(*each) for each in itertools.pairwise(edges)]


def with_halo(part, length, halo):
    """The part of an axis with its halo, and where the part lies in it."""
    low, high = max(part.start - halo, 0), min(part.stop + halo, length)
    return slice(low, high), slice(part.start - low, part.stop - low)


@given(MASKS, st.floats(10, 200))
def test_the_nearest_of_all_pixels(codes, reach_m):
    made = cloud_distances(xr.DataArray(codes, dims=DIMS), WHOLE, RESOLUTION_M, reach_m)
    for name, classes in (("to_cloud_m", (4, 5)), ("to_shadow_m", (6,))):
        for scene, found in zip(codes, made[name].values, strict=True):
            ys, xs = np.nonzero(np.isin(scene, classes))
            y, x = np.indices(scene.shape)
            square = (y[..., None] - ys) ** 2 + (x[..., None] - xs) ** 2
            metres = RESOLUTION_M * np.sqrt(square.min(axis=-1, initial=10**6))
            expected = np.where(metres <= reach_m, metres, np.inf).astype(np.float32)
            np.testing.assert_array_equal(found, expected)


@given(st.integers(0, 2000), st.floats(0.1, 100))
def test_what_lies_within_reach_is_read(pixels, resolution_m):
    reach_m = pixels * resolution_m
    assert reach_px(reach_m, resolution_m) == pixels


METHODS = {
    "best": {"weights": {"cloud": 1.0, "haze": 0.3}, "cloud_m": 70.0},
    "weighted_mean": {},
}


@settings(max_examples=30)
@given(
    MASKS,
    hnp.arrays(np.float32, (2, *SHAPE), elements=st.floats(0, 1, width=16)),
    st.sets(st.integers(1, 6)),
    st.sets(st.integers(1, 8)),
    st.sampled_from(list(METHODS)),
)
def test_any_partition_gives_the_same_composite(codes, bands, ys, xs, name):
    made, shown = method(name, METHODS[name]), xr.DataArray(codes == Code.CLEAR, dims=DIMS)
    layers = {role: (DIMS, band) for role, band in zip(("blue", "red"), bands, strict=True)}
    layers["source"] = (DIMS, np.zeros(SHAPE, np.int32))
    days = np.datetime64("2024-06-01", "ns") + np.arange(3) * np.timedelta64(7, "D")
    cube = xr.Dataset(layers, coords={"time": days})
    # As far as WASP looks, no tile of so few pixels is without all the others: it is told to look less far.
    reach_m = min(made.reach_m, 70.0)
    halo = reach_px(reach_m, RESOLUTION_M)

    def composed(rows, columns):
        (y, inner_y), (x, inner_x) = (
            with_halo(part, length, halo)
            for part, length in ((rows, SHAPE[1]), (columns, SHAPE[2]))
        )
        around = xr.DataArray(codes[:, y, x], dims=DIMS)
        evidence = cloud_distances(around, (inner_y, inner_x), RESOLUTION_M, reach_m)
        here = {"y": rows, "x": columns}
        return compose(cube.isel(here), shown.isel(here), made, evidence.assign(middle=19880.0))

    whole = composed(slice(0, SHAPE[1]), slice(0, SHAPE[2]))
    for rows in parts(SHAPE[1], ys):
        for columns in parts(SHAPE[2], xs):
            xr.testing.assert_identical(whole.isel(y=rows, x=columns), composed(rows, columns))


def test_how_far_methods_look():
    assert method("median").reach_m == 0
    assert method("best").reach_m == 3000
    assert method("best", {"weights": {"doy": 1.0}}).reach_m == 0
    assert method("weighted_mean").reach_m == 7200
