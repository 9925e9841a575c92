"""The sections of a job: what can be set, which values are allowed, and the defaults.

The only list of settings: job files, the JSON schema and all code use these models. A docstring
under a field is its description in the schema. Checks that need more than the value itself, such as
a file that must exist, are made in `pipeline.config`.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)

from pipeline.types.values import (
    Anchor,
    Count,
    GridCrs,
    Host,
    Json,
    MaskPixel,
    Metres,
    Options,
    PixelSize,
    ReflectanceRole,
    Share,
    Slug,
    SquareMetres,
    StepKind,
    Text,
    refuse,
)


class Section(BaseModel):
    """A part of a job: frozen, and without keys that it does not know.

    `pydantic.ValidationError` names mistakes without the values, which may be secret.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True
    )

    def replace(self, **changes: object) -> Self:
        """Return a copy with some values changed, checked as any others.

        Raises
        ------
        pydantic.ValidationError
            A value is not allowed.
        """
        return type(self)(**(dict(self) | changes))


class CubeSettings(Section):
    """How pixels are read."""

    loader: Literal["odc-stac", "stackstac"] = "odc-stac"
    """Which library turns an item into reads: odc-stac parses its assets, stackstac (an extra) lays out a Dask
    array. The pixels are the same."""
    unreadable: Literal["drop", "fail"] = "drop"
    """What happens when an asset stays unreadable: ``drop`` its item, with the reason on the record,
    or ``fail`` the run."""
    hosts: tuple[Host, ...] = ()
    """Hosts with private addresses at which assets may lie, e.g. ``minio.internal`` or ``10.1.2.3``;
    ``host:port`` allows one port only. All other private addresses are refused."""


class GridSettings(Section):
    """The pixel grid of the region."""

    crs: GridCrs = "utm"
    """``utm`` for the UTM zone of the AOI, or any projected CRS in metres (``EPSG:3035``)."""
    resolution_m: PixelSize = 10.0
    """Edge of a pixel."""
    anchor: Anchor = "auto"
    """Where corners of pixels lie. ``crs``: on multiples of the pixel from the origin of the CRS.
    ``landsat``: 15 m beside them, as Landsat's own. ``sentinel-2``: as its own (and those of HLS),
    which are on the multiples. ``[x, y]``: any corner, in metres of the CRS. ``auto``: as the store
    has it already; in a new store as Landsat's where all items are Landsat's, so that native pixels
    stay as they are, and on the multiples otherwise."""
    tile_px: Count = 2048
    """Edge of a tile, the unit of work, retry and commit; a multiple of `chunk_px`."""
    chunk_px: Annotated[int, Field(strict=True, ge=16, multiple_of=16)] = 256
    """Edge of a stored chunk; a multiple of 16."""

    @model_validator(mode="after")
    def _whole_chunks(self) -> Self:
        if self.tile_px % self.chunk_px:
            refuse(
                f"a multiple of chunk_px ({self.chunk_px})", key="tile_px", found=self.tile_px
            )
        return self


class CleanSettings(Section):
    """What is done with one group of classes after masking, in this order; zero leaves a step out."""

    open_m: Metres = 0.0
    """Remove parts into which no disc of this radius fits."""
    close_m: Metres = 0.0
    """Fill gaps into which no disc of this radius fits."""
    min_object_m2: SquareMetres = 0.0
    """Remove smaller objects."""
    min_hole_m2: SquareMetres = 0.0
    """Fill smaller holes."""
    dilate_m: Metres = 0.0
    """Add what lies within this distance."""


CleanGroup = Literal["cloud", "shadow"]
"""A group of classes that is cleaned by itself."""


class ShadowSettings(Section):
    """How shadows are checked against the sun."""

    drop: bool = True
    """Remove shadows that no cloud in reach can throw."""
    add: bool = False
    """Make shadows of dark clear ground where clouds must throw some."""
    lowest_m: Metres = 200.0
    """Lowest height of clouds above the ground."""
    highest_m: Annotated[float, Field(strict=True, ge=0, le=15_000, allow_inf_nan=False)] = (
        3000.0
    )
    """Highest height of clouds above the ground."""
    lowest_sun: Annotated[float, Field(strict=True, ge=5, le=90)] = 30.0
    """Degrees above the horizon. The mask is computed as far beyond each tile as the highest clouds throw
    their shadows under this sun: by default 5 km."""
    under_lower_sun: Annotated[
        Literal["keep", "check"], Field(exclude_if=lambda value: value == "keep")
    ] = "keep"
    """When the sun is lower than that: ``keep`` a scene's shadows as they are, or ``check`` for clouds as
    far as under the lowest sun, and drop shadows without one. Higher clouds further away are not seen then."""
    tolerance_m: Metres = 100.0
    """How far beside the zone a shadow may lie: terrain, and views from the side."""
    dark_by: Share = 0.05
    """How much darker, in near infrared reflectance, ground must be than what surrounds it."""
    dark_within_m: Metres = 500.0
    """Radius of these surroundings."""

    @model_validator(mode="after")
    def _heights_in_order(self) -> Self:
        if self.highest_m < self.lowest_m:
            refuse(
                f"at least lowest_m ({self.lowest_m:g})", key="highest_m", found=self.highest_m
            )
        return self


