"""STAC items, collections and the catalogue, as plain JSON values.

They are written as Earth Search serves them (STAC 1.0.0, ``proj:epsg``), not as today's pystac
would, because reading the real thing is what the archive is for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from pipeline.simulate.bands import Band
from pipeline.simulate.grids import CRS, EPSG
from pipeline.simulate.passes import Overflight

Json = dict[str, Any]

COG = "image/tiff; application=geotiff; profile=cloud-optimized"
_PREFIXES = {
    prefix: f"https://stac-extensions.github.io/{extension}/schema.json"
    for prefix, extension in {
        "classification": "classification/v1.0.0",
        "eo": "eo/v1.1.0",
        "grid": "grid/v1.1.0",
        "landsat": "landsat/v2.0.0",
        "mgrs": "mgrs/v1.0.0",
        "proj": "projection/v1.1.0",
        "raster": "raster/v1.1.0",
        "view": "view/v1.0.0",
    }.items()
}
"""Prefix of a field -> the extension that defines it, in the versions of Earth Search v1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Statistics of the pixels of an item."""

    footprint: BaseGeometry
    """Valid pixels, in metres of the archive's CRS."""
    nodata_percent: float
    shares: Mapping[str, float]
    """Per cent of the valid pixels: cloud, shadow, vegetation, bare, water, cirrus."""


def collection(name: str, items: Sequence[Json]) -> Json:
    """Return a collection of items, which lie in folders of their own below it."""
    boxes = [item["bbox"] for item in items]
    times = sorted(item["properties"]["datetime"] for item in items)
    extent = [*map(min, zip(*(box[:2] for box in boxes), strict=True))]
    extent += [*map(max, zip(*(box[2:] for box in boxes), strict=True))]
    return {
        "type": "Collection",
        "stac_version": "1.0.0",
        "id": name,
        "description": f"Simulated scenes, modelled on {name} of Earth Search v1.",
        "license": "CC0-1.0",
        "extent": {
            "spatial": {"bbox": [extent]},
            "temporal": {"interval": [[times[0], times[-1]]]},
        },
        "links": [
            _link("root", "../catalog.json"),
            _link("parent", "../catalog.json"),
            *(_link("item", f"./{item['id']}/{item['id']}.json") for item in items),
        ],
    }


def catalog(collections: Sequence[str]) -> Json:
    """Return the root, with collections in folders of their own below it."""
    return {
        "type": "Catalog",
        "stac_version": "1.0.0",
        "id": "cloudmask-simulated",
        "description": "One simulated summer with known truth (truth.zarr, beside this file).",
        "links": [
            _link("root", "./catalog.json"),
            *(_link("child", f"./{name}/collection.json") for name in collections),
        ],
    }


def stac_item(name: str, owner: str, properties: Json, content: Content, assets: Json) -> Json:
    """Return an item of a collection."""
    footprint = _to_degrees(content.footprint)
    fields = [*properties, *(field for asset in assets.values() for field in asset)]
    used = sorted({field.split(":")[0] for field in fields if ":" in field} & _PREFIXES.keys())
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [_PREFIXES[prefix] for prefix in used],
        "id": name,
        "collection": owner,
        "geometry": shapely.geometry.mapping(footprint),
        "bbox": [round(value, 6) for value in footprint.bounds],
        "properties": properties,
        "links": [
            _link("root", "../../catalog.json"),
            _link("parent", "../collection.json"),
            _link("collection", "../collection.json"),
        ],
        "assets": assets,
    }


def common_properties(overflight: Overflight, content: Content, generated: datetime) -> Json:
    """Return the properties that items of both sensors have."""
    return {
        "created": iso(generated + timedelta(hours=2)),
        "updated": iso(generated + timedelta(hours=2)),
        "platform": f"sentinel-{overflight.platform[1:].lower()}",
        "eo:cloud_cover": round(content.shares["cloud"], 6),
        "proj:epsg": EPSG,
        "view:sun_azimuth": round(math.degrees(overflight.sun.azimuth), 6),
        "view:sun_elevation": round(90 - math.degrees(overflight.sun.zenith), 6),
    }


def eo_band(band: Band, name: str) -> Json:
    """Return an entry of ``eo:bands``."""
    return {
        "name": name,
        "common_name": "rededge" if band.role.startswith("rededge") else band.role,
        "center_wavelength": band.wavelength_um,
        "full_width_half_max": band.width_um,
    }


def _to_degrees(footprint: BaseGeometry) -> BaseGeometry:
    # Straight lines of the grid are bent in degrees: corners alone would be metres off in between.
    transformer = pyproj.Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)

    def project(corners: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = transformer.transform(corners[:, 0], corners[:, 1])
        return np.column_stack([x, y])

    return shapely.transform(shapely.segmentize(footprint, 2000), project)


def _link(relation: str, href: str) -> Json:
    return {"rel": relation, "href": href, "type": "application/json"}


def iso(instant: datetime) -> str:
    """Return an instant as Earth Search writes it, to the millisecond."""
    return f"{instant:%Y-%m-%dT%H:%M:%S}.{instant.microsecond // 1000:03d}000Z"
