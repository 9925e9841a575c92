"""Prepares one item for reading: its assets by role, their outlines, and the radiometry of their DNs."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import odc.stac
import pystac
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from odc.loader.types import RasterSource
from shapely.geometry import mapping
from shapely.geometry.base import BaseGeometry

from pipeline import sensors
from pipeline.cube.metadata.facts import AssetFacts
from pipeline.cube.metadata.hrefs import asset_ref, href_of
from pipeline.cube.metadata.outlines import outline as outline_in
from pipeline.cube.metadata.outlines import rectangle
from pipeline.cube.metadata.roles import asset_frame, asset_keys, frame
from pipeline.cube.unfit import Bounds, Quality
from pipeline.errors import AssetError
from pipeline.sensors.qa import FMASK_FILL
from pipeline.types import CubeSettings

CODES: Mapping[str, int] = {
    "scl": 0,
    "qa_pixel": 1,
    "fmask": FMASK_FILL,
    "dea_fmask": 0,
}
"""The products' own masks, which are read like roles -> their nodata value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemLayer:
    """One item, prepared for reading on a grid."""

    item: pystac.Item
    """A slim copy whose assets are named by role."""
    sources: Mapping[str, RasterSource]
    """Role -> raster and band to read, as odc-stac parsed them."""
    facts: dict[str, AssetFacts]
    """Href -> facts about the asset."""
    scale: NDArray[np.float32]
    offset: NDArray[np.float32]
    """(role, 1, 1): reflectance, adjusted where the request wants it, = DN · scale + offset."""
    outline: BaseGeometry | None
    """Where its rasters lie, in the CRS of the grid; none: it is not stated."""
    reach_m: float = 0.0
    """Half a pixel of the coarsest band if that is coarser than the grid, else 0: the width along the outline in
    which that band is extrapolated."""

    def touches(self, geobox: GeoBox) -> bool:
        """Return whether the item's outline, if known, meets a block of the grid."""
        return self.outline is None or bool(self.outline.intersects(geobox.extent.geom))

    def surrounds(self, geobox: GeoBox) -> bool:
        """Return whether all of a geobox is inside the item, so that each part of it is and has no `open_sides`."""
        wide = geobox.pad(math.ceil(self.reach_m / abs(geobox.resolution.x)))
        return self.outline is not None and bool(self.outline.contains(wide.extent.geom))

    def open_sides(self, geobox: GeoBox) -> NDArray[np.uint8] | None:
        """Count, for each pixel of a block, the sides on which the coarsest band has no neighbouring pixel.

        There the band is extrapolated, and an item whose rasters continue has the better value.

        Returns
        -------
        (y, x) 0 to 4; None if it is 0 everywhere.
        """
        reach, step = self.reach_m, abs(geobox.resolution.x)
        if self.outline is None or not reach:
            return None
        if self.outline.contains(geobox.pad(math.ceil(reach / step)).extent.geom):
            return None
        cols, rows = np.meshgrid(
            np.arange(geobox.shape.x) + 0.5, np.arange(geobox.shape.y) + 0.5
        )
        x, y = (np.asarray(each) for each in geobox.transform @ (cols, rows))
        found = np.zeros(cols.shape, np.uint8)
        for cell in _cells(found.shape):
            # Pixel by pixel along the outline alone: each takes long.
            place = _box_round(x[cell], y[cell], reach + step)
            if self.outline.contains(place):
                continue
            if not self.outline.intersects(place):
                found[cell] = len(SIDES)
                continue
            for right, up in SIDES:
                found[cell] += ~shapely.contains_xy(
                    self.outline, x[cell] + reach * right, y[cell] + reach * up
                )
        return found


SIDES = ((1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0))
"""Right and up, of the sides of a pixel."""

CELL_PX = 64


def _cells(shape: tuple[int, ...]) -> list[tuple[slice, slice]]:
    """Divide rows and columns into squares."""
    rows, cols = (
        [slice(start, start + CELL_PX) for start in range(0, size, CELL_PX)] for size in shape
    )
    return list(itertools.product(rows, cols))


def _box_round(x: NDArray[np.float64], y: NDArray[np.float64], margin: float) -> BaseGeometry:
    box: BaseGeometry = shapely.box(
        x.min() - margin, y.min() - margin, x.max() + margin, y.max() + margin
    )
    return box


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeRequest:
    """The roles to read of every item, and the rules."""

    roles: tuple[str, ...]
    settings: CubeSettings
    measured: bool
    """Whether only valid measurements count: saturated pixels are then no data, and quality bands are read. Otherwise
    saturated pixels have the largest valid reflectance, since a model should see a saturated cloud."""
    adjust: sensors.Adjust = field(default_factory=sensors.Adjust)
    """How reflectance is adjusted for a composite of several sensors."""


