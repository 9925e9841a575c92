import pipeline.cost

from .grid import Grid, Tile
from .items import Dropped, Items, Scene, footprint
from .job import Job, Source
from .legend import (
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
from .manifest import Screened, ScreenedScene
from .model import Device, DeviceModel, Lattice, Model, ModelCard, Scores, Then
from .record import (
    CellReceipt,
    CellStatus,
    Doubtful,
    Record,
    Stage,
    Step,
    TileReceipt,
    Unfit,
)
from .running import ClusterSettings, RunSettings, StacSettings
from .searched import Period, Searched, outline_of
from .series import (
    SceneShares,
    Series,
    State,
    StoredMasks,
    StoredScene,
    Stretch,
    Summary,
)
from .settings import (
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
from .values import Days

Cost = pipeline.cost.Cost

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
