"""STAC items and collections in the words of Earth Search v1, as plain JSON values.

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

from pipeline.simulate.bands import LANDSAT, SENTINEL2, Band
from pipeline.simulate.encode import LANDSAT_OFFSET, LANDSAT_SCALE
from pipeline.simulate.grids import CRS, EPSG, Window
from pipeline.simulate.story import Pass, Processing

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

_QA_FIELDS = (
    ("fill", 1),
    ("dilated_cloud", 1),
    ("cirrus", 1),
    ("cloud", 1),
    ("cloud_shadow", 1),
    ("snow", 1),
    ("clear", 1),
    ("water", 1),
    ("cloud_confidence", 2),
    ("cloud_shadow_confidence", 2),
    ("snow_confidence", 2),
    ("cirrus_confidence", 2),
)
_CONFIDENCES = ("not_set", "low", "medium", "high")


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What the pixels of an item turned out to hold."""

    footprint: BaseGeometry
    """Valid pixels, in metres of the archive's CRS."""
    nodata_percent: float
    shares: Mapping[str, float]
    """Per cent of the valid pixels: cloud, shadow, vegetation, bare, water, cirrus."""


# -- Sentinel-2 --------------------------------------------------------------------------------


def sentinel2_id(overflight: Pass, tile: str, processing: Processing) -> str:
    """Return the id that Earth Search would give: ``S2A_32UPU_20230603_0_L2A``."""
    day = f"{overflight.instant:%Y%m%d}"
    return f"{overflight.platform}_{tile}_{day}_{processing.sequence}_L2A"


def sentinel2_item(
    overflight: Pass, tile: str, processing: Processing, window: Window, content: Content
) -> Json:
    """Return an item; the hrefs are those of `sentinel2_assets`, beside it."""
    west_to_east = ("32UPU", "32UQU").index(tile)
    seen = overflight.instant + timedelta(seconds=west_to_east * 4)
    properties = {
        **_common(overflight, content, overflight.instant + processing.generated_after),
        **_sentinel2_product(overflight, tile, processing),
        **_sentinel2_shares(content),
        "datetime": _iso(seen),
        "constellation": "sentinel-2",
        "instruments": ["msi"],
        "mgrs:utm_zone": 32,
        "mgrs:latitude_band": "U",
        "mgrs:grid_square": tile[3:],
        "grid:code": f"MGRS-{tile}",
        "earthsearch:boa_offset_applied": processing.offset_applied,
    }
    return _item(
        sentinel2_id(overflight, tile, processing),
        "sentinel-2-l2a",
        properties,
        content,
        sentinel2_assets(processing, window),
    )


def sentinel2_assets(processing: Processing, window: Window) -> Json:
    """Return the assets of a tile; `window` is its 10 m grid."""
    assets = {
        band.role: {
            "href": f"./{band.product_name}.tif",
            "type": COG,
            "title": band.title,
            "eo:bands": [_eo_band(band, band.role)],
            "gsd": band.gsd_m,
            **_sentinel2_grid(window, band.gsd_m),
            "raster:bands": [
                {
                    "nodata": 0,
                    "data_type": "uint16",
                    "bits_per_sample": 15,
                    "spatial_resolution": band.gsd_m,
                    "scale": 0.0001,
                    "offset": processing.listed_offset,
                }
            ],
            "roles": ["data", "reflectance"],
        }
        for band in SENTINEL2
    }
    assets["scl"] = {
        "href": "./SCL.tif",
        "type": COG,
        "title": "Scene classification map (SCL)",
        **_sentinel2_grid(window, 20),
        "raster:bands": [{"nodata": 0, "data_type": "uint8", "spatial_resolution": 20}],
        "roles": ["data", "reflectance"],
    }
    return assets


