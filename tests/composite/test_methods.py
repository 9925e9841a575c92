"""Laws that every method of the table obeys, and each against an oracle."""

import sys
from importlib.metadata import EntryPoint

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.composite import METHODS, compose, method, names
from pipeline.composite import methods as table
from tests.composite.test_compose import assert_same_bits, cubes, make_cube, make_usable, taken

WHOLE = ("count", "day", "source")

every = st.sampled_from(sorted(METHODS)).map(method)


def spectra(cube, usable, composite):
    """Yield of each pixel with data its observations (T, B), its value (B,) and where it is."""
    roles = [name for name in cube.data_vars if name != "source"]
    bands = np.stack([cube[role].values for role in roles], axis=-1)
    values = np.stack([composite[role].values for role in roles], axis=-1)
    keep = taken(cube, usable)
    for y, x in np.argwhere(keep.any(axis=0)):
        yield bands[keep[:, y, x], y, x].astype(np.float64), values[y, x], (y, x)


@given(cubes(), every)
def test_every_method_stays_within_its_observations(case, made):
    cube, usable = case
    composite = compose(cube, usable, made)
    empty = composite["count"].values == 0
    for name, layer in composite.data_vars.items():
        missing = layer.values == (0 if name == "count" else -1)
        missing = missing if name in WHOLE else np.isnan(layer.values)
        np.testing.assert_array_equal(missing, empty, err_msg=str(name))
    for seen, value, _ in spectra(cube, usable, composite):
        assert (seen.min(axis=0) <= value).all()
        assert (value <= seen.max(axis=0)).all()


@given(cubes(), every)
def test_source_and_day_are_of_a_usable_observation(case, made):
    cube, usable = case
    composite = compose(cube, usable, made)
    keep = taken(cube, usable)
    days = cube["time"].values.astype("datetime64[D]").astype(int)
    for y, x in np.argwhere(keep.any(axis=0)):
        scene = composite["source"].values[y, x] - 100
        assert keep[scene, y, x]
        assert composite["day"].values[y, x] == days[scene]


@given(cubes(), every, st.data())
def test_order_strips_and_clouds_leave_no_trace(case, made, data):
    cube, usable = case
    whole = compose(cube, usable, made)
    order = list(data.draw(st.permutations(range(cube.sizes["time"]))))
    assert_same_bits(compose(cube.isel(time=order), usable.isel(time=order), made), whole)
    cut = data.draw(st.integers(0, cube.sizes["y"]))
    for part in (slice(0, cut), slice(cut, None)):
        some = compose(cube.isel(y=part), usable.isel(y=part), made)
        assert_same_bits(some, whole.isel(y=part))
    at = data.draw(st.integers(0, cube.sizes["time"] - 1))
    seen = usable.copy(data=usable.values & (np.arange(len(usable)) != at)[:, None, None])
    rest = [t for t in range(len(usable)) if t != at]
    if rest:
        without = compose(cube.isel(time=rest), seen.isel(time=rest), made)
        assert_same_bits(compose(cube, seen, made), without)


@pytest.mark.parametrize("q", [0, 10, 25, 50, 62.5, 100])
def test_percentiles_are_numpys(q):
    rng = np.random.default_rng(5)
    for n in (1, 2, 3, 4, 5, 8, 13, 31, 64, 65, 90):
        values = rng.random((2, n, 6, 7), np.float32)
        composite = compose(
            make_cube(values), make_usable(np.ones((n, 6, 7))), method("percentile", {"q": q})
        )
        expected = np.percentile(values.astype(np.float64), q, axis=1)
        np.testing.assert_allclose(composite["red"], expected[1], rtol=2e-7)


def test_methods_of_other_packages_are_found_by_name(monkeypatch):
    points = [
        EntryPoint("half", "pipeline.composite.ranks:Median", table.ENTRY_POINTS),
        EntryPoint("broken", "no_such_package:Method", table.ENTRY_POINTS),
    ]
    monkeypatch.setattr(table, "entry_points", lambda group: points)
    cube, usable = make_cube(np.ones((2, 3, 4, 4))), make_usable(np.ones((3, 4, 4)))
    assert_same_bits(compose(cube, usable, "half"), compose(cube, usable))
    assert {"median", "half", "broken"} <= set(names())
    assert "no_such_package" not in sys.modules
    with pytest.raises(
        ValueError, match="'broken' of another package cannot be imported: No module"
    ):
        method("broken")


def test_options_that_a_method_does_not_have_are_refused():
    with pytest.raises(ValueError, match="'median': .*unexpected keyword argument 'q'"):
        method("median", {"q": 3})
    with pytest.raises(ValueError, match="percentile q is 101: expected 0 to 100"):
        method("percentile", {"q": 101})
