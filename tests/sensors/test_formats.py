"""Which assets are rasters: told by their type and name, before anything is asked for (F08)."""

from datetime import UTC, datetime

import pystac
import pytest

from pipeline import sensors
from pipeline.sensors.formats import no_raster

TIFF = "image/tiff; application=geotiff; profile=cloud-optimized"
ZARR = "application/vnd.zarr"


@pytest.mark.parametrize(
    ("href", "kind", "what"),
    [
        ("https://a.org/x.zarr/measurements/reflectance/r10m/b02", ZARR, "Zarr"),
        ("https://a.org/x.zarr/measurements/reflectance/r10m/b02", None, "Zarr"),
        ("https://a.org/x.zarr/", "application/octet-stream", "Zarr"),
        ("https://a.org/x.zarr?sig=a.tif", None, "Zarr"),
        ("https://a.org/b02", "application/vnd+zarr; version=2", "Zarr"),
        ("https://a.org/b02", "application/x-zarr", "Zarr"),
        ("s3://b/x.nc", None, "NetCDF"),
        ("s3://b/x", "application/x-netcdf", "NetCDF"),
        ("s3://b/x", "application/netcdf", "NetCDF"),
        ("/a/x.h5", None, "HDF5"),
        ("/a/x", "application/x-hdf5", "HDF5"),
        ("/a/x", "application/x-hdf", "HDF"),
        ("/a/S2A.SAFE", None, "a SAFE folder"),
        ("/a/S2A.SAFE.zip", "application/zip", "an archive of files"),
        ("/a/refs.parquet", "application/vnd.apache.parquet", "Parquet"),
        ("/a/refs", "application/x-parquet", "Parquet"),
        ("/a/refs.json", "application/json", "JSON"),
        ("/a/refs", "application/geo+json", "JSON"),
        ("/a/MTD", "application/xml", "XML"),
        ("/a/B02.vrt", None, "VRT"),
        ("/a/B02", "image/png", "PNG"),
        ("/a/B02", "image/jpeg", "JPEG"),
        # Rasters, or what may be one.
        ("/a/B02.tif", TIFF, None),
        ("/a/my.zarr folder/B02.TIF", None, None),
        ("/a/x.zarr/B02.tif", None, None),
        ("/a/B02.jp2", "image/jp2", None),
        ("/a/B02.tif", "application/json", None),
        ("https://a.org/download?id=7", None, None),
        ("https://a.org/B02", "image/vnd.stac.geotiff; cloud-optimized=true", None),
        ("https://a.org/B02", "application/octet-stream", None),
        ("https://a.org/v1.2/B02", "", None),
    ],
)
def test_what_an_asset_is(href, kind, what):
    assert no_raster(pystac.Asset(href=href, media_type=kind)) == what


def item_with(**assets):
    item = pystac.Item(
        "i", None, None, datetime(2023, 6, 1, tzinfo=UTC), {}, collection="sentinel-2-l2a"
    )
    for key, (href, kind) in assets.items():
        item.add_asset(key, pystac.Asset(href=href, media_type=kind))
    return item


def test_another_asset_of_the_role_is_taken():
    item = item_with(B02_10m=("x.zarr/b02", ZARR), B02=("B02.tif", TIFF))
    profile = sensors.profile(item)
    assert profile.offered(item) == {"blue": "B02"}
    assert profile.refused(item) == {}


def test_what_no_asset_offers_as_a_raster_is_refused_with_its_name():
    item = item_with(B02_10m=("x.zarr/b02", ZARR), B03_10m=("B03.jp2", "image/jp2"))
    profile = sensors.profile(item)
    assert profile.offered(item) == {"green": "B03_10m"}
    assert profile.refused(item) == {
        "blue": "asset 'B02_10m' is Zarr; GeoTIFF and JPEG 2000 are read"
    }