class GuardSettings(Section):
    """When pixels that a model always calls cloud are taken for ground."""

    history_days: Annotated[int, Field(strict=True, ge=1, le=10_000)] = 365
    """How many days of masks are counted, back from the end of the period."""
    min_dates: Annotated[int, Field(strict=True, ge=2, le=10_000)] = 10
    """On how many dates, at least, a pixel must have been seen while its surroundings were clear."""
    share: Annotated[float, Field(strict=True, ge=0.5, le=1)] = 0.8
    """On which share of these, at least, it must have been cloud."""
    clear: Annotated[float, Field(strict=True, ge=0.5, le=1)] = 0.9
    """Surroundings count as clear when at least this share of them is usable."""
    cell_px: Count = 256
    """Edge of the square cells in which surroundings are counted; divides the chunk."""


class MaskSettings(Section):
    """Which model masks, and how."""

    model: Text = "ensemble"
    """Name of a model; `cloudmask models list` names them. ``ensemble`` without options: the mean of ukis-csmask and cloudmask-si."""
    options: Json = {}
    """Options of the model; `cloudmask models show NAME` lists them."""
    resolution_m: MaskPixel = Field(default=None, exclude_if=lambda value: value is None)
    """Pixels that the model sees, in metres: a whole multiple of the grid's. ``auto``: what its card says is best; none: the grid's."""
    clean: Mapping[CleanGroup, CleanSettings] = {}
    """Group of classes, ``cloud`` or ``shadow``, -> how it is cleaned, e.g.
    ``{cloud: {dilate_m: 60}}``."""
    shadows: ShadowSettings | None = None
    """Check shadows against the sun, before cleaning; none: they stay as the model sees them."""
    confidence: bool = False
    """Store, beside each mask, the probability of the chosen class in per cent; 0 where no model
    chose it: no data, and what cleaning or the check of shadows changed."""
    guard: GuardSettings | None = None
    """In composites, take for ground what a model calls cloud whenever all around is clear; none:
    masks are used as they are. Masks in the store are not changed by it."""


def _each_once(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) < len(values):
        refuse("each once")
    return values


class ScreenSettings(Section):
    """Which evidence from time composites take; `pipeline.composite.evidence.screen` defines it."""

    history_days: Annotated[int, Field(strict=True, ge=1, le=366)] = 31
    """How many days before and after a period observations are looked at."""
    min_dates: Annotated[int, Field(strict=True, ge=1, le=100)] = 2
    """Pixels of which fewer dates stand, history included, are suspect."""
    second_opinion: Annotated[
        Literal["scl", "qa_pixel", "fmask", "dea_fmask"] | None, Field(exclude_if=operator.not_)
    ] = None
    """A mask that the products bring along: what it calls cloud or shadow stands only where the dates beside it confirm ground. Items
    without one have no second opinion. None: masks alone are judged."""


class CompositeSettings(Section):
    """What is composed from the clear observations."""

    name: Slug = "monthly"
    """Name of the composite in the store."""
    method: Text = "median"
    """How observations become one value: median, mean, percentile, geomedian, medoid, nearest, best, max,
    first, latest, or a method of another package; `plan` refuses what is none."""
    options: Annotated[Options, Field(exclude_if=operator.not_)] = {}
    """Options of the method, e.g. ``{q: 25}`` of percentile; docs/composites.md lists them."""
    period: StepKind = "month"
    """One composite for each of these: a dekad is the 1st to 10th, 11th to 20th, or 21st to the end of a month; a season
    DJF, MAM, JJA or SON; ``{days: n}`` counts from 1 January of each year, whose last period is shorter."""
    min_observations: Annotated[
        int, Field(strict=True, ge=1, le=1000, exclude_if=lambda value: value == 1)
    ] = 1
    """Pixels with fewer usable observations in the period are no data. (`screen.min_dates` keeps such pixels, as suspect.)"""
    max_observations: Annotated[
        int | None, Field(strict=True, ge=1, le=1000, exclude_if=lambda value: value is None)
    ] = None
    """Each pixel takes so many usable observations of the period at most, those of the clearest scenes around it, and the others
    are not read. None: all."""
    bands: Annotated[
        tuple[ReflectanceRole, ...], Field(min_length=1), AfterValidator(_each_once)
    ] = ("blue", "green", "red", "nir", "swir16")
    """Bands by their roles."""
    sensors: Annotated[
        tuple[Text, ...], AfterValidator(_each_once), Field(exclude_if=operator.not_)
    ] = ()
    """Whose scenes are composed, e.g. ``[sentinel-2]``; empty: those of all sensors."""
    screen: Annotated[ScreenSettings | None, Field(exclude_if=operator.not_)] = None
    """Put aside what a pixel's own history contradicts: clouds and shadows that the mask missed, and say which
    pixels are ``suspect``; needs blue, nir and swir16. ``{}`` takes the defaults; none: masks alone decide."""
    harmonize: Annotated[Literal["hls"] | None, Field(exclude_if=operator.not_)] = None
    """Adjust Sentinel-2's bands to Landsat 8's and 9's, as HLS does; ``nir`` is then the narrow one. None: as they are."""
    brdf: Annotated[Literal["c-factor"] | None, Field(exclude_if=operator.not_)] = None
    """Normalise reflectance to a view from nadir, by an item's mean angles, or drop it. None: as each sensor saw it."""
    device: Annotated[Literal["auto", "cpu", "cuda"], Field(exclude_if="auto".__eq__)] = "auto"
    """Where to compose: ``auto`` takes a GPU where there is one and the method can. No part of the fingerprint."""

    @model_validator(mode="after")
    def _most_is_enough(self) -> Self:
        most, least = self.max_observations, self.min_observations
        if most is not None and most < least:
            refuse(
                f"at least min_observations ({least}), or no pixel has data",
                key="max_observations",
                found=most,
            )
        return self

    def __hash__(self) -> int:
        """Hash the values; options are a mapping, which has no hash of its own."""
        return hash(self.model_dump_json())
