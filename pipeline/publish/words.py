"""Names and formats of STAC and its extensions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]
"""A JSON object."""

STAC_VERSION = "1.1.0"

_HOME = "https://stac-extensions.github.io"
EXTENSIONS: Mapping[str, str] = {
    "classification": f"{_HOME}/classification/v2.0.0/schema.json",
    "cube": f"{_HOME}/datacube/v2.2.0/schema.json",
    "eo": f"{_HOME}/eo/v2.0.0/schema.json",
    "proj": f"{_HOME}/projection/v2.0.0/schema.json",
    "processing": f"{_HOME}/processing/v1.1.0/schema.json",
    "raster": f"{_HOME}/raster/v2.0.0/schema.json",
    "zarr": f"{_HOME}/zarr/v1.0.0/schema.json",
}
"""Prefix of the fields of an extension -> its schema."""

COG = "image/tiff; application=geotiff; profile=cloud-optimized"
ZARR = "application/vnd.zarr; version=3"
JSON = "application/json"
GEOJSON = "application/geo+json"

COMMON_NAMES: Mapping[str, str] = {
    "rededge1": "rededge071",
    "rededge2": "rededge075",
    "rededge3": "rededge078",
}
"""Roles with another name in version 2 of the eo extension."""


def instant(when: datetime) -> str:
    """Format an instant as in STAC: RFC 3339, UTC, ``Z``; with microseconds if there are any."""
    return when.astimezone(UTC).isoformat().replace("+00:00", "Z")


def stamp(when: datetime) -> str:
    """Format an instant for an id; different instants give different texts."""
    utc = when.astimezone(UTC)
    text = f"{utc:%Y%m%d}"
    if utc.time() != datetime.min.time():
        text += f"T{utc:%H%M%S}"
    return text + (f"{utc.microsecond:06d}" if utc.microsecond else "")


def slug(text: str) -> str:
    """Turn a title into an id, which is also the name of a folder."""
    return re.sub(r"[^a-z0-9_]+", "-", text.lower()).strip("-")


_ADJUSTED: Mapping[str, str] = {
    "harmonize": "Sentinel-2's bands to those of Landsat 8",
    "brdf": "the view to nadir",
}
"""Attribute of a composite -> what it adjusts."""


def adjusted(attributes: Mapping[Any, Any]) -> str:
    """Return a sentence on how a composite's reflectance was adjusted, with a space before it; empty: it was not."""
    found = [
        f"{what} ({attributes[key]})" for key, what in _ADJUSTED.items() if key in attributes
    ]
    return f" Adjusted before: {', '.join(found)}." if found else ""


def with_extensions(document: Json) -> Json:
    """Add the list of the extensions whose fields an item or collection has."""
    prefixes = {name.partition(":")[0] for name in _names(document) if ":" in name}
    uses = sorted(uri for prefix, uri in EXTENSIONS.items() if prefix in prefixes)
    return document | {"stac_extensions": uses}


def _names(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield name
            yield from _names(each)
    elif isinstance(value, list):
        for each in value:
            yield from _names(each)


def link(rel: str, href: str, media_type: str = JSON, title: str = "") -> Json:
    """Return a link of a STAC document."""
    made = {"rel": rel, "href": href, "type": media_type}
    return made | {"title": title} if title else made
