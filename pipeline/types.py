"""The words that the rooms share: what a job asks for, what flows between the rooms, and the legend.

::

    Job  = AOI + Period + Source… + GridSettings + MaskSettings + CompositeSettings? + RunSettings
    Items = pystac items + what was dropped at the search        Scene = items of one sensor and solar day
    Grid ─▶ Tile                                                 Lattice: where inference windows sit
    Model: the seam between `mask` and `models`, described by a ModelCard
    CellReceipt ─▶ TileReceipt ─▶ Record: what was done, from what, at which cost
    Series: clear-sky statistics of an AOI, one row a scene

Three contracts are xarray Datasets, so they have no class here:

Cube
    one float32 variable per role, dims ``(time, y, x)``, surface or top-of-atmosphere reflectance
    (1.0 = 100 %, may be negative or above one), NaN = no data, and ``source``, int32, the position
    in `Items.items` of the item that the pixel comes from, -1 = no data. ``spatial_ref`` by odc-geo.
Mask
    ``mask``, uint8, dims ``(time, y, x)``, codes of `Code`, with CF flag attributes, no ``_FillValue``.
Composite
    one float32 variable per role, dims ``(time, y, x)`` with one time a period, NaN = no data;
    ``count`` uint16 (usable observations), ``day`` int32 (days since 1970-01-01, -1 = none) and
    ``source`` int32 (as in the cube, -1 = none) of the observation nearest to the value.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import IntEnum
from typing import Any, Literal, Protocol

import numpy as np
import pystac
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from shapely.geometry.base import BaseGeometry

PIXEL_VERSION = 1
"""Part of every fingerprint: raised when the meaning of stored pixels changes."""


# -- the legend --------------------------------------------------------------------------------


class Code(IntEnum):
    """Classes of a mask: the seven of SEnSeI-v2 (Francis 2024), one legend for all models."""

    NO_DATA = 0
    CLEAR = 1
    """Land, or clear of unknown kind."""
    WATER = 2
    SNOW = 3
    """Snow or ice."""
    THIN_CLOUD = 4
    THICK_CLOUD = 5
    """Thick cloud, or cloud of unknown kind."""
    CLOUD_SHADOW = 6


USABLE: tuple[Code, ...] = (Code.CLEAR, Code.WATER, Code.SNOW)
"""The classes whose pixels show the ground."""

CLOUD: tuple[Code, ...] = (Code.THIN_CLOUD, Code.THICK_CLOUD)


@dataclass(frozen=True, slots=True, kw_only=True)
class LegendEntry:
    """One class as people see it."""

    code: Code
    meaning: str
    """Word of CF ``flag_meanings``."""
    label: str
    colour: str
    """``#rrggbb``."""


LEGEND: tuple[LegendEntry, ...] = (
    LegendEntry(code=Code.NO_DATA, meaning="no_data", label="no data", colour="#000000"),
    LegendEntry(code=Code.CLEAR, meaning="clear", label="clear", colour="#7fa66a"),
    LegendEntry(code=Code.WATER, meaning="water", label="water", colour="#3b6fb6"),
    LegendEntry(code=Code.SNOW, meaning="snow", label="snow or ice", colour="#a6e3f4"),
    LegendEntry(
        code=Code.THIN_CLOUD, meaning="thin_cloud", label="thin cloud", colour="#c9c3d9"
    ),
    LegendEntry(
        code=Code.THICK_CLOUD, meaning="thick_cloud", label="thick cloud", colour="#ffffff"
    ),
    LegendEntry(
        code=Code.CLOUD_SHADOW, meaning="cloud_shadow", label="cloud shadow", colour="#4a3b57"
    ),
)


