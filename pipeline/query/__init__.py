"""Questions about an area and dates, answered from opened masks.

::

    area         AOI in degrees -> its pixels, tile by tile
    statistics   clear-sky statistics: histograms inside, pixels along the AOI's edge
    selection    the masks themselves, cropped to the AOI
    export       Zarr, NetCDF and GeoTIFF files

Masks come as xarray Datasets by sensor, as `pipeline.store.Archive.masks` gives them.
"""

from pipeline.query.export import export
from pipeline.query.selection import select_masks
from pipeline.query.statistics import clear_sky, to_rows

__all__ = ["clear_sky", "export", "select_masks", "to_rows"]
