"""An item seen by role: its assets renamed, and the outline of its raster."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pystac
from affine import Affine
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox
from odc.geo.geom import Geometry
from pyproj import CRS as ProjCRS
from shapely.geometry import mapping

from pipeline import sensors
from pipeline.errors import AssetError
from pipeline.types import footprint

MAX_RASTER_PX = 2**31
"""Pixels of the largest raster that is believed and opened: a Sentinel-2 band has 1.2e8."""


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

    Raises
    ------
    AssetError
        A role is not the first band of its asset.
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
        if sensors.profile(item).band(item, role) != 1:
            raise AssetError(
                item.id, offered[role], "is a stack of bands: only the first is read"
            )
        asset = item.assets[offered[role]]
        # odc-stac asks the media type, or the name's ending, whether an asset is a raster.
        href = asset.get_absolute_href() or asset.href
        slim.add_asset(role, pystac.Asset(href=href, media_type=pystac.MediaType.COG))
    return slim


def raster_outline(item: pystac.Item) -> Geometry | None:
    """Return the rectangle of an item's rasters in their CRS, none where it is not stated."""
    for key in sensors.profile(item).offered(item).values():
        fields = {**item.properties, **item.assets[key].extra_fields}
        outline = _outline(sensors.crs_of(item, key), fields)
        if outline is not None:
            return outline
    return None


def misplaced(item: pystac.Item) -> str | None:
    """Say how an item contradicts itself about where it lies; none: it does not.

    Its rasters, by the projection extension, must meet its geometry. A wrong CRS code would
    otherwise put them where nobody looks, and the item's ground would be blank without a word.
    """
    outline, claimed = raster_outline(item), footprint(item)
    if outline is None or claimed is None:
        return None
    place = outline.to_crs("EPSG:4326").geom
    west, south, east, north = place.bounds
    # Written so that NaN is nowhere, too.
    if not (-360 <= west <= east <= 360 and -90 <= south <= north <= 90):
        return f"its projection ({outline.crs}) puts its rasters nowhere on Earth"
    # A raster across the antimeridian is torn apart by longitudes: nothing can be said of it.
    if east - west < 180 and not place.intersects(claimed):
        return (
            f"its projection ({outline.crs}) puts its rasters at {west:.2f} to {east:.2f}° east and "
            f"{south:.2f} to {north:.2f}° north, where its geometry is not"
        )
    return None


def _outline(crs: ProjCRS | None, fields: Mapping[str, Any]) -> Geometry | None:
    """Draw the rectangle that the projection extension's fields tell, if they tell one."""
    sizes, transform = fields.get("proj:shape"), fields.get("proj:transform")
    if crs is None or sizes is None or transform is None:
        return None
    try:
        height, width = (int(size) for size in sizes)
        place = Affine(*(float(number) for number in transform[:6]))
    except (TypeError, ValueError):
        return None
    if not 0 < height * width <= MAX_RASTER_PX:
        return None
    return GeoBox((height, width), place, CRS(crs)).extent
