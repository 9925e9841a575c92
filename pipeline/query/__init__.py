"""Clear-sky statistics, masks and files of an area and dates, from opened masks.

::

    area         AOI in degrees -> its pixels, tile by tile
    statistics   clear-sky statistics: histograms inside, pixels along the AOI's edge
    knowledge    dates with scenes, dates searched without one, dates never searched
    answer       a series as rows, JSON and sentences
    selection    the pixels themselves, of masks and composites, cropped to the AOI
    export       files: Zarr and NetCDF (cf), COG (geotiff), PNG (picture)

Statistics read `StoredMasks`, pixels are xarray Datasets; both come by sensor, as `pipeline.store.Archive`
gives them. Nothing is imported before it is used: statistics need no xarray, and so start at once.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
