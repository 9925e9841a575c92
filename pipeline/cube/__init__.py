"""Items + Tile -> Cube: lazy, ``(time, y, x)``, reflectance; the only user of odc.stac and rasterio.

::

    metadata/     what items and headers say: roles, outlines, places, and what settles a contradiction
    opening.py    one raster opened and read with patience
    datasets.py   GDAL in each thread; what a raster must be to be read      gdal.py  what rasterio leaves out
    meter.py      what was read, and what GDAL asked the network for
    unfit.py      numbers that are no reflectance                              (pure)
    windows.py    which of a raster's own pixels a geobox needs                (pure)
    seen.py       what is read of a window                                     (pure)
    resample.py   source pixels -> pixels of the grid                          (pure)
    reader.py     one window of one asset, the same pixels however it is cut
    layers.py     one item made ready for reading
    loaders.py    who lays out the reads of a block: odc-stac or stackstac
    build.py      scenes -> Dataset: load, radiometry per item, mosaic         (lazy)
"""

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
]
