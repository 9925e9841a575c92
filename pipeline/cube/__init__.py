"""Items + Tile -> Cube: lazy, ``(time, y, x)``, reflectance; the only user of odc.stac and rasterio.

::

    metadata/         metadata of items and headers: roles, outlines, hrefs; settles contradictions
    opening.py        opens and reads one raster, with retries
    blocks/           rasters read in their own blocks, each decoded once and cached, those of servers also on disk
    datasets.py       GDAL's settings per thread, checks of rasters, the pool of open rasters
    gdal.py           functions of GDAL that rasterio does not offer
    meter.py          counts what was read, and GDAL's requests
    unfit.py          numbers that are no reflectance                            (pure)
    windows.py        which of a raster's own pixels a geobox needs              (pure)
    raster_pixels.py  the pixels of a window, and which of them are unfit        (pure)
    positions.py      where pixels of the grid lie in a raster                   (pure)
    resample.py       source pixels -> pixels of the grid                        (pure)
    reader.py         reads one geobox of one asset; pixels do not depend on how a region is divided
    layers.py         one item prepared for reading
    loaders.py        ``cube.loader``: odc-stac or stackstac
    build.py          scenes -> Dataset: load, radiometry per item, mosaic       (lazy)
"""

from pipeline.cube.blocks.remote import use_disk
from pipeline.cube.build import bytes_needed, open_cube, open_measured
from pipeline.cube.loaders import require_loader
from pipeline.cube.metadata.header import read_header
from pipeline.cube.metadata.roles import asset_keys, misplaced, missing_roles
from pipeline.cube.metadata.settle import ask, settled
from pipeline.cube.meter import METER

__all__ = [
    "METER",
    "ask",
    "asset_keys",
    "bytes_needed",
    "misplaced",
    "missing_roles",
    "open_cube",
    "open_measured",
    "read_header",
    "require_loader",
    "settled",
    "use_disk",
]
