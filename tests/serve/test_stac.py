"""The STAC API, read as others read it: pystac-client over HTTP, odc-stac and GDAL on its assets."""

import numpy as np
import odc.stac
import pystac_client
import pytest
import rasterio

from tests.serve.process import serving
from tests.serve.region import MONTHS, SENSORS, START

ALL = sum(map(len, SENSORS.values())) + len(MONTHS)


@pytest.fixture(scope="module")
def address(region):
    """Serve in another process: GDAL holds the interpreter while it asks."""
    with serving({"alps": region.url}) as found:
        yield found


@pytest.fixture(scope="module")
def catalogue(address):
    return pystac_client.Client.open(f"{address}/stac")


def test_collections_and_items_are_valid(catalogue):
    assert {each.id for each in catalogue.get_collections()} == {
        *(f"alps-masks-{each}" for each in SENSORS),
        "alps-composites-monthly",
    }
    found = list(catalogue.search(limit=2).items())
    assert len(found) == ALL
    assert len({each.id for each in found}) == ALL


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_searches_by_area_dates_ids_and_order(catalogue, region, method):
    def ids(**asked):
        return [each.id for each in catalogue.search(method=method, **asked).items()]

    assert ids(bbox=[20, 10, 21, 11]) == []
    assert len(ids(bbox=region.box(0, 0, 10, 10).bounds)) > 0
    june = ids(
        datetime="2026-06-01T00:00:00Z/2026-06-30T00:00:00Z", collections=["alps-masks-landsat"]
    )
    assert len(june) == 1
    assert ids(ids=june) == june
    falling = ids(sortby=[{"field": "properties.datetime", "direction": "desc"}])
    assert falling != ids()
    assert {*falling} == {*ids()}
    assert len(ids(intersects=region.box(0, 0, 10, 10).__geo_interface__)) > 0


def test_odc_stac_loads_what_is_stored(catalogue, region):
    [item] = catalogue.search(collections=["alps-masks-sentinel-2"], datetime=START).items()
    loaded = odc.stac.load([item], bands=["mask"], geobox=region.grid.geobox)
    codes = np.maximum(region.codes["sentinel-2", START], 0)
    np.testing.assert_array_equal(loaded["mask"].isel(time=0).to_numpy(), codes)


def test_assets_are_rasters_with_colours_and_georeference(catalogue, region):
    [item] = catalogue.search(collections=["alps-masks-sentinel-2"], datetime=START).items()
    with rasterio.open(item.assets["mask"].href) as raster:
        assert raster.crs == "EPSG:32632"
        assert tuple(raster.transform)[:6] == tuple(region.grid.geobox.affine)[:6]
        assert raster.colormap(1)[5] == (255, 255, 255, 255)


def test_gdal_reads_the_map_service(address, region):
    url = f"WMTS:{address}/archives/alps/tiles/WebMercatorQuad/WMTSCapabilities.xml,layer=composite-monthly"
    with rasterio.open(url) as service:
        x, y = (np.array(region.lonlat(60, 60)) * np.pi / 180) * 6378137
        y = 6378137 * np.log(np.tan(np.pi / 4 + y / 6378137 / 2))
        window = service.window(x - 300, y - 300, x + 300, y + 300)
        pixels = service.read(window=window, out_shape=(4, 64, 64))
    assert pixels[3].any()
    assert pixels[:3].any()
