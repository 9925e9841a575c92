"""Makes one collection per group of the store, and the catalogue of all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import shapely
import xarray as xr

from pipeline.publish import words
from pipeline.publish.items import roles_of
from pipeline.publish.layers import Layer, classes
from pipeline.publish.provenance import Provenance, software, zarr_asset
from pipeline.publish.region import bounds, projection
from pipeline.publish.words import Json, instant
from pipeline.types import LEGEND


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """The subject of a collection: one group of the store."""

    id: str
    title: str
    description: str
    group: str
    data: xr.Dataset
    """The group's dataset, lazy."""
    layers: Sequence[Layer]


def collection_of(
    kind: Kind, items: Sequence[Json], provenance: Provenance, folder: Path, *, cogs: bool
) -> Json:
    """Return a collection.

    Parameters
    ----------
    kind
        Its subject.
    items
        Its items; at least one.
    provenance
        The origin of its pixels.
    folder
        The folder that it will be written to.
    cogs
        Whether the layers are files beside the items.
    """
    made = instant(provenance.snapshot_time)
    store = zarr_asset(provenance.archive, kind.group, folder)
    store["cloudmask:snapshot"] = provenance.archive.snapshot
    store |= projection(provenance.archive.grid.geobox)
    document: Json = {
        "type": "Collection",
        "stac_version": words.STAC_VERSION,
        "stac_extensions": [],
        "id": kind.id,
        "title": kind.title,
        "description": kind.description,
        # The licence is for whoever runs cloudmask to choose; the store has none.
        "license": "other",
        "providers": [
            {"name": "cloudmask", "roles": ["processor"], "processing:software": software()}
        ],
        "created": made,
        "updated": made,
        "extent": _extent(items),
        "summaries": _summaries(items),
        "cube:dimensions": _dimensions(kind.data, provenance),
        "cube:variables": _variables(kind.data),
        "cloudmask:snapshot": provenance.archive.snapshot,
        "links": [
            words.link("root", "../catalog.json"),
            words.link("parent", "../catalog.json"),
            *(words.link("item", f"./{i['id']}/{i['id']}.json", words.GEOJSON) for i in items),
        ],
        "assets": {"store": store},
    }
    if cogs:
        document["item_assets"] = _item_assets(kind)
    return words.with_extensions(document)


def catalogue_of(
    name: str, title: str, collections: Iterable[Json], provenance: Provenance
) -> Json:
    """Return the catalogue of all collections."""
    made = instant(provenance.snapshot_time)
    return {
        "type": "Catalog",
        "stac_version": words.STAC_VERSION,
        "id": name,
        "title": title or name,
        "description": f"Cloud masks and composites of the archive {title or name}, by cloudmask.",
        "created": made,
        "updated": made,
        "cloudmask:snapshot": provenance.archive.snapshot,
        "links": [
            words.link("root", "./catalog.json"),
            *(
                words.link("child", f"./{each['id']}/collection.json", title=each["title"])
                for each in collections
            ),
        ],
    }


# -- parts -------------------------------------------------------------------------------------


def _extent(items: Sequence[Json]) -> Json:
    outlines = [shapely.geometry.shape(item["geometry"]) for item in items]
    properties = [item["properties"] for item in items]
    # The texts have one format and zone, so that they sort by time, except for microseconds.
    starts = [each["datetime"] or each["start_datetime"] for each in properties]
    ends = [each["datetime"] or each["end_datetime"] for each in properties]
    return {
        "spatial": {"bbox": [bounds(shapely.union_all(outlines))]},
        "temporal": {
            "interval": [
                [
                    instant(min(map(datetime.fromisoformat, starts))),
                    instant(max(map(datetime.fromisoformat, ends))),
                ]
            ]
        },
    }


def _summaries(items: Sequence[Json]) -> Json:
    found: Json = {}
    for name in ("platform", "constellation", "gsd", "proj:code", "processing:level"):
        values = {item["properties"].get(name) for item in items} - {None}
        if values:
            found[name] = sorted(values)
    for name in ("cloudmask:clear_percent", "cloudmask:observed_percent"):
        numbers = [i["properties"][name] for i in items if name in i["properties"]]
        if numbers:
            found[name] = {"minimum": min(numbers), "maximum": max(numbers)}
    return found


def _item_assets(kind: Kind) -> Json:
    return {
        layer.name: {
            "type": words.COG,
            "title": layer.title,
            "roles": roles_of(layer),
            "bands": [layer.band()],
        }
        | ({"classification:classes": classes()} if layer.classes else {})
        for layer in kind.layers
    }


def _dimensions(data: xr.Dataset, provenance: Provenance) -> Json:
    geobox = provenance.archive.grid.geobox
    crs = geobox.crs
    assert crs is not None, "a grid has a CRS"
    box = geobox.boundingbox
    system: Any = crs.epsg or crs.to_wkt()
    half_x, half_y = abs(geobox.resolution.x) / 2, abs(geobox.resolution.y) / 2
    dimensions: Json = {
        # Extents of pixel centres, as in the coordinates.
        "x": _axis("x", [box.left + half_x, box.right - half_x], geobox.resolution.x, system),
        "y": _axis("y", [box.bottom + half_y, box.top - half_y], geobox.resolution.y, system),
        "time": _time(data),
    }
    for name, length in data.sizes.items():
        if name == "class":
            dimensions["class"] = {"type": "bands", "values": [e.meaning for e in LEGEND]}
        elif name in ("tile_y", "tile_x"):
            dimensions[str(name)] = {
                "type": "tile",
                "description": f"tiles of {data.attrs['tile_px']} pixels",
                "extent": [0, length - 1],
                "step": 1,
            }
    return dimensions


def _axis(axis: str, extent: list[float], step: float, system: object) -> Json:
    return {
        "type": "spatial",
        "axis": axis,
        "extent": [float(edge) for edge in extent],
        "step": float(step),
        "reference_system": system,
    }


def _time(data: xr.Dataset) -> Json:
    times = data["time"].to_numpy().astype("datetime64[us]").tolist()
    texts = [instant(each.replace(tzinfo=UTC)) for each in times]
    # No step, because neither scenes nor months are equidistant.
    return {"type": "temporal", "extent": [texts[0], texts[-1]], "values": texts, "step": None}


def _variables(data: xr.Dataset) -> Json:
    found: Json = {}
    # Sorted, because a group lists its arrays in any order.
    for name, variable in sorted(data.data_vars.items(), key=lambda each: str(each[0])):
        if not set(variable.dims) <= {"time", "y", "x", "tile_y", "tile_x", "class"}:
            continue
        dtype = variable.encoding.get("dtype", variable.dtype)
        described: Json = {
            "dimensions": [str(dim) for dim in variable.dims],
            "type": "data" if "y" in variable.dims else "auxiliary",
            "cloudmask:data_type": str(np.dtype(dtype))
            if np.dtype(dtype).kind in "iuf"
            else "string",
        }
        if "long_name" in variable.attrs:
            described["description"] = str(variable.attrs["long_name"])
        if "units" in variable.attrs:
            described["unit"] = str(variable.attrs["units"])
        found[str(name)] = described
    return found
