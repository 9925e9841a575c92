"""Laws of composites: an oracle, a range, and no trace of chunks or order."""

import warnings
from fractions import Fraction

import dask
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline.composite import compose, method, nothing, ranks
from pipeline.composite.distances import STEPS_PER_UNIT

ROLES = ("blue", "red", "nir")


def make_cube(values, source=None, times=None):
    """Values (B, T, Y, X) as a cube."""
    values = np.asarray(values, dtype=np.float32)
    shape = values.shape[1:]
    if source is None:
        source = np.broadcast_to(np.arange(shape[0])[:, None, None] + 100, shape)
    if times is None:
        times = np.datetime64("2024-05-01T10:30:00", "ns") + np.arange(
            shape[0]
        ) * np.timedelta64(5, "D")
    dims = ("time", "y", "x")
    variables = {role: (dims, band) for role, band in zip(ROLES, values, strict=False)}
    variables["source"] = (dims, np.asarray(source, dtype=np.int32))
    coords = {
        "time": times,
        "y": np.arange(shape[1])[::-1] * 10.0,
        "x": np.arange(shape[2]) * 10.0,
    }
    return xr.Dataset(variables, coords=coords)


def make_usable(values):
    return xr.DataArray(np.asarray(values, dtype=bool), dims=("time", "y", "x"))


@st.composite
def cubes(draw):
    shape = draw(st.tuples(*[st.integers(1, n) for n in (3, 7, 5, 6)]))
    numbers = st.sampled_from([np.nan, np.inf, -0.0, 0.0, -0.2, 0.1, 0.25, 0.3, 0.9, 1.7, 3e38])
    values = draw(hnp.arrays(np.float32, shape, elements=numbers | st.floats(-1, 2, width=32)))
    usable = draw(hnp.arrays(bool, shape[1:]))
    return make_cube(values), make_usable(usable)


def bits(composite):
    """Everything as comparable bits: NaN equals NaN, 0 differs from −0."""
    return {
        name: np.asarray(array).view(np.uint32)
        if array.dtype == np.float32
        else np.asarray(array)
        for name, array in composite.data_vars.items()
    }


def assert_same_bits(a, b):
    a, b = bits(a), bits(b)
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def taken(cube, usable):
    """Observations that count: usable, all bands finite."""
    roles = [name for name in cube.data_vars if name != "source"]
    return usable.values & np.logical_and.reduce([np.isfinite(cube[r].values) for r in roles])


@given(cubes())
def test_the_median_is_numpys(case):
    cube, usable = case
    composite = compose(cube, usable)
    keep = taken(cube, usable)
    for role in composite.data_vars.keys() - {"count", "day", "source"}:
        seen = np.where(keep, cube[role].values, np.float32(np.nan))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Of float64: half the sum of two float32 is exact there, and then rounded once.
            expected = np.nanmedian(seen.astype(np.float64), axis=0).astype(np.float32)
        np.testing.assert_array_equal(composite[role].values, expected)
    np.testing.assert_array_equal(composite["count"].values, keep.sum(axis=0))


@given(cubes())
def test_it_never_invents(case):
    cube, usable = case
    composite = compose(cube, usable)
    keep = taken(cube, usable)
    empty = composite["count"].values == 0
    np.testing.assert_array_equal(empty, composite["day"].values == -1)
    np.testing.assert_array_equal(empty, composite["source"].values == -1)
    for role in composite.data_vars.keys() - {"count", "day", "source"}:
        value = composite[role].values
        np.testing.assert_array_equal(empty, np.isnan(value))
        low = np.where(keep, cube[role].values, np.inf).min(axis=0)
        high = np.where(keep, cube[role].values, -np.inf).max(axis=0)
        assert np.all((low <= value)[~empty])
        assert np.all((value <= high)[~empty])


@given(cubes())
def test_day_and_source_are_of_the_nearest_observation(case):
    cube, usable = case
    composite = compose(cube, usable)
    keep = taken(cube, usable)
    roles = [name for name in cube.data_vars if name != "source"]
    distance = np.zeros(keep.shape)
    for role in roles:
        seen = cube[role].values.astype(np.float64)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            value = np.nanmedian(np.where(keep, seen, np.nan), axis=0)
            distance += np.rint((seen - value) * STEPS_PER_UNIT) ** 2
    first = np.where(keep, distance, np.inf).argmin(axis=0)
    days = cube["time"].values.astype("datetime64[D]").astype(int)
    some = composite["count"].values > 0
    np.testing.assert_array_equal(composite["day"].values[some], days[first][some])
    np.testing.assert_array_equal(composite["source"].values[some], first[some] + 100)


