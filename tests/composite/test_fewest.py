"""Pixels of too few observations are no data, in all layers; others are as they were."""

import numpy as np
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline.composite import at_least, compose
from tests.composite.test_compose import make_usable
from tests.composite.test_screen import make


@given(hnp.arrays(bool, (5, 2, 3)), st.integers(1, 6), st.booleans())
def test_count_0_is_no_data(usable, least, lazy):
    values = np.random.default_rng(0).random((3, 5, 2, 3)).astype(np.float32)
    cube = make(values)
    made = compose(cube.chunk(y=1) if lazy else cube, make_usable(usable))
    made = made.assign(suspect=xr.ones_like(made["blue"]).where(made["count"] > 0))
    found = at_least(made, least).compute()
    few = usable.sum(axis=0) < least
    for name, layer in made.compute().data_vars.items():
        assert found[name].dtype == layer.dtype
        assert found[name].attrs == layer.attrs
        np.testing.assert_array_equal(found[name].values[~few], layer.values[~few])
    assert (found["count"].values[few] == 0).all()
    assert (found["day"].values[few] == -1).all()
    assert (found["source"].values[few] == -1).all()
    assert np.isnan(found["suspect"].values[few]).all()
    np.testing.assert_array_equal(np.isnan(found["blue"]), found["count"] == 0)
