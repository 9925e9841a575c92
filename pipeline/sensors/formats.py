"""Whether an asset is a raster that is read, by its media type and the name of its file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import pystac

READ = "GeoTIFF and JPEG 2000 are read"

_RASTERS = frozenset({"tif", "tiff", "gtiff", "geotiff", "jp2", "j2k", "jpx", "j2c", "jpf"})
"""Endings of files that are read with any media type: catalogues copy types without checking."""

_BY_ENDING: Mapping[str, str] = {
    "zarr": "Zarr",
    "zmetadata": "Zarr",
    "nc": "NetCDF",
    "nc4": "NetCDF",
    "cdf": "NetCDF",
    **dict.fromkeys(("h5", "hdf5", "he5"), "HDF5"),
    **dict.fromkeys(("hdf", "h4", "hdf4"), "HDF"),
    "safe": "a SAFE folder",
    **dict.fromkeys(("zip", "tar", "tgz", "gz", "7z", "bz2", "zst"), "an archive of files"),
    **dict.fromkeys(("json", "geojson", "jsonld"), "JSON"),
    **dict.fromkeys(("xml", "gml", "kml"), "XML"),
    **dict.fromkeys(("parquet", "parq", "geoparquet"), "Parquet"),
    "vrt": "VRT",
    **dict.fromkeys(("grib", "grb", "grib2", "grb2"), "GRIB"),
    **dict.fromkeys(("html", "htm"), "HTML"),
    **dict.fromkeys(("txt", "csv", "md"), "text"),
    "pdf": "PDF",
    "png": "PNG",
    **dict.fromkeys(("jpg", "jpeg"), "JPEG"),
    "webp": "WebP",
    "gif": "GIF",
    **dict.fromkeys(("laz", "las"), "a point cloud"),
    "gpkg": "GeoPackage",
    "shp": "a Shapefile",
}
"""Ending of a file that is not read -> what it is."""

_BY_TYPE: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"application/(vnd|x)?[.+-]?zarr", "Zarr"),
        (r"application/(x-)?netcdf", "NetCDF"),
        (r"application/(x-)?hdf5", "HDF5"),
        (r"application/(x-)?hdf", "HDF"),
        (r"application/(x-)?(zip|tar|gzip|7z)", "an archive of files"),
        (r"application/([a-z.]*parquet|(vnd|x)[.-](apache\.)?parquet)", "Parquet"),
        (r"(application|text)/([a-z.-]+\+)?json", "JSON"),
        (r"(application|text)/([a-z.-]+\+)?xml", "XML"),
        (r"application/(wmo-)?(x-)?grib", "GRIB"),
        (r"application/pdf", "PDF"),
        (r"application/geopackage", "GeoPackage"),
        (r"text/html", "HTML"),
        (r"text/", "text"),
        (r"image/png", "PNG"),
        (r"image/jpe?g$", "JPEG"),
        (r"image/webp", "WebP"),
        (r"image/gif", "GIF"),
    )
)
"""Media type that is not read -> what it is; a type that is missing here may be anything."""


def no_raster(asset: pystac.Asset) -> str | None:
    """Return what an asset is if it is no raster that can be read; None: it may be one.

    By the ending of its file, by its media type, or because it lies inside a Zarr hierarchy.
    """
    href = str(asset.href)
    path = urlsplit(href).path if "://" in href else href
    *folders, name = path.rstrip("/").lower().split("/")
    ending = name.rpartition(".")[2] if "." in name else ""
    if ending in _RASTERS:
        return None
    if ending in _BY_ENDING:
        return _BY_ENDING[ending]
    if any(folder.endswith(".zarr") for folder in folders):
        return "Zarr"
    media_type = str(asset.media_type or "").strip().lower()
    return next((what for pattern, what in _BY_TYPE if pattern.match(media_type)), None)


def refusal(asset_key: str, what: str) -> str:
    """Return the reason why an asset of this kind is not read."""
    return f"asset {asset_key!r} is {what}; {READ}"
