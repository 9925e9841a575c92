"""Items + Tile -> Cube: lazy, ``(time, y, x)``, reflectance; the only user of odc.stac and rasterio.

::

    roles.py      which assets an item offers; where its rasters lie            (pure)
    outlines.py   … in the plane of a grid, many at once                        (pure)
    header.py     … read from a file's header, where an item does not say
    darkness.py   what dark pixels say of a doubtful offset                     (pure)
    settle.py     … asked of the pixels of doubtful items
    places.py     which location of an asset is read
    opening.py    one raster opened and read with patience
    datasets.py   GDAL in each thread; what a raster must be to be read
    meter.py      what was read, and what GDAL asked the network for
    facts.py      what is known of an asset before it is opened
    unfit.py      numbers that are no reflectance                              (pure)
    windows.py    which of a raster's own pixels a geobox needs                     (pure)
    seen.py       what is read of a window                                      (pure)
    reader.py     one window of one asset, the same pixels however it is cut
    resample.py   source pixels -> pixels of the grid                           (pure)
    layers.py     one item made ready for reading
    loaders.py    who lays out the reads of a block: odc-stac or stackstac
    build.py      scenes -> Dataset: load, radiometry per item, mosaic          (lazy)
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
