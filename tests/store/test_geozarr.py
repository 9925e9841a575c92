"""What groups say of their pixels by the conventions of GeoZarr: valid by `zarr-cm`, and true."""

import numpy as np
import pytest
import zarr_cm

from pipeline import geozarr
from pipeline.store.arrays.contents import level_name
from tests.serve.region import Region, fill

DECLARED = {"proj", "spatial", "multiscales"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    made = Region(str(tmp_path_factory.mktemp("geozarr") / "store"))
    fill(made)
    return made.open()._root


@pytest.mark.parametrize("path", ["masks/sentinel-2", "composites/monthly"])
def test_levels_are_where_their_group_says(root, path):
    group = root[path]
    attributes = dict(group.attrs)
    assert {*zarr_cm.extract_all(attributes)[1]} == DECLARED
    zarr_cm.validate_all(attributes)
    assert attributes["proj:code"] == "EPSG:32632"
    first, *coarser = attributes["multiscales"]["layout"]
    assert first["asset"] == "."
    assert [each["asset"] for each in coarser] == [level_name(n) for n in (2, 4, 8, 16)]
    for entry in (first, *coarser):
        level = group if entry["asset"] == "." else group[entry["asset"]]
        size, _, left, _, height, top = entry["spatial:transform"]
        ny, nx = entry["spatial:shape"]
        np.testing.assert_allclose(level["x"][...], left + size * (np.arange(nx) + 0.5))
        np.testing.assert_allclose(level["y"][...], top + height * (np.arange(ny) + 0.5))
        own = dict(level.attrs)
        zarr_cm.validate_all(own)
        assert own["spatial:transform"] == entry["spatial:transform"]
        assert own["spatial:shape"] == entry["spatial:shape"]
        west, south, east, north = own["spatial:bbox"]
        assert (west, north) == (left, top)
        assert (east, south) == pytest.approx((left + nx * size, top + ny * height))


def test_datasets_do_not_carry_them_on(root):
    given = {"sensor": "sentinel-2", **root["masks/sentinel-2"].attrs}
    left = geozarr.without(given)
    assert left["sensor"] == "sentinel-2"
    assert not [name for name in left if name.startswith(("proj", "spatial:", "multi", "zarr"))]