def is_usable(mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Say where a mask shows the ground.

    Parameters
    ----------
    mask
        Codes of `Code`, any shape.

    Returns
    -------
    Booleans of the same shape: true for clear, water, and snow or ice.
    """
    usable: NDArray[np.bool_] = np.isin(mask, [int(code) for code in USABLE])
    return usable


# -- what a job asks for -----------------------------------------------------------------------

STRICT = {"extra": "forbid"}
"""Configuration that pydantic reads from the settings classes: unknown keys are mistakes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A half-open span of time, UTC."""

    start: datetime
    """First instant inside; timezone-aware, UTC."""
    end: datetime
    """First instant after; timezone-aware, UTC."""

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError(f"a period is in UTC: {self.start} to {self.end} has no time zone")
        if self.start >= self.end:
            raise ValueError(f"a period ends after its start: {self.start} to {self.end}")

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%dT%H:%M:%SZ}/{self.end:%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where items come from."""

    __pydantic_config__ = STRICT

    catalog: str
    """Name of a row of `pipeline.catalogs`, URL of a STAC API or static catalogue, or path of a
    catalogue, collection or item collection."""
    collections: tuple[str, ...] = ()
    """Collection ids; empty takes all that `pipeline.sensors` knows."""
    query: Mapping[str, Any] = field(default_factory=dict)
    """STAC API query extension, e.g. ``{"eo:cloud_cover": {"lt": 80}}``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GridSettings:
    """The pixel grid of the region."""

    __pydantic_config__ = STRICT

    crs: str = "utm"
    """``utm`` for the UTM zone of the AOI, or any projected CRS in metres (``EPSG:3035``)."""
    resolution_m: float = 10.0
    tile_px: int = 2048
    """Edge of a tile, the unit of work, retry and commit; a multiple of `chunk_px`."""
    chunk_px: int = 256
    """Edge of a stored chunk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskSettings:
    """Which model masks, and how."""

    __pydantic_config__ = STRICT

    model: str = "ukis-csmask"
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of the model; `cloudmask models show NAME` lists them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositeSettings:
    """What is composed from the clear observations."""

    __pydantic_config__ = STRICT

    name: str = "monthly"
    """Name of the composite in the store."""
    method: Literal["median"] = "median"
    period: Literal["month", "season", "year", "all"] = "month"
    bands: tuple[str, ...] = ("blue", "green", "red", "nir", "swir16")
    """Roles, as in `pipeline.sensors`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """How a run behaves; none of it changes a pixel."""

    __pydantic_config__ = STRICT

    workers: int = 2
    """Threads that read and mask inside a tile."""
    memory_bytes: int | None = None
    """What the run may use; none: what the machine has."""
    min_completeness: float = 0.9
    """Share of the expected cells (scene × tile, 0 to 1) that must be readable, else nothing is published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One region: what to read, how to mask and compose it, where to keep it."""

    name: str
    aoi: BaseGeometry
    """Polygon or multipolygon, longitude and latitude in degrees (EPSG:4326)."""
    period: Period
    sources: tuple[Source, ...]
    store: str
    """Path or URL of the Icechunk repository."""
    grid: GridSettings = field(default_factory=GridSettings)
    mask: MaskSettings = field(default_factory=MaskSettings)
    composite: CompositeSettings | None = None
    run: RunSettings = field(default_factory=RunSettings)


# -- what flows between the rooms --------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """Something that was expected and is not used, and why."""

    item_id: str
    reason: str
    tile: str | None = None
    """Name of the tile where it is missing; none: everywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """The answer of a search: everything that the rest of a run needs to know of a catalogue."""

    items: tuple[pystac.Item, ...]
    """Sorted by (datetime, id); the order decides which item covers which in a mosaic."""
    dropped: tuple[Dropped, ...] = ()

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[pystac.Item]:
        return iter(self.items)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All items of one sensor on one solar day, mosaicked on the grid."""

    sensor: str
    """Platform family, e.g. ``sentinel-2``: a row of `pipeline.sensors`."""
    time: datetime
    """Instant of the earliest item, UTC."""
    items: tuple[int, ...]
    """Positions in `Items.items`; the first that has data at a pixel gives the pixel."""
    platform: str = ""
    """Platforms of the items, ``/`` between them, e.g. ``sentinel-2a``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A rectangle of a grid: the unit of work, retry and commit."""

    row: int
    col: int
    """Position among the grid's tiles, from the top left."""
    window: tuple[slice, slice]
    """(y, x) pixels inside the grid's arrays, half-open."""
    geobox: GeoBox

    @property
    def name(self) -> str:
        """``r003c012``."""
        return f"r{self.row:03d}c{self.col:03d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """One pixel grid for a region and all its sensors, anchored on the origin of its CRS."""

    geobox: GeoBox
    """The region: its edges lie on whole multiples of `chunk_px` pixels from the CRS origin."""
    tile_px: int
    chunk_px: int

    @property
    def resolution_m(self) -> float:
        """Edge of a pixel."""
        return float(abs(self.geobox.resolution.x))

    @property
    def shape_in_tiles(self) -> tuple[int, int]:
        """(rows, columns) of tiles; the last of each may be narrower."""
        ny, nx = self.geobox.shape
        return -(-ny // self.tile_px), -(-nx // self.tile_px)

    def tile(self, row: int, col: int) -> Tile:
        """Return a tile by its position.

        Raises
        ------
        IndexError
            The grid has no such tile.
        """
        rows, cols = self.shape_in_tiles
        if not (0 <= row < rows and 0 <= col < cols):
            raise IndexError(f"tile ({row}, {col}) is outside a grid of {rows} × {cols} tiles")
        ny, nx = self.geobox.shape
        ys = slice(row * self.tile_px, min((row + 1) * self.tile_px, ny))
        xs = slice(col * self.tile_px, min((col + 1) * self.tile_px, nx))
        return Tile(row=row, col=col, window=(ys, xs), geobox=self.geobox[ys, xs])

    def tiles(self) -> Iterator[Tile]:
        """Yield every tile, row by row."""
        rows, cols = self.shape_in_tiles
        for row in range(rows):
            for col in range(cols):
                yield self.tile(row, col)


# -- models ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Lattice:
    """Where inference windows sit: cores tile the plane from the CRS origin, each with a halo.

    A window is the square of ``core_px + 2 · halo_px`` pixels round a core. A model sees whole
    windows only, so that a pixel's class does not depend on how the region was cut.
    """

    core_px: int
    halo_px: int

    @property
    def window_px(self) -> int:
        """Edge of a window."""
        return self.core_px + 2 * self.halo_px


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What there is to know about a model before it is loaded."""

    name: str
    """E.g. ``ukis-csmask-6b-l2a``."""
    version: str
    roles: tuple[str, ...]
    """Order of the bands that `Model.predict` expects."""
    levels: tuple[str, ...]
    """Processing levels it was trained on: ``L1C`` (top of atmosphere), ``L2A`` (surface)."""
    resolution_m: tuple[float, float]
    """Finest and coarsest pixels that it is meant for."""
    lattice: Lattice
    classes: tuple[Code, ...]
    """Codes that it can give, besides no data."""
    weights: str
    """Origin of the weights, in words."""
    weights_sha256: str
    licence: str
    source: str
    """Publication or project."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Settings that change its pixels, after defaults were filled in; part of the fingerprint."""


class Model(Protocol):
    """The seam between `mask` and `models`.

    An instance may be called from several threads at once and gives the same answer for the same
    window whatever else it is asked.
    """

    @property
    def card(self) -> ModelCard:
        """The model's card."""
        ...

    def predict(self, window: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Classify one window.

        Parameters
        ----------
        window
            (B, H, W) = (roles of the card, ``window_px``, ``window_px``), float32 reflectance,
            NaN = no data.

        Returns
        -------
        (H, W) uint8 codes of `Code`. What stands where a band is NaN does not matter: the mask
        room writes no data there.
        """
        ...


# -- what was done -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a stage of the work took."""

    seconds: float = 0.0
    """Wall time."""
    cpu_seconds: float = 0.0
    bytes_read: int = 0
    """Decoded bytes of source pixels that were handed out by the reader."""
    reads: int = 0
    """Windows read from source rasters."""

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            **{
                f.name: getattr(self, f.name) + getattr(other, f.name)
                for f in dataclasses.fields(self)
            }
        )


CellStatus = Literal["masked", "unchanged", "uncovered", "unreadable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellReceipt:
    """One scene in one tile."""

    sensor: str
    time: datetime
    tile: str
    status: CellStatus
    fingerprint: int
    items: tuple[str, ...]
    """Ids of the items used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TileReceipt:
    """What was done in one tile."""

    tile: str
    cells: tuple[CellReceipt, ...]
    composites: tuple[str, ...] = ()
    """Starts of the periods that were composed again, ISO dates."""
    dropped: tuple[Dropped, ...] = ()
    stages: Mapping[str, Cost] = field(default_factory=dict)
    """Cost by stage: ``mask``, ``composite``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a run was asked, used, dropped, made and cost."""

    job: str
    run_id: str
    started: datetime
    finished: datetime
    snapshot: str | None
    """Id of the published snapshot; none: nothing had changed."""
    expected: int
    """Cells (scene × tile) that the items should cover."""
    complete: int
    """Of these, how many are in the store."""
    items: tuple[str, ...]
    """Ids of the items of the search."""
    dropped: tuple[Dropped, ...]
    radiometry: Mapping[str, str]
    """Item id -> which rule makes reflectance of its numbers, and why."""
    models: Mapping[str, str]
    """Sensor -> name and version of the model that masked it."""
    tiles: tuple[TileReceipt, ...]
    stages: Mapping[str, Cost]

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON values; datetimes as ISO 8601 strings."""
        plain = _plain(dataclasses.asdict(self))
        assert isinstance(plain, dict)
        return plain


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, str) or not isinstance(value, Sequence):
        return value
    return [_plain(each) for each in value]


# -- answers -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneShares:
    """What an AOI looked like in one scene."""

    sensor: str
    time: datetime
    platform: str
    pixels: int
    """Pixels of the AOI, by the rule that a pixel belongs to it when its centre does."""
    counts: Mapping[Code, int]
    """Pixels by class; they add up to `pixels`, `unread` included."""
    unread: int
    """Pixels of cells that were never masked or whose assets could not be read."""

    def percent(self, *codes: Code) -> float:
        """Return the share of some classes in the AOI, 0 to 100."""
        return 100.0 * sum(self.counts.get(code, 0) for code in codes) / self.pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Clear-sky statistics of an AOI: one row a scene, by time."""

    scenes: tuple[SceneShares, ...]
