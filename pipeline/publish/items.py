"""Makes one item per scene of a sensor, and one per period of a composite."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import shapely
import xarray as xr
from numpy.typing import NDArray

from pipeline.publish import words
from pipeline.publish.layers import Layer, classes
from pipeline.publish.provenance import Provenance, Scene, software, zarr_asset
from pipeline.publish.region import Part, Region, bounds, class_counts, outline, projection
from pipeline.publish.words import Json, instant
from pipeline.sensors import FAMILIES
from pipeline.types import CLOUD, USABLE, Code, Period
from pipeline.wording import counted

FORMAT = 2
"""Part of every fingerprint: increased when the format of items changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The subject of an item: one time of one group of the store."""

    collection: str
    """Id of its collection."""
    group: str
    """Group of the store, e.g. ``masks/sentinel-2``."""
    data: xr.Dataset
    """The group's dataset at that time, without a time axis; lazy."""
    layers: Sequence[Layer]
    region: Region
    parts: Sequence[Part]
    """The parts of the region that have results; at least one."""
    sources: Sequence[str]
    """Ids of the items that it was made from."""
    scenes: Sequence[Scene]
    """The scenes that it was made from."""
    when: datetime | Period
    """Instant of a scene, or a period."""
    platform: str = ""
    method: str = ""
    """The method of a composite."""
    name: str = ""
    """Last part of the id; if empty, the start of `when`."""

    @property
    def id(self) -> str:
        """Id of the item."""
        start = self.when.start if isinstance(self.when, Period) else self.when
        return f"{self.collection}-{self.name or words.stamp(start)}"

    @property
    def counts(self) -> NDArray[Any] | None:
        """Pixels by class of a mask; None for composites."""
        return class_counts(self.data, self.region) if "histogram" in self.data else None

    def fingerprint(self, *, cogs: bool) -> str:
        """Return a hash of everything that decides the content of the item and its files."""
        cells = self.data["fingerprint"].to_numpy()
        stated = {
            "format": FORMAT,
            "software": software(),
            "cogs": cogs,
            "id": self.id,
            "when": str(self.when),
            "platform": self.platform,
            "method": self.method,
            "sources": list(self.sources),
            "grid": [str(self.region.geobox.crs), list(self.region.geobox.affine)[:6]],
            "edges": self.region.edges,
            "layers": [str(layer) for layer in self.layers],
            "cells": [[p.row, p.col, int(cells[p.row, p.col])] for p in self.parts],
        }
        return hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()


def item_of(subject: Subject, provenance: Provenance, folder: Path, *, cogs: bool) -> Json:
    """Return an item.

    Parameters
    ----------
    subject
        Its subject.
    provenance
        The origin of its pixels.
    folder
        The folder that it will be written to.
    cogs
        Whether its layers are files beside it.
    """
    geometry = outline(subject.region, list(subject.parts))
    counts = subject.counts
    document = {
        "type": "Feature",
        "stac_version": words.STAC_VERSION,
        "stac_extensions": [],
        "id": subject.id,
        "collection": subject.collection,
        "geometry": shapely.geometry.mapping(geometry),
        "bbox": bounds(geometry),
        "properties": _properties(subject, provenance, counts, cogs=cogs),
        "links": [
            words.link("root", "../../catalog.json"),
            words.link("parent", "../collection.json"),
            words.link("collection", "../collection.json"),
            *provenance.derived_from(subject.sources, folder),
        ],
        "assets": _assets(subject, provenance, counts, folder, cogs=cogs),
    }
    return words.with_extensions(document)


# -- properties --------------------------------------------------------------------------------


