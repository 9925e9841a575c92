"""Cloud optimised GeoTIFFs, written tile by tile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import rasterio
import xarray as xr
from rasterio.windows import Window as RasterWindow

from pipeline.publish.layers import Layer
from pipeline.publish.region import Part, Region
from pipeline.publish.styles import STYLE, has_style, style_of
from pipeline.query.geotiff import BLOCK_PX, CACHE_MB, lay_out
from pipeline.types import LEGEND
from pipeline.types.legend import SIDECAR, colour_table, sidecar


def write_cog(
    layer: Layer,
    values: xr.DataArray,
    region: Region,
    parts: Sequence[Part],
    path: Path,
    tags: Mapping[str, str],
) -> None:
    """Write one layer as a COG.

    One tile at a time is written to a plain GeoTIFF, which GDAL then rewrites as a COG with overviews, block by block.
    Pixels outside all parts are no data. A mask gets a sidecar file with the names of its classes, and a quality layer a style.

    Parameters
    ----------
    layer
        The layer.
    values
        The variable at one time (y, x), on the whole grid, lazy.
    region
        The pixels of the file.
    parts
        The parts of the region that have results.
    path
        The file.
    tags
        Metadata of the file.
    """
    plain = path.with_name(f".{path.name}.part")
    try:
        with rasterio.Env(GDAL_CACHEMAX=CACHE_MB):
            _write_plain(layer, values, region, parts, plain, tags)
        lay_out(plain, path, overviews=layer.overviews, codes=layer.classes)
    finally:
        plain.unlink(missing_ok=True)
    if layer.classes:
        path.with_name(path.name + SIDECAR).write_text(sidecar([1]), encoding="utf-8")
    if has_style(layer.name):
        path.with_suffix(STYLE).write_text(style_of(layer.name), encoding="utf-8")


def _write_plain(
    layer: Layer,
    values: xr.DataArray,
    region: Region,
    parts: Sequence[Part],
    path: Path,
    tags: Mapping[str, str],
) -> None:
    height, width = region.geobox.shape
    crs = region.geobox.crs
    assert crs is not None, "a grid has a CRS"
    top, _, left, _ = region.edges
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=height,
        width=width,
        count=1,
        dtype=layer.dtype,
        nodata=layer.nodata,
        crs=crs.to_wkt(),
        transform=region.geobox.affine,
        tiled=True,
        blockxsize=BLOCK_PX,
        blockysize=BLOCK_PX,
        bigtiff="if_safer",
        # Blocks without data take no space.
        sparse_ok=True,
    ) as raster:
        raster.update_tags(**tags)
        raster.set_band_description(1, layer.name)
        if layer.scale is not None:
            raster.scales, raster.offsets = (layer.scale,), (0.0,)
        if layer.unit is not None:
            raster.units = (layer.unit,)
        if layer.classes:
            raster.write_colormap(1, colour_table())
            raster.update_tags(classes=", ".join(f"{e.code.value} {e.meaning}" for e in LEGEND))
        for part in parts:
            ys, xs = part.window
            pixels = layer.stored(values.isel(y=ys, x=xs).to_numpy())
            height, width = pixels.shape
            where = RasterWindow(xs.start - left, ys.start - top, width, height)
            raster.write(pixels, 1, window=where)
