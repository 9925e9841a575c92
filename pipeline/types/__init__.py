"""The words that the rooms share: what a job asks for, what flows between the rooms, and the legend.

::

    Job  = AOI + Period + Source… + CubeSettings + GridSettings + MaskSettings + CompositeSettings? + RunSettings + StacSettings?
    Items = pystac items + what was dropped at the search        Scene = items of one sensor and pass
    Grid ─▶ Tile                                                 Lattice: where inference windows sit
    Model: the seam between `mask` and `models`, described by a ModelCard
    CellReceipt ─▶ TileReceipt ─▶ Record: what was done, from what, at which cost
    StoredMasks ─▶ Series: clear-sky statistics of an AOI, one row a scene, and what is not known of its dates

Three contracts are xarray Datasets, so they have no class here:

Cube
    one float32 variable per role, dims ``(time, y, x)``, surface or top-of-atmosphere reflectance
    (1.0 = 100 %, may be negative or above one), NaN = no data; ``source``, int32, the position
    in `Items.items` of the item that the pixel comes from, -1 = no data; and ``unfit``, uint8: 0, or
    which kind of `UNFIT` the raster's number is. ``spatial_ref`` by odc-geo.
Mask
    ``mask``, uint8, dims ``(time, y, x)``, codes of `Code`, with CF flag attributes, no ``_FillValue``.
Composite
    one float32 variable per role, dims ``(time, y, x)`` with one time a period, NaN = no data;
    ``count`` uint16 (usable observations), ``day`` int32 (days since 1970-01-01, -1 = none) and
    ``source`` int32 (as in the cube, -1 = none) of the observation nearest to the value. Where the method
    gives more (``attrs["layers"]``), float32, NaN = no data.

Nothing is imported before it is used: what only reads a store needs no models of jobs.
"""

import lazy_loader

from pipeline.cost import Cost

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["Cost"]
