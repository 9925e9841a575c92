"""Questions about an area and dates, answered from opened masks.

::

    area         AOI in degrees -> its pixels, tile by tile
    statistics   clear-sky statistics: histograms inside, pixels along the AOI's edge
    knowledge    dates with scenes, dates searched without one, dates never searched
    answer       a series as rows, JSON and sentences
    selection    the pixels themselves, of masks and composites, cropped to the AOI
    export       files: Zarr and NetCDF (cf), COG (geotiff), PNG (picture)

Masks come as xarray Datasets by sensor, as `pipeline.store.Archive.masks` gives them.
"""

from pipeline.query.answer import in_words, require_archived, to_dict, to_rows
from pipeline.query.export import export
from pipeline.query.selection import select_composite, select_masks
from pipeline.query.statistics import clear_sky

__all__ = [
    "clear_sky",
    "export",
    "in_words",
    "require_archived",
    "select_composite",
    "select_masks",
    "to_dict",
    "to_rows",
]