def _sentinel2_grid(window: Window, gsd_m: int) -> Json:
    step = gsd_m // window.pixel_m
    return {
        "proj:shape": [window.height // step, window.width // step],
        "proj:transform": [gsd_m, 0, window.west_m, 0, -gsd_m, window.north_m],
    }


def _sentinel2_product(overflight: Pass, tile: str, processing: Processing) -> Json:
    generated = overflight.instant + processing.generated_after
    number = processing.baseline.replace(".", "")
    platform = overflight.platform
    take = f"{overflight.instant - timedelta(seconds=443):%Y%m%dT%H%M%S}"
    made = f"{generated:%Y%m%dT%H%M%S}"
    strip = f"S{overflight.instant - timedelta(seconds=110):%Y%m%dT%H%M%S}"
    # The station code is all that tells a reprocessing from a first processing.
    station = "S2RP" if processing.sequence else "2APS"
    return {
        "s2:product_type": "S2MSI2A",
        "s2:processing_baseline": processing.baseline,
        "s2:product_uri": f"{platform}_MSIL2A_{take}_N{number}_R065_T{tile}_{made}.SAFE",
        "s2:generation_time": _iso(generated),
        "s2:datatake_id": f"G{platform}_{take}_0{41000 + overflight.index}_N{processing.baseline}",
        "s2:datatake_type": "INS-NOBS",
        "s2:datastrip_id": f"{platform}_OPER_MSI_L2A_DS_{station}_{made}_{strip}_N{processing.baseline}",
        "s2:sequence": str(processing.sequence),
    }


def _sentinel2_shares(content: Content) -> Json:
    shares = content.shares
    return {
        "s2:nodata_pixel_percentage": round(content.nodata_percent, 6),
        "s2:cloud_shadow_percentage": round(shares["shadow"], 6),
        "s2:vegetation_percentage": round(shares["vegetation"], 6),
        "s2:not_vegetated_percentage": round(shares["bare"], 6),
        "s2:water_percentage": round(shares["water"], 6),
        "s2:thin_cirrus_percentage": round(shares["cirrus"], 6),
        "s2:snow_ice_percentage": 0,
    }


# -- Landsat -----------------------------------------------------------------------------------


def landsat_id(overflight: Pass) -> str:
    """Return the product's id: ``LC08_L2SP_193026_20230614_02_T1``."""
    return f"{overflight.platform}_L2SP_193026_{overflight.instant:%Y%m%d}_02_T1"


def landsat_item(overflight: Pass, window: Window, content: Content) -> Json:
    """Return an item; the hrefs are ``<id>_SR_B2.TIF`` and so on, beside it."""
    name = landsat_id(overflight)
    generated = overflight.instant + timedelta(days=9)
    satellite = overflight.platform[-1]
    properties = {
        **_common(overflight, content, generated),
        "datetime": _iso(overflight.instant),
        "platform": f"landsat-{satellite}",
        "instruments": ["oli", "tirs"],
        "gsd": 30,
        "proj:shape": [window.height, window.width],
        "proj:transform": [30, 0, window.west_m, 0, -30, window.north_m],
        "grid:code": "WRS2-193026",
        "landsat:cloud_cover_land": round(content.shares["cloud"], 2),
        "landsat:wrs_type": "2",
        "landsat:wrs_path": "193",
        "landsat:wrs_row": "026",
        "landsat:collection_category": "T1",
        "landsat:collection_number": "02",
        "landsat:correction": "L2SP",
        "landsat:scene_id": f"LC{satellite}193026{overflight.instant:%Y%j}LGN00",
        "landsat:product_generated": f"{generated:%Y-%m-%dT%H:%M:%SZ}",
    }
    assets = {band.role: _landsat_asset(name, band) for band in LANDSAT}
    assets["qa_pixel"] = _qa_asset(name)
    return _item(name, "landsat-c2-l2", properties, content, assets)


def _landsat_asset(name: str, band: Band) -> Json:
    return {
        "href": f"./{name}_{band.product_name}.TIF",
        "type": COG,
        "title": band.title,
        "eo:bands": [_eo_band(band, f"OLI_B{band.product_name[-1]}")],
        "raster:bands": [
            {
                "nodata": 0,
                "data_type": "uint16",
                "spatial_resolution": 30,
                "scale": LANDSAT_SCALE,
                "offset": LANDSAT_OFFSET,
            }
        ],
        "roles": ["data", "reflectance"],
    }


def _qa_asset(name: str) -> Json:
    fields = []
    offset = 0
    for field, length in _QA_FIELDS:
        words = _CONFIDENCES if length == 2 else (f"not_{field}", field)
        classes = [{"value": value, "name": word} for value, word in enumerate(words)]
        fields.append({"name": field, "offset": offset, "length": length, "classes": classes})
        offset += length
    return {
        "href": f"./{name}_QA_PIXEL.TIF",
        "type": COG,
        "title": "Pixel Quality Assessment Band",
        "classification:bitfields": fields,
        "raster:bands": [
            {"nodata": 1, "data_type": "uint16", "spatial_resolution": 30, "unit": "bit index"}
        ],
        "roles": ["cloud", "cloud-shadow", "snow-ice", "water-mask"],
    }


# -- both --------------------------------------------------------------------------------------


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
        "description": f"Simulated scenes in the manner of {name} on Earth Search v1.",
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


def _item(name: str, owner: str, properties: Json, content: Content, assets: Json) -> Json:
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


def _common(overflight: Pass, content: Content, generated: datetime) -> Json:
    return {
        "created": _iso(generated + timedelta(hours=2)),
        "updated": _iso(generated + timedelta(hours=2)),
        "platform": f"sentinel-{overflight.platform[1:].lower()}",
        "eo:cloud_cover": round(content.shares["cloud"], 6),
        "proj:epsg": EPSG,
        "view:sun_azimuth": round(math.degrees(overflight.sun.azimuth), 6),
        "view:sun_elevation": round(90 - math.degrees(overflight.sun.zenith), 6),
    }


def _eo_band(band: Band, name: str) -> Json:
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


def _iso(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%S}.{instant.microsecond // 1000:03d}000Z"
