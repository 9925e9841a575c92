"""What a job asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from shapely.geometry.base import BaseGeometry

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
    catalogue, collection, or file of items (``.json``, ``.ndjson``, ``.parquet``)."""
    collections: tuple[str, ...] = ()
    """Collection ids; empty takes all that `pipeline.sensors` knows."""
    query: Mapping[str, Any] = field(default_factory=dict)
    """STAC API query extension, e.g. ``{"eo:cloud_cover": {"lt": 80}}``."""
    filter: Mapping[str, Any] = field(default_factory=dict)
    """CQL2 as JSON, e.g. ``{op: "<", args: [{property: "eo:cloud_cover"}, 80]}``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeSettings:
    """How pixels are read."""

    __pydantic_config__ = STRICT

    loader: Literal["odc-stac", "stackstac"] = "odc-stac"
    """What lays out reads; both give the same cube. ``stackstac`` is an extra."""
    unreadable: Literal["drop", "fail"] = "drop"
    """What an asset that stays unreadable costs: its item, with the reason on the record, or the run."""
    hosts: tuple[str, ...] = ()
    """Hosts of private addresses that assets may lie at all the same, e.g. ``minio.internal`` or
    ``10.1.2.3``; ``host:port`` allows one port only. No item reaches any other private address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GridSettings:
    """The pixel grid of the region."""

    __pydantic_config__ = STRICT

    crs: str = "utm"
    """``utm`` for the UTM zone of the AOI, or any projected CRS in metres (``EPSG:3035``)."""
    resolution_m: float = 10.0
    anchor: str | tuple[float, float] = "auto"
    """Where corners of pixels lie: ``crs``, on multiples of the pixel from the origin of the CRS;
    ``landsat``, 15 m beside them, as Landsat's own; ``sentinel-2``, as its own (and those of HLS), which are
    on the multiples; or the ``[x, y]`` of any corner, in metres of the CRS. ``auto``: as the store has it
    already; else Landsat's where all items are Landsat's, so that native pixels stay as they are, and the
    multiples otherwise."""
    tile_px: int = 2048
    """Edge of a tile, the unit of work, retry and commit; a multiple of `chunk_px`."""
    chunk_px: int = 256
    """Edge of a stored chunk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanSettings:
    """What is done with one group of classes after masking; zero leaves a step out."""

    __pydantic_config__ = STRICT

    open_m: float = 0.0
    """Parts that no disc of this radius fits into are taken out."""
    close_m: float = 0.0
    """Gaps that no disc of this radius fits into are filled."""
    min_object_m2: float = 0.0
    """Smaller objects are taken out."""
    min_hole_m2: float = 0.0
    """Smaller holes are filled."""
    dilate_m: float = 0.0
    """What lies within this distance is added, last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowSettings:
    """How shadows are checked against the sun."""

    __pydantic_config__ = STRICT

    drop: bool = True
    """Take out shadows that no cloud in reach can throw."""
    add: bool = False
    """Make shadows of dark clear ground where clouds must throw some."""
    lowest_m: float = 200.0
    highest_m: float = 3000.0
    """Heights of clouds above the ground."""
    lowest_sun: float = 30.0
    """Degrees above the horizon, below which a scene's shadows are left as they are. The mask is
    computed as far beyond each tile as the highest clouds throw their shadows under this sun:
    5 km."""
    tolerance_m: float = 100.0
    """How far beside the zone a shadow may lie: terrain, and views from the side."""
    dark_by: float = 0.05
    """How much darker, in near infrared reflectance, ground must be than what surrounds it."""
    dark_within_m: float = 500.0
    """How far away it is surrounded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardSettings:
    """When a cloud that always stands at one place is taken for ground."""

    __pydantic_config__ = STRICT

    history_days: int = 365
    """How far back from the end of a period its masks are looked at, the period included."""
    min_dates: int = 10
    """On how many dates, at least, a pixel must have been seen while its surroundings were clear."""
    share: float = 0.8
    """On which share of these, at least, it must have been cloud."""
    clear: float = 0.9
    """Which share of the surroundings, at least, is usable where they count as clear."""
    cell_px: int = 256
    """Edge of the square cells that are each other's surroundings, in pixels; divides the chunk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskSettings:
    """Which model masks, and how."""

    __pydantic_config__ = STRICT

    model: str = "ukis-csmask"
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of the model; `cloudmask models show NAME` lists them."""
    clean: Mapping[str, CleanSettings] = field(default_factory=dict)
    """Group of classes, ``cloud`` or ``shadow``, -> how it is cleaned, e.g.
    ``{cloud: {dilate_m: 60}}``."""
    shadows: ShadowSettings | None = None
    """Check shadows against the sun, before cleaning; none: they stand as the model sees them."""
    confidence: bool = False
    """Keep, beside each mask, the probability of the chosen class in per cent; 0 where no model
    chose it: no data, and what cleaning or the check of shadows changed."""
    guard: GuardSettings | None = None
    """Take for ground, in composites, what a model calls cloud whenever all around is clear; none:
    masks stand as they are. Masks in the store are not changed by it."""


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
class ClusterSettings:
    """Which processes do the tiles."""

    __pydantic_config__ = STRICT

    kind: Literal["threads", "local", "address"] = "threads"
    """``threads``: the run's own process, tile by tile. ``local``: worker processes of this machine,
    started and stopped by the run. ``address``: those of a Dask cluster that is there."""
    workers: int = 2
    """Processes of a ``local`` cluster, each with `RunSettings.workers` threads."""
    address: str = ""
    """Of the scheduler, e.g. ``tcp://scheduler:8786``. Its workers must reach the store under the
    same name, and the catalogue's assets, with credentials of their own environment."""
    mask_on: Mapping[str, float] = field(default_factory=dict)
    """What a worker must have to mask, e.g. ``{GPU: 1}`` for workers started with ``--resources
    GPU=1``; composites are made by any. Empty: a GPU if the model runs on one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """How a run behaves; none of it changes a pixel."""

    __pydantic_config__ = STRICT

    workers: int = 2
    """Threads that read and mask inside a tile."""
    cluster: ClusterSettings = field(default_factory=ClusterSettings)
    memory_bytes: int | None = None
    """What the run may use; none: what the machine has."""
    overviews: bool = False
    """Keep smaller copies of masks and composites, for maps; a third more bytes."""
    min_completeness: float = 0.9
    """Share of the expected cells (scene × tile, 0 to 1) that must be complete, else nothing is
    published. Expected are the cells that the job's items cover; an item that was dropped, at the
    search or later, makes those incomplete that it covers or, by its footprint, would have; one that
    says nowhere where it lies, all. Not counted: what a newer processing replaces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StacSettings:
    """A static STAC catalogue of the whole store, kept up to date by every run."""

    __pydantic_config__ = STRICT

    folder: str
    """Local folder of the catalogue; one that cloudmask wrote before is brought up to date."""
    cogs: bool = False
    """Write the pixels beside the items as COGs, for GDAL, QGIS and odc-stac."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One region: what to read, how to mask and compose it, where to keep it."""

    name: str
    aoi: BaseGeometry
    """Polygon or multipolygon, longitude and latitude in degrees (EPSG:4326)."""
    period: Period
    sources: tuple[Source, ...]
    store: str
    """Path or URL of the Icechunk repository; ``zarr+`` before a path makes it plain Zarr, whose
    limits `pipeline.store.write.plain_zarr` tells."""
    cube: CubeSettings = field(default_factory=CubeSettings)
    grid: GridSettings = field(default_factory=GridSettings)
    mask: MaskSettings = field(default_factory=MaskSettings)
    composite: CompositeSettings | None = None
    run: RunSettings = field(default_factory=RunSettings)
    stac: StacSettings | None = None
    """None: no catalogue is written; `cloudmask stac` writes one at any time."""
