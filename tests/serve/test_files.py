"""Files of an area open elsewhere with the right pixels, place, colours and names."""

import io
import zipfile

import numpy as np
import pytest
import rasterio
import xarray as xr

from tests.serve.conftest import client_of
from tests.serve.region import START

MASKS = "/archives/alps/masks"
MONTHLY = "/archives/alps/composites/monthly"
ONE = {"sensor": "sentinel-2", "datetime": "2026-06-01"}


@pytest.fixture(scope="module")
def box(region):
    return ",".join(map(str, region.box(10, 20, 90, 120).bounds))


def test_masks_as_geotiff_have_colours_and_their_place(client, region, box):
    answer = client.get(MASKS, params={"bbox": box, **ONE})
    assert "attachment" in answer.headers["content-disposition"]
    with rasterio.MemoryFile(answer.content) as file, file.open() as raster:
        assert raster.crs == "EPSG:32632"
        assert raster.colormap(1)[3] == (166, 227, 244, 255)
        col, row = ~region.grid.geobox.affine @ (raster.transform.c, raster.transform.f)
        codes = raster.read(1)
    top, left = round(row), round(col)
    whole = np.maximum(region.codes["sentinel-2", START], 0)
    stored = whole[top : top + codes.shape[0], left : left + codes.shape[1]]
    # Pixels of the window whose centre is not in the box are no data.
    assert ((codes == stored) | (codes == 0)).all()
    assert (codes > 0).sum() > 0.5 * (stored > 0).sum()


def test_a_zip_has_the_names_of_classes(client, box):
    answer = client.get(MASKS, params={"bbox": box, "f": "zip", **ONE})
    names = zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
    assert [each for each in names if each.endswith(".tif.aux.xml")]


def test_composites_have_scale_and_names(client, box):
    asked = {"bbox": box, "datetime": "2026-06", "bands": "red,nir"}
    answer = client.get(MONTHLY, params=asked)
    with rasterio.MemoryFile(answer.content) as file, file.open() as raster:
        assert raster.scales == (0.0001, 0.0001)
        assert ["red" in raster.descriptions[0], "nir" in raster.descriptions[1]] == [
            True,
            True,
        ]


@pytest.mark.parametrize("path", [MASKS, MONTHLY])
def test_netcdf_opens_in_xarray(client, box, path, tmp_path):
    answer = client.get(path, params={"bbox": box, "f": "nc"})
    assert answer.status_code == 200, answer.text
    (tmp_path / "x.nc").write_bytes(answer.content)
    with xr.open_dataset(tmp_path / "x.nc", engine="h5netcdf", decode_coords="all") as dataset:
        assert dataset.odc.geobox.crs.epsg == 32632


def test_json_has_the_pixels(client, region):
    small = ",".join(map(str, region.box(10, 20, 14, 24).bounds))
    found = client.get(MASKS, params={"bbox": small, "f": "json", **ONE}).json()
    assert found["classes"]["5"] == "thick_cloud"
    [codes] = found["values"]["mask"]
    assert len(codes) >= 4


def test_a_picture_has_one_date(client, box):
    assert client.get(MASKS, params={"bbox": box, "f": "png", **ONE}).content[:4] == b"\x89PNG"
    assert client.get(MASKS, params={"bbox": box, "f": "png"}).status_code == 422


def test_a_file_that_is_too_large_is_refused_before_it_is_read(region, tmp_path, box):
    client = client_of({"alps": region.url}, tmp_path, max_pixels=1000)
    for path in (MASKS, MONTHLY):
        answer = client.get(path, params={"bbox": box})
        assert answer.status_code == 413
        assert "more than 1000" in answer.json()["detail"]
