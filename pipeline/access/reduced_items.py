"""What is stored of an item: what a run needs of it, and no secret.

Catalogues hand out signatures, keys and logins, anywhere in an item. So an item is reduced to known
fields when it is found, before anything is hashed, written or sent:

- its properties: numbers, and texts of the fields that are listed here;
- its links: where it is, what it belongs to and comes from, without headers and bodies;
- its assets: their fields likewise, and their links without signatures (`pipeline.access.signed_href`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import pystac

from pipeline import sensors
from pipeline.access.signed_href import SIGNED, Href, full_href
from pipeline.secret_patterns import HIDDEN
from pipeline.shown import hide_patterns, strip_url

FAMILIES = (
    *("eo", "proj", "raster", "view", "sat", "sar", "grid", "mgrs", "product", "processing"),
    *(
        "s2",
        "s1",
        "landsat",
        "hls",
        "odc",
        "dea",
        "earthsearch",
        "sentinel",
        "eopf",
        "cloudmask",
    ),
    *("gqa", "fmask", "file", "classification"),
)
"""Prefixes of fields, as in ``eo:cloud_cover``, that are stored."""

FIELDS = frozenset(
    {
        *("datetime", "start_datetime", "end_datetime", "created", "updated", "platform"),
        *("instruments", "constellation", "mission", "gsd", "version", "bands", "nodata"),
        *("data_type", "unit", "scale", "offset", "name", "common_name", "full_width_half_max"),
        *("center_wavelength", "solar_illumination", "spatial_resolution", "sampling"),
        *("bits_per_sample", "statistics", "region_code", "crs", "epsg", "shape", "transform"),
        # A GeoJSON object or a PROJJSON object, inside of `proj`.
        *("type", "coordinates", "bbox", "roles"),
    }
)
"""Further fields that are stored; of others, numbers alone."""

DROPPED = frozenset({"processing:expression", "processing:lineage", "file:local_path"})
"""Free text of the families, not stored."""

NAMING = frozenset({"title", "label"})
"""Free text, stored where it is the name of a product: Digital Earth Australia's has the acquisition
and its maturity."""

LINKS = ("self", "collection", "parent", "canonical", "derived_from", "via")
MOST_LETTERS = 500
"""Of a text; a CRS in WKT may be longer."""

_WHOLE_TREES = ("proj:projjson", "proj:geometry")


def reduce_item(item: pystac.Item) -> pystac.Item:
    """Reduce an item to what is stored; it is changed, and returned."""
    # A URL with a key may stand here as well as in the links.
    item.id = hide_patterns(item.id)
    item.collection_id = (
        None if item.collection_id is None else hide_patterns(item.collection_id)
    )
    item.properties = _fields(item.properties)
    item.extra_fields = {}
    item.stac_extensions = [strip_url(str(each)) for each in item.stac_extensions]
    item.geometry = _geometry(item.geometry)
    item.bbox = _numbers(item.bbox)
    links = [link for link in item.links if link.rel in LINKS and isinstance(link.target, str)]
    item.links = []
    for link in links:
        item.add_link(pystac.Link(link.rel, strip_url(str(link.target)), link.media_type))
    assets = item.assets
    item.assets = {}
    for key, asset in assets.items():
        fields = _asset({**asset.extra_fields, "href": asset.href})
        item.add_asset(
            hide_patterns(key),
            pystac.Asset(
                href=fields.pop("href"),
                media_type=_text(asset.media_type),
                roles=_texts(asset.roles),
                extra_fields=fields,
            ),
        )
    return item


def reduce_document(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is stored of an item given as JSON; see `reduce_item`.

    A document that was reduced before is returned as it is.
    """
    made: dict[str, Any] = {}
    for name, value in document.items():
        if name in _PARTS:
            made[name] = _PARTS[name](value)
    return made


def _links(found: object) -> list[dict[str, str]]:
    links = found if isinstance(found, list) else []
    return [
        {name: strip_url(str(each[name])) for name in ("rel", "href", "type") if each.get(name)}
        for each in links
        if isinstance(each, Mapping) and each.get("rel") in LINKS
    ]


def _assets(found: object) -> dict[str, dict[str, Any]]:
    assets = found if isinstance(found, Mapping) else {}
    return {
        hide_patterns(str(key)): _plain(_asset(asset), asset)
        for key, asset in assets.items()
        if isinstance(asset, Mapping) and isinstance(asset.get("href"), str)
    }