RULES = {
    "sentinel-2": (Fraction(1, 10**4), Fraction(0)),
    "sentinel-2, shifted": (Fraction(1, 10**4), Fraction(-1, 10)),
    "landsat": (Fraction(275, 10**7), Fraction(-2, 10)),
}
"""How sensors write reflectance: scale and offset."""


def as_read(numbers, rule):
    """Return reflectance as the cube makes it of numbers: float32, product and sum."""
    scale, offset = (np.float32(float(each)) for each in RULES[rule])
    return numbers.astype(np.float32) * scale + offset


def earliest_nearest(spectra):
    """Return the position that the definition wants, of exact spectra (T, B)."""
    middles = [exact_median(band) for band in zip(*spectra, strict=True)]
    distances = [
        sum((x - m) ** 2 for x, m in zip(each, middles, strict=True)) for each in spectra
    ]
    return distances.index(min(distances))


def exact_median(values):
    ranked = sorted(values)
    return (ranked[(len(ranked) - 1) // 2] + ranked[len(ranked) // 2]) / 2


@given(
    st.integers(2, 8),
    st.integers(1, 3),
    st.lists(st.integers(1, 65000), min_size=2, max_size=4, unique=True),
    st.sampled_from(sorted(RULES)),
    st.data(),
)
def test_equals_go_to_the_earliest_whatever_float32_makes_of_them(n, bands, levels, rule, data):
    """Few levels and many bands: equals are frequent, in the sensor's integers."""
    seed = data.draw(st.integers(0, 2**32 - 1))
    numbers = np.random.default_rng(seed).choice(levels, (bands, n, 4, 5))
    scale, offset = RULES[rule]
    cube = make_cube(as_read(numbers, rule))
    composite = compose(cube, make_usable(np.ones((n, 4, 5))))
    for y, x in np.ndindex(4, 5):
        spectra = [[int(dn) * scale + offset for dn in numbers[:, t, y, x]] for t in range(n)]
        assert composite["source"].values[y, x] == earliest_nearest(spectra) + 100


@pytest.mark.parametrize("rule", sorted(RULES))
def test_of_two_observations_it_is_always_the_first(rule):
    """Both are equally near to their mean: rounding chose the second of a third of all pixels."""
    numbers = np.random.default_rng(3).integers(1, 12000, (3, 2, 100, 100))
    composite = compose(make_cube(as_read(numbers, rule)), make_usable(np.ones((2, 100, 100))))
    assert (composite["source"].values == 100).all()
    # Nor where numbers are no integers of anybody: resampled, or of a top of atmosphere.
    values = np.random.default_rng(4).random((3, 2, 100, 100), np.float32)
    composite = compose(make_cube(values), make_usable(np.ones((2, 100, 100))))
    assert (composite["source"].values == 100).all()


@given(cubes(), st.data())
def test_chunks_leave_no_trace(case, data):
    cube, usable = case
    chunks = {
        dim: data.draw(st.integers(1, size), label=dim) for dim, size in cube.sizes.items()
    }
    other = {dim: data.draw(st.integers(1, size)) for dim, size in cube.sizes.items()}
    lazy = usable.chunk(other) if data.draw(st.booleans()) else usable
    with dask.config.set(scheduler="sync"):
        composite = compose(cube.chunk(chunks), lazy)
        assert all(dask.is_dask_collection(array) for array in composite.data_vars.values())
        assert_same_bits(composite.compute(), compose(cube, usable))


@given(cubes(), st.data())
def test_order_leaves_no_trace(case, data):
    cube, usable = case
    order = data.draw(st.permutations(range(cube.sizes["time"])))
    shuffled = compose(cube.isel(time=list(order)), usable.isel(time=list(order)))
    assert_same_bits(shuffled, compose(cube, usable))


def test_by_hand():
    # Four dates of two pixels; the second pixel has a NaN in one band, and one date not usable.
    # Eighths, so that sums are exact and equals are equal.
    blue = np.array([[[1, 1]], [[2, 2]], [[4, 3]], [[7, 7]]]) / 8
    red = np.array([[[3, 3]], [[1, np.nan]], [[2, 1]], [[6, 6]]]) / 8
    cube = make_cube([blue, red])
    composite = compose(cube, make_usable([[[1, 1]], [[1, 1]], [[1, 1]], [[1, 0]]]))
    assert composite["blue"].values.tolist() == [[3 / 8, 2 / 8]]
    assert composite["red"].values.tolist() == [[2.5 / 8, 2 / 8]]
    assert composite["count"].values.tolist() == [[4, 2]]
    # Squares in 1/64, first pixel: 4.25, 3.25, 1.25, 28.25; second: 2 and 2, the earlier wins.
    assert composite["source"].values.tolist() == [[102, 100]]
    assert composite["day"].values.tolist() == [[19844 + 10, 19844]]
    assert {name: str(array.dtype) for name, array in composite.data_vars.items()} == {
        "blue": "float32", "red": "float32", "count": "uint16", "day": "int32", "source": "int32",
    }  # fmt: skip
    assert set(composite.coords) == {"y", "x"}


def test_large_blocks_are_worked_on_in_strips(monkeypatch):
    monkeypatch.setattr(ranks, "rank", lambda *_: None)
    rng = np.random.default_rng(1)
    values = rng.random((3, 5, 61, 700), dtype=np.float32)
    usable = rng.random((5, 61, 700)) < 0.6
    composite = compose(make_cube(values), make_usable(usable))
    seen = np.where(usable, values[2], np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.testing.assert_array_equal(composite["nir"], np.nanmedian(seen, axis=0))


@pytest.mark.parametrize(
    "rule", [("median", {}), ("percentile", {"q": 33.3}), ("percentile", {"q": 100})]
)
def test_as_observations_lie_ranks_are_those_of_packed_ones(rule, monkeypatch):
    """To the bit, whatever a number is: no number, infinite, −0, as large as float32 goes, and equals."""
    rng, shape = np.random.default_rng(0), (7, 20, 33)
    odd = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0, 3e38, -3e38, 1e-42, 0.05], np.float32)
    values = np.rint(rng.random((3, *shape)) * 50).astype(np.float32) / 500
    values = np.where(rng.random(values.shape) < 0.1, rng.choice(odd, values.shape), values)
    dims = ("time", "y", "x")
    layers = {name: (dims, each) for name, each in zip("abc", values, strict=True)}
    layers["source"] = (dims, rng.integers(0, 99, shape, dtype=np.int32))
    days = np.datetime64("2024-01-05", "ns") + rng.permutation(7) * np.timedelta64(5, "D")
    cube = xr.Dataset(layers, coords={"time": days})
    usable = xr.DataArray(rng.random(shape) < 0.6, dims=dims)
    made = method(*rule)
    lying = compose(cube, usable, made)
    monkeypatch.setattr(ranks, "rank", lambda *_: None)
    packed = compose(cube, usable, made)
    assert (lying["count"] == 0).any()
    assert (lying["count"] == 5).any()
    for name, layer in packed.data_vars.items():
        assert lying[name].dtype == layer.dtype
        assert lying[name].values.tobytes() == layer.values.tobytes()


def test_what_does_not_fit_is_refused():
    cube = make_cube(np.zeros((2, 3, 4, 4)))
    with pytest.raises(ValueError, match="usable is"):
        compose(cube, make_usable(np.ones((3, 4, 5))))
    # Codes of classes, say: water would be no ground.
    with pytest.raises(ValueError, match="usable is uint8.*: expected booleans"):
        compose(cube, make_usable(np.ones((3, 4, 4))).astype(np.uint8))
    with pytest.raises(ValueError, match="no compositing method 'mode': there are median"):
        compose(cube, make_usable(np.ones((3, 4, 4))), method="mode")
    with pytest.raises(ValueError, match="no scene"):
        compose(cube.isel(time=slice(0)), make_usable(np.ones((0, 4, 4))))


def test_nothing_is_what_composing_without_usable_observations_gives():
    empty = compose(make_cube(np.ones((2, 3, 5, 6))), make_usable(np.zeros((3, 5, 6))))
    assert_same_bits(nothing((5, 6), ["blue", "red"]), empty)
    assert nothing((5, 6), ["blue", "red"]).dtypes == empty.dtypes
