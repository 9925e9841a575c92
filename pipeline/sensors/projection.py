"""The CRS that an item states, of version 1 or 2 of the projection extension."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pyproj import CRS
from pyproj.exceptions import CRSError

if TYPE_CHECKING:
    import pystac

_FIELDS = ("proj:code", "proj:epsg", "proj:wkt2", "proj:projjson")


def crs_of(item: pystac.Item, asset_key: str | None = None) -> CRS | None:
    """Return the CRS of an asset, or of an item's assets, or none where it is not stated.

    An asset's own statement wins over its item's. Where no asset is named, the item's CRS counts for all; if it
    states none, its assets must agree. The extension's own class is not used: it refuses
    items that have its fields but forget to declare it.
    """
    own = item.assets[asset_key].extra_fields if asset_key is not None else {}
    stated = _first(own) or _first(item.properties)
    if stated is not None or asset_key is not None:
        return stated
    found = [crs for asset in item.assets.values() if (crs := _first(asset.extra_fields))]
    return found[0] if found and all(crs == found[0] for crs in found) else None


def two_codes(item: pystac.Item) -> str | None:
    """Say which two CRS an item states by the two versions of the extension; none: it does not."""
    for fields in (item.properties, *(asset.extra_fields for asset in item.assets.values())):
        code, epsg = fields.get("proj:code"), fields.get("proj:epsg")
        named = str(code).upper()
        if isinstance(epsg, int) and named.startswith("EPSG:") and named[5:] != str(epsg):
            return f"its proj:code is {code}, its proj:epsg is {epsg}"
    return None


def _first(fields: Mapping[str, Any]) -> CRS | None:
    return next(_stated(fields), None)


def _stated(fields: Mapping[str, Any]) -> Iterator[CRS]:
    for name in _FIELDS:
        value = fields.get(name)
        try:
            if isinstance(value, dict):
                yield CRS.from_json_dict(value)
            elif isinstance(value, str | int) and not isinstance(value, bool):
                yield _parsed(value)
        except (CRSError, ValueError, TypeError, OverflowError):
            # `EPSG:None` occurs in real items (WFP-VAM/prism-app#1469): try the next field.
            continue


@lru_cache(maxsize=256)
def _parsed(value: str | int) -> CRS:
    return CRS.from_user_input(value)
