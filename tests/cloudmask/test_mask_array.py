"""Any xarray cube can be masked, and gets what a run would give it."""

import numpy as np
import pytest
import xarray as xr
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

import cloudmask
from pipeline.errors import ModelError
from pipeline.mask import mask_cube, read_geobox
from pipeline.testing.models import ThresholdModel, WindowMeanModel

ROLES = ("blue", "nir")


def scene(seed, shape=(70, 90)):
    """Return reflectance with clouds, shadows and a gap."""
    random = np.random.default_rng(seed)
    made = {role: random.uniform(0, 0.5, (2, *shape)).astype(np.float32) for role in ROLES}
    for values in made.values():
        values[0, :9, :20] = np.nan
    return xr.Dataset({role: (("time", "y", "x"), values) for role, values in made.items()})


def placed(cube, left, top):
    geobox = GeoBox(
        (cube.sizes["y"], cube.sizes["x"]),
        Affine(20, 0, 20 * left, 0, -20, 20 * top),
        "EPSG:32633",
    )
    return cube.assign_coords(dict(xr_coords(geobox))), geobox


@given(st.integers(0, 99), st.integers(-60, 60), st.integers(-60, 60))
def test_the_mask_is_that_of_the_engine_on_the_lattice_of_the_crs(seed, left, top):
    cube, geobox = placed(scene(seed), left, top)
    model = WindowMeanModel()
    read = read_geobox(model.card.lattice, geobox)
    offset = ~read.transform * (geobox.transform * (0, 0))
    wide = {role: np.full((2, *read.shape), np.nan, np.float32) for role in ROLES}
    rows = slice(round(offset[1]), round(offset[1]) + 70)
    cols = slice(round(offset[0]), round(offset[0]) + 90)
    for role in ROLES:
        wide[role][:, rows, cols] = cube[role].to_numpy()
    whole = xr.Dataset(
        {role: (("time", "y", "x"), values) for role, values in wide.items()},
        coords=dict(xr_coords(read)),
    ).chunk()
    for array in whole.data_vars.values():
        array.attrs["grid_mapping"] = "spatial_ref"
    expected = mask_cube(whole, model, geobox).compute()
    found = cloudmask.mask_array(cube, model)
    np.testing.assert_array_equal(found["mask"].to_numpy(), expected)
    assert ((found["confidence"] == 0) == (found["mask"] == 0)).all()
    assert found["x"].equals(cube["x"])


@given(st.integers(0, 99), st.sampled_from([7, 32, 90]))
def test_chunks_change_nothing(seed, chunk):
    cube = scene(seed)
    whole = cloudmask.mask_array(cube, WindowMeanModel())
    lazy = cloudmask.mask_array(cube.chunk({"y": chunk, "x": chunk}), WindowMeanModel())
    assert lazy["mask"].chunks
    xr.testing.assert_equal(lazy.compute(), whole)


def test_one_date_bands_along_a_dimension_and_other_bands_beside():
    cube = scene(1).isel(time=0)
    beside = cube.assign(swir16=cube["nir"]).to_dataarray("band")
    found = cloudmask.mask_array(beside, ThresholdModel())
    assert found["mask"].dims == ("y", "x")
    assert found["mask"].dtype == np.uint8
    assert found["mask"].attrs["flag_meanings"].startswith("no_data clear")
    xr.testing.assert_equal(found, cloudmask.mask_array(cube, ThresholdModel()))


def test_what_is_missing_is_named():
    with pytest.raises(ModelError, match="lacks nir"):
        cloudmask.mask_array(scene(1)[["blue"]], ThresholdModel())
    with pytest.raises(ModelError, match="dimension 'band'"):
        cloudmask.mask_array(scene(1)["blue"], ThresholdModel())
    with pytest.raises(ModelError, match=r"dims \(y, x\)"):
        cloudmask.mask_array(scene(1).rename(y="lat"), ThresholdModel())
