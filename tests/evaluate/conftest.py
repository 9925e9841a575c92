import numpy as np
import pytest
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

TIMES = np.array(
    ["2024-05-03T10:20:21", "2024-05-03T10:00:05", "2024-05-18T10:20:19"],
    dtype="datetime64[ns]",
)
SENSORS = np.array(["sentinel-2", "landsat", "sentinel-2"], dtype=object)
BANDS = ("blue", "green", "red", "nir", "swir16")


@pytest.fixture
def geobox():
    """Eight by six pixels of 20 m."""
    return GeoBox.from_bbox((600000, 5300000, 600120, 5300160), "EPSG:32632", resolution=20)


@pytest.fixture
def truth(geobox):
    """Three scenes: cloud in the top rows of the first, shadow in the left columns of the last."""
    shape = (3, *geobox.shape)
    depth, light = np.zeros(shape, np.float32), np.ones(shape, np.float32)
    depth[0, :3] = 2.0
    depth[1, 0, 0] = 0.4  # not thicker than the limit
    light[0, 2:4] = 0.5  # one row under the cloud, one row of shadow
    light[2, :, :2] = 0.7
    surface = (
        np.full(shape, 0.1, np.float32) + np.arange(3, dtype=np.float32)[:, None, None] / 100
    )
    variables = {f"clean_{band}": surface + i / 10 for i, band in enumerate(BANDS)}
    variables |= {"optical_depth": depth, "light": light}
    dataset = xr.Dataset(
        {
            name: (("time", "y", "x"), values.astype(np.float32))
            for name, values in variables.items()
        },
        coords={"time": TIMES, "sensor": ("time", SENSORS), **xr_coords(geobox)},
    )
    for array in dataset.data_vars.values():
        array.attrs["grid_mapping"] = "spatial_ref"
    return dataset


@pytest.fixture
def truth_path(truth, tmp_path):
    path = tmp_path / "truth.zarr"
    truth.to_zarr(path, consolidated=False)
    return path
