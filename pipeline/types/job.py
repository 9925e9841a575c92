"""A job: its sources, and the settings of each section."""

from __future__ import annotations

import operator
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator
from shapely.geometry.base import BaseGeometry

from pipeline.types.grid import CELL_PX
from pipeline.types.running import RunSettings, StacSettings
from pipeline.types.searched import Period
from pipeline.types.settings import (
    CompositeSettings,
    CubeSettings,
    GridSettings,
    MaskSettings,
    Section,
)
from pipeline.types.values import Json, Slug, Text, refuse


class Source(Section):
    """Where items come from."""

    catalog: Text
    """Name of a row of `pipeline.catalogs`, URL of a STAC API or static catalogue, or path of a
    catalogue, collection, or file of items (``.json``, ``.ndjson``, ``.parquet``)."""
    collections: tuple[Text, ...] = ()
    """Collection ids; empty takes all that `pipeline.sensors` knows."""
    query: Json = Field(default={})
    """STAC API query extension, e.g. ``{"eo:cloud_cover": {"lt": 80}}``."""
    filter: Json = Field(default={})
    """CQL2 as JSON, e.g. ``{op: "<", args: [{property: "eo:cloud_cover"}, 80]}``."""


class Job(Section):
    """One region: what to read, how to mask and compose it, where to store it."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    name: Slug
    """Name of the region: letters, digits, - and _."""
    aoi: BaseGeometry
    """Polygon or multipolygon, longitude and latitude in degrees (EPSG:4326)."""
    period: Period
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    """Where items come from: a list, or a single one."""
    store: Text
    """Path, relative to the job file, or URL of the Icechunk repository; ``zarr+`` before a path makes it
    plain Zarr, whose limits `pipeline.store.write.plain_zarr` lists."""
    cube: CubeSettings = CubeSettings()
    grid: GridSettings = GridSettings()
    mask: MaskSettings = MaskSettings()
    composite: CompositeSettings | None = None
    """None: nothing is composed, or what `composites` lists."""
    composites: Annotated[tuple[CompositeSettings, ...], Field(exclude_if=operator.not_)] = ()
    """Several composites, each with a name of its own: their scenes are masked once, and those of the same bands are read
    once. A job has `composite` or `composites`."""
    run: RunSettings = RunSettings()
    stac: StacSettings | None = None
    """None: no catalogue is written; `cloudmask stac` writes one at any time."""

    @model_validator(mode="after")
    def _whole_cells(self) -> Self:
        guard, chunk_px = self.mask.guard, self.grid.chunk_px
        if guard is not None and chunk_px % guard.cell_px:
            refuse(
                f"a divisor of grid.chunk_px ({chunk_px}), so that no tile cuts a cell",
                key="mask.guard.cell_px",
                found=guard.cell_px,
            )
        return self

    @model_validator(mode="after")
    def _whole_cells_of_composites(self) -> Self:
        limited = any(each.max_observations is not None for each in self.composed)
        if limited and self.grid.chunk_px % CELL_PX:
            refuse(
                f"a multiple of {CELL_PX}, with max_observations: no tile may cut the cells in which scenes are compared",
                key="grid.chunk_px",
                found=self.grid.chunk_px,
            )
        return self

    @model_validator(mode="after")
    def _composites_apart(self) -> Self:
        names = [each.name for each in self.composites]
        if self.composite is not None and names:
            refuse("composite or composites, not both", key="composites", found=names)
        if len(set(names)) < len(names):
            refuse("composites with names of their own", key="composites", found=names)
        return self

    @property
    def composed(self) -> tuple[CompositeSettings, ...]:
        """All composites that it asks for."""
        return self.composites or ((self.composite,) if self.composite else ())

    def for_each_composite(self) -> tuple[Self, ...]:
        """Return the job once for each composite, with that alone; itself where there is none."""
        return tuple(self.replace(composite=each, composites=()) for each in self.composed) or (
            self,
        )