def _plain(reduced: Mapping[str, Any], asset: Mapping[str, Any]) -> dict[str, Any]:
    """Return an asset as JSON, with plain texts for locations."""
    found: dict[str, Any] = {**reduced, "href": str.__str__(reduced["href"])}
    if "alternate" in reduced:
        found["alternate"] = {
            name: _plain(each, {}) for name, each in reduced["alternate"].items()
        }
    also = {"type": _text(asset.get("type")), "roles": _texts(asset.get("roles"))}
    return found | {name: value for name, value in also.items() if value is not None}


def _text(found: object) -> str | None:
    return hide_patterns(found)[:MOST_LETTERS] if isinstance(found, str) else None


def _texts(found: object) -> list[str] | None:
    return [hide_patterns(str(each)) for each in found] if isinstance(found, list) else None


def _asset(asset: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is stored of an asset: ``href`` and ``alternate`` as `Href`, and its known fields."""
    href = Href(full_href(str(asset["href"])))
    reduced: dict[str, Any] = {
        "href": href,
        **_fields(asset, leave=("href", "alternate", "type", "roles")),
    }
    if href != href.whole:
        reduced[SIGNED] = True
    if others := _alternates(asset.get("alternate")):
        reduced["alternate"] = others
    return reduced


def _alternates(found: object) -> dict[str, dict[str, Any]]:
    """Return the locations of ``alternate``: an object of objects; lists and plain texts occur as well."""
    if isinstance(found, Mapping):
        pairs = [(str(name), each) for name, each in found.items()]
    elif isinstance(found, Sequence) and not isinstance(found, str):
        pairs = [(str(number), each) for number, each in enumerate(found)]
    else:
        return {}
    whole_ones = (
        (name, each if isinstance(each, Mapping) else {"href": each}) for name, each in pairs
    )
    return {
        hide_patterns(name): _asset({**each, "alternate": None})
        for name, each in whole_ones
        if isinstance(each.get("href"), str)
    }


def _fields(fields: Mapping[str, Any], leave: Sequence[str] = ()) -> dict[str, Any]:
    reduced = {
        str(name): _value(value, str(name))
        for name, value in fields.items()
        if name not in leave and name not in DROPPED and _is_stored(str(name), value)
    }
    # An object without any known field is empty now; GeoParquet cannot hold that.
    return {name: value for name, value in reduced.items() if not _is_empty(value)}


def _is_empty(value: object) -> bool:
    if isinstance(value, list):
        return bool(value) and all(each == {} for each in value)
    return value == {}


def _is_stored(name: str, value: object) -> bool:
    family, colon, field = name.rpartition(":")
    if _is_secret(field):
        return False
    if value is None or isinstance(value, bool | int | float):
        return True
    if name in NAMING:
        return sensors.is_name(value)
    return name in FIELDS or (bool(colon) and family in FAMILIES)


@lru_cache(maxsize=4096)
def _is_secret(field: str) -> bool:
    """Whether the name of a field sounds like a secret, even in a known family."""
    return HIDDEN in hide_patterns(f'"{field}": 0')


def _value(value: Any, name: str) -> Any:  # noqa: ANN401 -- JSON
    if isinstance(value, str):
        # A text may be a URL, or have one in it.
        text = hide_patterns(strip_url(value))
        return text if name.startswith("proj:") else text[:MOST_LETTERS]
    if isinstance(value, Mapping):
        if name in _WHOLE_TREES:
            return {hide_patterns(str(key)): _value(each, name) for key, each in value.items()}
        return _fields(value)
    if isinstance(value, list | tuple):
        return [_value(each, name) for each in value]
    return value


def _geometry(found: Any) -> Any:  # noqa: ANN401 -- JSON
    """Return a GeoJSON geometry without foreign members."""
    if not isinstance(found, Mapping):
        return None
    reduced: dict[str, Any] = {"type": hide_patterns(str(found.get("type")))}
    if isinstance(found.get("geometries"), list | tuple):
        reduced["geometries"] = [_geometry(each) for each in found["geometries"]]
    else:
        reduced["coordinates"] = _numbers(found.get("coordinates"))
    return reduced


def _numbers(found: Any) -> Any:  # noqa: ANN401 -- JSON
    """Return nested lists of numbers; none in place of anything else."""
    if isinstance(found, list | tuple):
        return [_numbers(each) for each in found]
    return found if isinstance(found, int | float) else None


_PARTS: Mapping[str, Callable[[Any], Any]] = {
    "type": lambda _: "Feature",
    "stac_version": _text,
    "stac_extensions": lambda found: [
        strip_url(each) for each in found or () if isinstance(each, str)
    ],
    "id": _text,
    "collection": _text,
    "geometry": _geometry,
    "bbox": _numbers,
    "properties": lambda found: _fields(found) if isinstance(found, Mapping) else {},
    "links": _links,
    "assets": _assets,
}
"""Field of an item -> what is stored of it."""
