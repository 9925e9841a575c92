"""The origin of a store's pixels: the snapshot, the models of its runs, the items that they read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

from pipeline import access
from pipeline.errors import StoreError
from pipeline.publish.words import GEOJSON, ZARR, Json, link
from pipeline.store import Archive
from pipeline.store.base.location import PLAIN

Scene = tuple[str, datetime]
"""Sensor and time."""


@dataclass(frozen=True)
class Provenance:
    """The origin of an archive's pixels; cached."""

    archive: Archive

    @cached_property
    def snapshot_time(self) -> datetime:
        """The time at which the archive's snapshot was published.

        Raises
        ------
        StoreError
            The snapshot was never published.
        """
        for each in self.archive.log():
            return each.time
        raise StoreError(f"{self.archive.url} has published nothing yet: run `cloudmask run`")

    @cached_property
    def positions(self) -> dict[str, int]:
        """Item id -> position in ``items/id`` of the store."""
        return {each: at for at, each in enumerate(self.archive.item_ids)}

    @cached_property
    def _homes(self) -> dict[str, str]:
        found = ((str(item.get("id")), home(item)) for item in self.archive.items())
        return {name: href for name, href in found if href}

    @cached_property
    def _records(self) -> list[dict[str, Any]]:
        return self.archive.records()

    @cached_property
    def _masked_by(self) -> dict[Scene, int]:
        """Scene -> the latest run that masked a part of it."""
        return {
            (cell["sensor"], datetime.fromisoformat(cell["time"])): number
            for number, record in enumerate(self._records)
            for tile in record.get("tiles", ())
            for cell in tile["cells"]
            if cell["status"] == "masked"
        }

    def models(self, scenes: Iterable[Scene]) -> dict[str, dict[str, str]]:
        """Return the models that masked some scenes, by sensor; empty if no record names one.

        If several models masked the scenes of a sensor, it is that of the latest run.
        """
        latest: dict[str, int] = {}
        for sensor, time in scenes:
            number = self._masked_by.get((sensor, time), -1)
            latest[sensor] = max(latest.get(sensor, -1), number)
        found = {sensor: self._model(sensor, number) for sensor, number in latest.items()}
        return {sensor: found[sensor] for sensor in sorted(found) if found[sensor]}

    def _model(self, sensor: str, number: int) -> dict[str, str]:
        records = self._records if number < 0 else [self._records[number]]
        for record in reversed(records):
            if sensor in record.get("models", {}):
                return {key: text for key, text in record["models"][sensor].items() if text}
        return {}

    def sources(self, ids: Iterable[str]) -> dict[str, str]:
        """Return, for some item ids, a mapping from the values of a composite's ``source`` to the ids."""
        known = sorted(
            (self.positions[each], each) for each in set(ids) if each in self.positions
        )
        return {str(at): each for at, each in known}

    def derived_from(self, ids: Sequence[str], folder: Path) -> list[Json]:
        """Return links to those of some items whose address is known."""
        return [
            link("derived_from", _seen_from(folder, self._homes[each]), GEOJSON, each)
            for each in ids
            if each in self._homes
        ]


def software() -> dict[str, str]:
    """Return ``processing:software``."""
    return {"cloudmask": version("cloudmask")}


def home(item: Mapping[str, Any]) -> str | None:
    """Return the address of an item, without its query, which may contain a signature.

    If the item was stored without a self link, its address is derived from its collection's, as OGC API Features
    prescribes.
    """
    hrefs = {each.get("rel"): each.get("href") for each in item.get("links", ())}
    if isinstance(hrefs.get("self"), str):
        return _bare(hrefs["self"])
    collection = hrefs.get("collection")
    if not isinstance(collection, str) or urlsplit(collection).scheme not in ("http", "https"):
        return None
    # The collection of a static catalogue is a file, from which item addresses cannot be derived.
    if collection.endswith(".json"):
        return None
    return f"{_bare(collection).rstrip('/')}/items/{quote(str(item.get('id')))}"


def _bare(href: str) -> str:
    """Return a URL without login and query; a path is returned unchanged."""
    if "://" not in href:
        return href
    parts = urlsplit(href)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def _seen_from(folder: Path, href: str) -> str:
    """Return an address for a document in a folder: local paths become relative to it."""
    href = href.removeprefix(PLAIN)
    if "://" in href and not href.startswith("file:"):
        return href
    path = access.resolved(href, "") if href.startswith("file:") else href
    return access.reference(Path(path).expanduser().absolute(), folder)


def zarr_asset(archive: Archive, group: str, folder: Path) -> Json:
    """Return the asset that is a group of the store.

    Parameters
    ----------
    archive
        The store.
    group
        E.g. ``masks/sentinel-2``.
    folder
        The folder of the document with the asset.
    """
    options = {
        name: values[-1]
        for name, values in parse_qs(urlsplit(archive.url).query).items()
        if "://" in archive.url
    }
    return {
        "href": _seen_from(folder, _bare(archive.url)),
        "type": ZARR,
        "title": f"group {group} of the archive, an Icechunk repository",
        "roles": ["data", "zarr"],
        "zarr:zarr_format": 3,
        "zarr:node_type": "group",
        "zarr:consolidated": False,
        "cloudmask:storage": "icechunk",
        "cloudmask:group": group,
        **{f"cloudmask:{name}": value for name, value in sorted(options.items())},
    }
