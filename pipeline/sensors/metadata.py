"""The metadata of an item: its catalogue, its processing baseline, its scale and offset.

Everything here reads items as recorded, of any STAC version, and trusts no shape: a field that is
not what it should be counts as not stated.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pystac

_PROPERTY_MARKS = {
    "earthsearch:": "earth-search",
    "eopf:": "cdse",
    "dea:": "dea",
    "odc:region_code": "deafrica",
}
"""Start of a property's name -> catalogue that writes it."""

_HREF_MARKS = {
    # Digital Earth Pacific, wherever it keeps its files, and whose they were.
    "digitalearthpacific.org": "dep",
    "dep-public-": "dep",
    "deppcpublicstorage": "dep",
    "earth-search.aws.element84.com": "earth-search",
    "earth-search-sentinel": "earth-search",
    "planetarycomputer.microsoft.com": "planetary-computer",
    ".blob.core.windows.net/": "planetary-computer",
    "dataspace.copernicus.eu": "cdse",
    "s3://eodata/": "cdse",
    "deafrica-": "deafrica",
    "digitalearth.africa": "deafrica",
    "dea-public-data": "dea",
    "dea.ga.gov.au": "dea",
    "cmr.earthdata.nasa.gov": "cmr-lpcloud",
    "earthdatacloud.nasa.gov": "cmr-lpcloud",
    "landsatlook.usgs.gov": "usgs-landsatlook",
    # Buckets that Digital Earth Africa's items point at too: after it.
    "sentinel-cogs": "earth-search",
}
"""Part of an href -> catalogue that serves it; the first match counts."""


def origin(item: pystac.Item) -> str | None:
    """Return the name of the catalogue that made an item, as in `pipeline.catalogs`, or none.

    ``dep`` is Digital Earth Pacific, which has no row there.

    Judged by the item alone, not by the file or the catalogue that it came from, because items are saved, copied
    and passed on. A self link may be missing.
    """
    # `target`, never `href`: pystac resolves the root link for that, by network.
    hrefs = [link.target for link in item.links if isinstance(link.target, str)]
    hrefs += [str(asset.href) for asset in item.assets.values()]
    for mark, name in _HREF_MARKS.items():
        if any(mark in href for href in hrefs):
            return name
    for mark, name in _PROPERTY_MARKS.items():
        if any(key.startswith(mark) for key in item.properties):
            return name
    return None


_BASELINE_PROPERTIES = (
    "s2:processing_baseline",
    "sentinel:processing_baseline",  # Earth Search v0
    "processing:version",  # Copernicus Data Space
)
_PRODUCT_PROPERTIES = ("s2:product_uri", "sentinel:product_id")
_BASELINE = re.compile(r"N?(\d+)\.(\d+)|N?(\d\d)(\d\d)$")
"""``05.11``, and ``N0511`` as in the names of products."""
_IN_PRODUCT_NAME = re.compile(r"_N(\d\d)(\d\d)_")


def processing_baseline(item: pystac.Item) -> tuple[int, int] | None:
    """Return the Sentinel-2 processing baseline, e.g. (5, 9), or none where it is not stated.

    Old items of Earth Search v0 state it only as ``_N0214_`` in the name of ESA's product.
    """
    for name in _BASELINE_PROPERTIES:
        stated = _BASELINE.match(str(item.properties.get(name) or ""))
        if stated:
            return int(stated[1] or stated[3]), int(stated[2] or stated[4])
    for name in _PRODUCT_PROPERTIES:
        named = _IN_PRODUCT_NAME.search(str(item.properties.get(name) or ""))
        if named:
            return int(named[1]), int(named[2])
    return None


def stated_offsets(item: pystac.Item, keys: Iterable[str]) -> set[tuple[float, float]]:
    """Return the pairs (scale, offset) that assets announce; empty where none does."""
    found = set()
    for key in keys:
        for fields in _raster_fields(item.assets[key]):
            scale = _number(fields.get("raster:scale", fields.get("scale")))
            offset = _number(fields.get("raster:offset", fields.get("offset")))
            if scale is not None or offset is not None:
                found.add((1.0 if scale is None else scale, offset or 0.0))
                break
    return found


def _raster_fields(asset: pystac.Asset) -> Iterator[Mapping[str, Any]]:
    """Yield the fields where an asset may have it: version 2 of the raster extension, then version 1."""
    own = asset.extra_fields
    yield {name: own[name] for name in ("raster:scale", "raster:offset") if name in own}
    for name in ("bands", "raster:bands"):
        listed = own.get(name)
        if isinstance(listed, list) and listed and isinstance(listed[0], Mapping):
            yield listed[0]


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def sun(item: pystac.Item) -> tuple[float, float] | None:
    """Return the position of the sun over an item; none: unknown.

    Returns
    -------
    Azimuth in degrees clockwise from true north, and elevation in degrees above the horizon.
    """
    properties = item.properties
    azimuth = _first_number(
        properties, ("view:sun_azimuth", "eo:sun_azimuth", "s2:mean_solar_azimuth")
    )
    elevation = _first_number(properties, ("view:sun_elevation", "eo:sun_elevation"))
    if elevation is None:
        zenith = _first_number(properties, ("s2:mean_solar_zenith",))
        elevation = None if zenith is None else 90.0 - zenith
    return None if azimuth is None or elevation is None else (azimuth, elevation)


def view(item: pystac.Item, family: str) -> tuple[float, float] | None:
    """Return from where an item was seen, in the mean of its pixels; None: unknown.

    ``view:off_nadir`` counts for Landsat alone, and as 0 alone: Earth Search v0 says 0 of every Sentinel-2
    tile, wherever it lies in the swath, and another number does not tell to which side.

    Returns
    -------
    Azimuth of the sensor in degrees clockwise from true north, and zenith angle in degrees, both as seen from the ground.
    """
    properties = item.properties
    azimuth = _first_number(properties, ("view:azimuth",))
    zenith = _first_number(properties, ("view:incidence_angle",))
    if azimuth is not None and zenith is not None and 0 <= zenith < 90:
        return azimuth, zenith
    off_nadir = _first_number(properties, ("view:off_nadir", "eo:off_nadir"))
    return (0.0, 0.0) if family == "landsat" and off_nadir == 0 else None


def view_zenith(item: pystac.Item, family: str) -> float | None:
    """Return the view zenith angle of an item in degrees, as seen from the ground in the mean of its pixels; None: unknown.

    ``view:off_nadir`` counts for Landsat alone; see `view`. Beside nadir, where the satellite was turned, it is up to a
    tenth less than the angle on the ground.
    """
    zenith = _first_number(item.properties, ("view:incidence_angle",))
    if zenith is None and family == "landsat":
        zenith = _first_number(item.properties, ("view:off_nadir", "eo:off_nadir"))
    return zenith if zenith is not None and 0 <= zenith < 90 else None


def _first_number(properties: Mapping[str, Any], names: Iterable[str]) -> float | None:
    found = (_number(properties.get(name)) for name in names)
    return next((value for value in found if value is not None), None)
