"""Items + Tile -> Cube: lazy, ``(time, y, x)``, reflectance; the only user of odc.stac and rasterio.

::

    roles.py    an item seen by role: assets renamed, outline of its raster     (pure)
    resample.py source pixels -> pixels of the grid                             (pure)
    reader.py   one window of one asset, the same pixels however it is cut      (all the I/O)
    build.py    scenes -> Dataset: load, radiometry per item, mosaic            (lazy)
"""

from pipeline.cube.build import bytes_needed, open_cube
from pipeline.cube.reader import METER
from pipeline.cube.roles import covers, misplaced, missing_roles

__all__ = ["METER", "bytes_needed", "covers", "misplaced", "missing_roles", "open_cube"]