def _properties(
    subject: Subject, provenance: Provenance, counts: NDArray[Any] | None, *, cogs: bool
) -> Json:
    made = instant(provenance.snapshot_time)
    models = provenance.models(subject.scenes)
    return {
        **_times(subject.when),
        "created": made,
        "updated": made,
        **_platform(subject),
        "gsd": subject.region.grid.resolution_m,
        **projection(subject.region.geobox),
        **_shares(counts),
        "processing:level": "L3" if isinstance(subject.when, Period) else "L2",
        "processing:software": software(),
        "processing:lineage": _lineage(subject, models),
        "cloudmask:fingerprint": subject.fingerprint(cogs=cogs),
        "cloudmask:snapshot": provenance.archive.snapshot,
        "cloudmask:models": models,
        "cloudmask:sources": provenance.sources(subject.sources),
    }


def _times(when: datetime | Period) -> Json:
    if isinstance(when, datetime):
        return {"datetime": instant(when)}
    # In STAC the end of a range is included, in a `Period` it is not.
    last = when.end - timedelta(microseconds=1)
    return {
        "datetime": None,
        "start_datetime": instant(when.start),
        "end_datetime": instant(last),
    }


def _platform(subject: Subject) -> Json:
    named = sorted({sensor for sensor, _ in subject.scenes})
    stated: Json = {}
    # Items without a platform are known by their sensor family, which is a constellation in STAC.
    family = next((each for each in FAMILIES if subject.platform.startswith(each)), "")
    if subject.platform not in ("", family, *named):
        stated["platform"] = subject.platform
    if family or len(named) == 1:
        stated["constellation"] = family or named[0]
    return stated


def _shares(counts: NDArray[Any] | None) -> Json:
    """Return percentages of the observed pixels; cloud shadow counts neither as cloud nor as clear."""
    if counts is None:
        return {}
    seen = int(counts.sum() - counts[Code.NO_DATA])
    stated = {"cloudmask:observed_percent": round(100.0 * seen / int(counts.sum()), 4)}
    if seen:
        stated["eo:cloud_cover"] = round(100.0 * int(counts[list(CLOUD)].sum()) / seen, 4)
        stated["cloudmask:clear_percent"] = round(
            100.0 * int(counts[list(USABLE)].sum()) / seen, 4
        )
    return stated


def _lineage(subject: Subject, models: dict[str, dict[str, str]]) -> str:
    named = ", ".join(
        f"{model.get('name')} {model.get('version')} ({sensor})"
        for sensor, model in models.items()
    )
    by = f" by {named}" if named else ""
    number = counted(len(subject.sources), "item")
    if isinstance(subject.when, Period):
        how = f"{subject.method} of the" if subject.method else "Composed from the"
        return f"{how} usable observations of {number}; clouds and shadows masked{by}."
    return f"Cloud, shadow and clear classes of {number}{by}."


# -- assets ------------------------------------------------------------------------------------


def _assets(
    subject: Subject,
    provenance: Provenance,
    counts: NDArray[Any] | None,
    folder: Path,
    *,
    cogs: bool,
) -> Json:
    store = zarr_asset(provenance.archive, subject.group, folder)
    # The store has the whole grid, even if the item covers a part of it.
    store |= projection(subject.region.grid.geobox)
    if not cogs:
        bands = [_described(each.band(), each, counts) for each in subject.layers]
        return {"store": store | {"bands": bands}}
    return {layer.name: _cog(layer, counts) for layer in subject.layers} | {"store": store}


def _cog(layer: Layer, counts: NDArray[Any] | None) -> Json:
    asset: Json = {
        "href": f"./{layer.name}.tif",
        "type": words.COG,
        "title": layer.title,
        "roles": roles_of(layer),
        "bands": [layer.band()],
    }
    return _described(asset, layer, counts)


def _described(document: Json, layer: Layer, counts: NDArray[Any] | None) -> Json:
    return document | {"classification:classes": classes(counts)} if layer.classes else document


def roles_of(layer: Layer) -> list[str]:
    """Return the roles of an asset."""
    if layer.classes:
        return ["data", "cloud", "cloud-shadow"]
    return ["data", "reflectance"] if layer.is_band else ["data", "metadata"]
