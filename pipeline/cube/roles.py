"""An item seen by role: its assets renamed, and the outline of its raster."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pystac
from affine import Affine
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox
from odc.geo.geom import Geometry
from pyproj.exceptions import CRSError
from shapely.geometry import mapping

from pipeline import sensors


def missing_roles(item: pystac.Item, roles: Collection[str]) -> list[str]:
    """Return the roles that an item does not offer."""
    offered = sensors.profile(item).offered(item)
    return [role for role in roles if role not in offered]


def covers(item: pystac.Item, geobox: GeoBox) -> bool:
    """Say whether an item's rasters may have pixels inside a geobox."""
    outline = raster_outline(item)
    return outline is None or bool(
        outline.to_crs(geobox.crs).intersects(geobox.extent)  # type: ignore[arg-type]
    )


def by_role(item: pystac.Item, roles: Sequence[str], geobox: GeoBox) -> pystac.Item:
    """Return a slim copy of an item whose assets are named by role.

    The loader bins items to chunks by their geometry, which is an outline of the valid data and
    often rough: a pixel beyond it would be read or not depending on the chunks. So the copy's
    geometry is the outline of its raster, or, where that is not stated, all of the geobox.
    """
    offered = sensors.profile(item).offered(item)
    outline = raster_outline(item) or geobox.extent
    lonlat = outline.to_crs("EPSG:4326", resolution=geobox.resolution.x * 64)
    slim = pystac.Item(
        id=item.id,
        geometry=mapping(lonlat.geom),
        bbox=list(lonlat.geom.bounds),
        datetime=item.datetime,
        properties={},
        collection=item.collection_id,
    )
    for role in roles:
        asset = item.assets[offered[role]]
        slim.add_asset(role, pystac.Asset(href=asset.get_absolute_href() or asset.href))
    return slim


def raster_outline(item: pystac.Item) -> Geometry | None:
    """Return the rectangle of an item's rasters in their CRS, none where it is not stated."""
    for key in sensors.profile(item).offered(item).values():
        outline = _outline({**item.properties, **item.assets[key].extra_fields})
        if outline is not None:
            return outline
    return None


def _outline(fields: Mapping[str, Any]) -> Geometry | None:
    """Draw the rectangle of the projection extension's fields, of version 1 or 2.

    The extension's own class is not used: it refuses items that have its fields but forget to
    declare it.
    """
    code = fields.get("proj:code") or fields.get("proj:epsg")
    shape, transform = fields.get("proj:shape"), fields.get("proj:transform")
    if code is None or shape is None or transform is None:
        return None
    try:
        crs = CRS(code if isinstance(code, str) else f"EPSG:{code}")
    except CRSError:
        return None
    return GeoBox((int(shape[0]), int(shape[1])), Affine(*transform[:6]), crs).extent
