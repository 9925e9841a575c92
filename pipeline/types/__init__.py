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
"""

from pipeline.cost import Cost
from pipeline.types.grid import Grid, Tile
from pipeline.types.items import Dropped, Items, Scene, footprint
from pipeline.types.job import Job, Period, Source
from pipeline.types.legend import (
    CLOUD,
    LEGEND,
    NEVER,
    PIXEL_VERSION,
    UNCOVERED,
    UNFIT,
    UNREADABLE,
    USABLE,
    Code,
    LegendEntry,
    is_usable,
)
from pipeline.types.manifest import Screened, ScreenedScene
from pipeline.types.model import Device, DeviceModel, Lattice, Model, ModelCard, Scores, Then
from pipeline.types.record import (
    CellReceipt,
    CellStatus,
    Doubtful,
    Record,
    Stage,
    Step,
    TileReceipt,
    Unfit,
)
from pipeline.types.running import ClusterSettings, RunSettings, StacSettings
from pipeline.types.searched import Searched, outline_of
from pipeline.types.series import (
    SceneShares,
    Series,
    State,
    StoredMasks,
    StoredScene,
    Stretch,
    Summary,
)
from pipeline.types.settings import (
    CleanGroup,
    CleanSettings,
    CompositeSettings,
    CubeSettings,
    GridSettings,
    GuardSettings,
    MaskSettings,
    ScreenSettings,
    ShadowSettings,
)
from pipeline.types.values import Days

__all__ = [
    "CLOUD",
    "LEGEND",
    "NEVER",
    "PIXEL_VERSION",
    "UNCOVERED",
    "UNFIT",
    "UNREADABLE",
    "USABLE",
    "CellReceipt",
    "CellStatus",
    "CleanGroup",
    "CleanSettings",
    "ClusterSettings",
    "Code",
    "CompositeSettings",
    "Cost",
    "CubeSettings",
    "Days",
    "Device",
    "DeviceModel",
    "Doubtful",
    "Dropped",
    "Grid",
    "GridSettings",
    "GuardSettings",
    "Items",
    "Job",
    "Lattice",
    "LegendEntry",
    "MaskSettings",
    "Model",
    "ModelCard",
    "Period",
    "Record",
    "RunSettings",
    "Scene",
    "SceneShares",
    "Scores",
    "ScreenSettings",
    "Screened",
    "ScreenedScene",
    "Searched",
    "Series",
    "ShadowSettings",
    "Source",
    "StacSettings",
    "Stage",
    "State",
    "Step",
    "StoredMasks",
    "StoredScene",
    "Stretch",
    "Summary",
    "Then",
    "Tile",
    "TileReceipt",
    "Unfit",
    "footprint",
    "is_usable",
    "outline_of",
]