def make_layer(
    item: pystac.Item, geobox: GeoBox, request: CubeRequest, *, whole: bool = False
) -> ItemLayer:
    """Prepare an item for reading on a grid, which is `whole` read of it or in parts.

    Raises
    ------
    AssetError
        A role is not the first band of its asset.
    """
    names, settings = request.roles, request.settings
    # The roles whose bands are read, in the order of the names that they get.
    roles = [request.adjust.reads(item, role) for role in names]
    keys = asset_keys(item)
    rules = _radiometries(item, roles)
    lines = [
        _adjusted(item, role, rule, request) for role, rule in zip(roles, rules, strict=True)
    ]
    refs = [asset_ref(item, keys[role], settings.hosts) for role in roles]
    stated_frame = frame(item)
    stated_outline = None if stated_frame is None else rectangle(stated_frame)
    facts = {
        ref.href: AssetFacts(
            ref,
            rule.nodata,
            stated_outline,
            outline_key=stated_frame,
            nearest=role in CODES,
            bounds=_bounds(item, role, rule, request),
            quality=_quality(item, role, request),
            region=geobox if whole else None,
        )
        for role, rule, ref in zip(roles, rules, refs, strict=True)
    }
    profile = sensors.profile(item)
    for role in roles:
        if role not in CODES and profile.band_in(item, keys[role], role) != 1:
            raise AssetError(item.id, keys[role], "is a stack of bands: only the first is read")
    outline = None
    if stated_frame is not None:
        outline = outline_in(stated_frame, str(geobox.crs))
        shapely.prepare(outline)
    shape = (len(roles), 1, 1)
    hrefs = {name: ref.href for name, ref in zip(names, refs, strict=True)}
    slim = _slim(item, hrefs, geobox)
    (parsed,) = odc.stac.parse_items([slim])
    return ItemLayer(
        item=slim,
        sources={name: parsed[name] for name in names},
        facts=facts,
        scale=np.array([scale for scale, _ in lines], "float32").reshape(shape),
        offset=np.array([offset for _, offset in lines], "float32").reshape(shape),
        outline=outline,
        reach_m=_reach_m(item, keys, roles, geobox),
    )


def _bounds(
    item: pystac.Item, role: str, rule: sensors.Radiometry, request: CubeRequest
) -> Bounds | None:
    if role in CODES:
        return None
    limits = sensors.profile(item).limits_of(role)
    return Bounds.of(limits, rule, shown=not request.measured)


def _quality(item: pystac.Item, role: str, request: CubeRequest) -> Quality | None:
    """Return the quality band that flags a role's pixels, if an item has one."""
    profile = sensors.profile(item)
    flags = profile.flags_of(role) if request.measured and role not in CODES else None
    key = profile.masks(item).get(flags.qa) if flags else None
    # An href that cannot be read is no error here: the item is then read without its quality band.
    if flags is None or key is None or not item.assets[key].href:
        return None
    href = href_of(item, key, request.settings.hosts)
    return Quality(asset=key, href=href, flags=flags)


def _reach_m(
    item: pystac.Item, keys: Mapping[str, str], roles: Sequence[str], geobox: GeoBox
) -> float:
    frames = [asset_frame(item, keys[role]) for role in roles if role not in CODES]
    coarsest = max((abs(each.transform[0]) for each in frames if each), default=0.0)
    return coarsest / 2 if coarsest > abs(geobox.resolution.x) * (1 + 1e-9) else 0.0


def _radiometries(item: pystac.Item, roles: Sequence[str]) -> list[sensors.Radiometry]:
    """Return the radiometry of each role of an item; codes of a product's own mask are unchanged."""
    # Of all reflectances it is the same.
    known: dict[str | None, sensors.Radiometry] = {}
    found = []
    for role in roles:
        if role in CODES:
            rule = sensors.Radiometry(scale=1.0, offset=0.0, nodata=CODES[role], reason="codes")
        else:
            kind = role if role in sensors.THERMAL_ROLES else None
            rule = known.get(kind) or sensors.radiometry(item, role)
            known[kind] = rule
        found.append(rule)
    return found


def _adjusted(
    item: pystac.Item, role: str, rule: sensors.Radiometry, request: CubeRequest
) -> tuple[float, float]:
    """Return scale and offset from a role's numbers to reflectance as the request wants it."""
    if role in CODES:
        return rule.scale, rule.offset
    slope, offset = request.adjust.line(item, role)
    return slope * rule.scale, slope * rule.offset + offset


def _slim(item: pystac.Item, hrefs: dict[str, str], geobox: GeoBox) -> pystac.Item:
    """Return a copy whose assets are named by role and whose geometry covers the grid.

    A loader assigns items to blocks by their geometry, often a rough outline of the valid data: whether a pixel
    beyond it is read would depend on the blocks.
    """
    geometry, bbox = _lonlat(geobox)
    slim = pystac.Item(
        id=item.id,
        geometry=geometry,
        bbox=list(bbox),
        datetime=item.datetime,
        properties={},
        collection=item.collection_id,
    )
    for role, href in hrefs.items():
        # odc-stac recognises a raster by its media type or file extension.
        slim.add_asset(role, pystac.Asset(href=href, media_type=pystac.MediaType.COG))
    return slim


@functools.lru_cache(maxsize=64)
def _lonlat(geobox: GeoBox) -> tuple[dict[str, Any], tuple[float, ...]]:
    """Return the outline of a grid in longitude and latitude, and its bounds."""
    outline = geobox.extent.to_crs("EPSG:4326").geom
    return mapping(outline), outline.bounds
