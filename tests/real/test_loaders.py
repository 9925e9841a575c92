"""stackstac and odc-stac lay out the same cube of the real scenes, other zones and masks included."""

import pytest
import xarray as xr
from odc.geo.geobox import GeoBox

from pipeline import cube, sensors
from pipeline.cube.metadata.roles import frame
from pipeline.search import search
from pipeline.types import CubeSettings, Items, Scene
from tests.real.real_catalogue import ANTARCTICA, COLOMBIA, IRELAND, LAKE_LANDSAT, LAKE_SENTINEL

CASES = [
    (IRELAND, 60, "EPSG:32629", ("blue", "nir", "swir16", "scl")),
    (IRELAND, 100, "EPSG:3035", ("blue", "swir22")),
    (LAKE_SENTINEL, 60, "EPSG:32611", ("red", "nir08")),
    (LAKE_LANDSAT, 10, "EPSG:32612", ("coastal", "nir")),
    (COLOMBIA, 500, "EPSG:32618", ("green", "lwir11", "qa_pixel")),
    (ANTARCTICA, 500, "EPSG:3031", ("green", "qa_pixel")),
]


@pytest.mark.parametrize(("name", "resolution", "crs", "roles"), CASES)
def test_one_cube_whoever_lays_it_out(real, tmp_path, name, resolution, crs, roles):
    place = LAKE_LANDSAT if name == LAKE_SENTINEL else name
    (item,) = [each for each in search(real.job("x", place, tmp_path)) if each.id == name]
    extent = frame(item).rectangle()
    whole = GeoBox.from_bbox(extent.to_crs(crs).boundingbox, crs, resolution=resolution)
    geobox = whole[: min(300, whole.shape.y), : min(300, whole.shape.x)]
    scene = Scene(sensor=sensors.profile(item).sensor, time=item.datetime, items=(0,))

    def opened(loader: str) -> xr.Dataset:
        settings = CubeSettings(loader=loader)
        return cube.open_cube(
            [scene], Items(items=(item,)), geobox, roles, chunk_px=128, settings=settings
        ).compute()

    ours = opened("odc-stac")
    assert (ours["source"] == 0).any()
    xr.testing.assert_identical(ours, opened("stackstac"))
