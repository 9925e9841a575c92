"""Chooses the location from which an asset is read."""

from __future__ import annotations

from collections.abc import Collection

import pystac

from pipeline import access
from pipeline.cube.opening import AssetRef
from pipeline.errors import AccessError, AssetError


def href_of(item: pystac.Item, key: str, hosts: Collection[str] = ()) -> str:
    """Return the location from which an asset is read, of those that it offers, with its signature.

    Raises
    ------
    AssetError
        The signature is no longer known.
    """
    asset = item.assets[key]
    href = access.resolved(asset.href, item.get_self_href() or "")
    try:
        return access.preferred_href({**asset.extra_fields, "href": href}, hosts=hosts)
    except AccessError as error:
        raise AssetError(item.id, key, f"cannot be read: {error}") from None


def asset_ref(item: pystac.Item, key: str, hosts: Collection[str] = ()) -> AssetRef:
    """Return an asset as `read_asset` takes it."""
    return AssetRef(
        item_id=item.id,
        asset=key,
        href=href_of(item, key, hosts),
        remote=access.is_remote(item.get_self_href() or ""),
        hosts=tuple(hosts),
    )
