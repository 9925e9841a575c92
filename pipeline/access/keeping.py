"""What is kept of an item: what the rest of a run needs of it, and no secret.

Catalogues hand out links that open doors (signatures, keys, logins), anywhere in an item. So an item
is cut down to what is known when it is found, before anything is hashed, written or sent:

- its properties: numbers, and texts of the fields that are listed here;
- its links: where it is, what it belongs to and comes from, without headers and bodies;
- its assets: an `Href` that shows and keeps the bare location. The whole one, signature included, is at
  hand for the reads of this run (`whole`), travels to its worker processes (`signatures`, `signed`)
  and is written nowhere. An asset that came with one is marked `SIGNED`, so that whoever finds it in
  a store knows why it may not open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Self, SupportsIndex

import pystac

from pipeline import sensors
from pipeline.access.locations import placed
from pipeline.access.trust import SCHEMES
from pipeline.shown import HIDDEN, bare, starred

SIGNED = "cloudmask:signed"
"""Field of an asset: true where its link came with parameters or a login that are not kept."""

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
"""Prefixes of fields, as in ``eo:cloud_cover``, that are kept."""

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
"""Further fields that are kept; of others, numbers alone."""

DROPPED = frozenset({"processing:expression", "processing:lineage", "file:local_path"})
"""Free text of the families."""

NAMING = frozenset({"title", "label"})
"""Free text, which is kept where it is the name of a product: Digital Earth Australia's tells the
acquisition and its maturity."""

LINKS = ("self", "collection", "parent", "canonical", "derived_from", "via")
MOST_LETTERS = 500
"""Of a text; a CRS in WKT may be longer."""

_WHOLE_TREES = ("proj:projjson", "proj:geometry")


class Href(str):
    """A location that shows and keeps its bare form, and knows the whole one."""

    whole: str
    """As the catalogue gave it: for reading, in this run."""

    def __new__(cls, given: str) -> Self:
        """Make one of what a catalogue gives."""
        made = super().__new__(cls, bare(given))
        made.whole = given
        return made

    # pystac passes every href through these two when it copies an item.

    def __str__(self) -> str:
        """Return itself: a copy knows the whole one, too."""
        return self

    def replace(self, old: str, new: str, count: SupportsIndex = -1, /) -> str:
        """Return itself where nothing is replaced."""
        made = super().replace(old, new, count)
        return self if made == self else made


def whole(href: str) -> str:
    """Return a location with what it needs to be opened, as far as that is known."""
    return href.whole if isinstance(href, Href) else href


def is_lost(asset: Mapping[str, Any]) -> bool:
    """Say whether an asset's link was signed by its catalogue, is bare now, and nobody here can sign it."""
    href = str(asset["href"])
    if not asset.get(SIGNED) or whole(asset["href"]) != href:
        return False
    return href.partition(":")[0].lower() in SCHEMES and placed(href)[1] is None


# -- items ---------------------------------------------------------------------------------------


def keep(item: pystac.Item) -> pystac.Item:
    """Cut an item down to what is kept; it is changed, and returned."""
    # Places that a document came in stand here as well as in its links.
    item.id = starred(item.id)
    item.collection_id = None if item.collection_id is None else starred(item.collection_id)
    item.properties = _fields(item.properties)
    item.extra_fields = {}
    item.stac_extensions = [bare(str(each)) for each in item.stac_extensions]
    item.geometry = _geometry(item.geometry)
    item.bbox = _numbers(item.bbox)
    links = [link for link in item.links if link.rel in LINKS and isinstance(link.target, str)]
    item.links = []
    for link in links:
        item.add_link(pystac.Link(link.rel, bare(str(link.target)), link.media_type))
    assets = item.assets
    item.assets = {}
    for key, asset in assets.items():
        fields = kept_asset({**asset.extra_fields, "href": asset.href})
        item.add_asset(
            starred(key),
            pystac.Asset(
                href=fields.pop("href"),
                media_type=_text(asset.media_type),
                roles=_texts(asset.roles),
                extra_fields=fields,
            ),
        )
    return item


def kept_document(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is kept of an item that stands in a store, as JSON; see `keep`.

    What was kept so before is returned as it is.
    """
    made: dict[str, Any] = {}
    for name, value in document.items():
        if name in _PARTS:
            made[name] = _PARTS[name](value)
    return made


def _links(found: object) -> list[dict[str, str]]:
    links = found if isinstance(found, list) else []
    return [
        {name: bare(str(each[name])) for name in ("rel", "href", "type") if each.get(name)}
        for each in links
        if isinstance(each, Mapping) and each.get("rel") in LINKS
    ]


def _assets(found: object) -> dict[str, dict[str, Any]]:
    assets = found if isinstance(found, Mapping) else {}
    return {
        starred(str(key)): _plain(kept_asset(asset), asset)
        for key, asset in assets.items()
        if isinstance(asset, Mapping) and isinstance(asset.get("href"), str)
    }


def _plain(kept: Mapping[str, Any], asset: Mapping[str, Any]) -> dict[str, Any]:
    """Return an asset as JSON, whose locations know nothing but what they say."""
    found: dict[str, Any] = {**kept, "href": str.__str__(kept["href"])}
    if "alternate" in kept:
        found["alternate"] = {
            name: _plain(each, {}) for name, each in kept["alternate"].items()
        }
    also = {"type": _text(asset.get("type")), "roles": _texts(asset.get("roles"))}
    return found | {name: value for name, value in also.items() if value is not None}


def _text(found: object) -> str | None:
    return starred(found)[:MOST_LETTERS] if isinstance(found, str) else None


def _texts(found: object) -> list[str] | None:
    return [starred(str(each)) for each in found] if isinstance(found, list) else None


def kept_asset(asset: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is kept of an asset: ``href`` and ``alternate`` as `Href`, and its known fields."""
    href = Href(whole(str(asset["href"])))
    kept: dict[str, Any] = {
        "href": href,
        **_fields(asset, leave=("href", "alternate", "type", "roles")),
    }
    if href != href.whole:
        kept[SIGNED] = True
    if others := _alternates(asset.get("alternate")):
        kept["alternate"] = others
    return kept


def _alternates(found: object) -> dict[str, dict[str, Any]]:
    """Return the locations of ``alternate``: an object of objects; lists and plain texts are met as well."""
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
        starred(name): kept_asset({**each, "alternate": None})
        for name, each in whole_ones
        if isinstance(each.get("href"), str)
    }


def _fields(fields: Mapping[str, Any], leave: Sequence[str] = ()) -> dict[str, Any]:
    kept = {
        str(name): _value(value, str(name))
        for name, value in fields.items()
        if name not in leave and name not in DROPPED and _is_kept(str(name), value)
    }
    # Of an object whose fields were all unknown nothing is left; GeoParquet cannot hold that.
    return {name: value for name, value in kept.items() if not _is_hollow(value)}


def _is_hollow(value: object) -> bool:
    if isinstance(value, list):
        return bool(value) and all(each == {} for each in value)
    return value == {}


def _is_kept(name: str, value: object) -> bool:
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
    """Say whether a field is called like a secret, be it of a known family."""
    return HIDDEN in starred(f'"{field}": 0')


def _value(value: Any, name: str) -> Any:  # noqa: ANN401 -- JSON
    if isinstance(value, str):
        # A text may be a URL, or have one in it.
        text = starred(bare(value))
        return text if name.startswith("proj:") else text[:MOST_LETTERS]
    if isinstance(value, Mapping):
        if name in _WHOLE_TREES:
            return {starred(str(key)): _value(each, name) for key, each in value.items()}
        return _fields(value)
    if isinstance(value, list | tuple):
        return [_value(each, name) for each in value]
    return value


def _geometry(found: Any) -> Any:  # noqa: ANN401 -- JSON
    """Return an outline without what does not belong to one."""
    if not isinstance(found, Mapping):
        return None
    kept: dict[str, Any] = {"type": starred(str(found.get("type")))}
    if isinstance(found.get("geometries"), list | tuple):
        kept["geometries"] = [_geometry(each) for each in found["geometries"]]
    else:
        kept["coordinates"] = _numbers(found.get("coordinates"))
    return kept


def _numbers(found: Any) -> Any:  # noqa: ANN401 -- JSON
    """Return lists of lists of numbers; none for what is something else."""
    if isinstance(found, list | tuple):
        return [_numbers(each) for each in found]
    return found if isinstance(found, int | float) else None


_PARTS: Mapping[str, Callable[[Any], Any]] = {
    "type": lambda _: "Feature",
    "stac_version": _text,
    "stac_extensions": lambda found: [
        bare(each) for each in found or () if isinstance(each, str)
    ],
    "id": _text,
    "collection": _text,
    "geometry": _geometry,
    "bbox": _numbers,
    "properties": lambda found: _fields(found) if isinstance(found, Mapping) else {},
    "links": _links,
    "assets": _assets,
}
"""Field of an item -> what is kept of it."""

# -- worker processes ----------------------------------------------------------------------------

Signature = tuple[str, str, str]
"""Key of an asset, name of an alternate or nothing, and the whole location."""


def signatures(item: pystac.Item) -> list[Signature]:
    """Return what an item's documents leave out of its locations, for a process that reads in this run."""
    found = []
    for key, asset in item.assets.items():
        others = asset.extra_fields.get("alternate") or {}
        hrefs = {"": asset.href, **{name: each["href"] for name, each in others.items()}}
        found += [
            (key, name, href.whole)
            for name, href in hrefs.items()
            if isinstance(href, Href) and href != href.whole
        ]
    return found


def signed(item: pystac.Item, found: Sequence[Signature]) -> pystac.Item:
    """Put back what `signatures` took; the item is changed, and returned."""
    for key, name, given in found:
        asset = item.assets[key]
        if name:
            asset.extra_fields["alternate"][name]["href"] = Href(given)
        else:
            asset.href = Href(given)
    return item
