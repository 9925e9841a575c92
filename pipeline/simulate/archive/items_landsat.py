"""Landsat items as Earth Search writes them: v1's ``landsat-c2-l2``."""

from __future__ import annotations

from datetime import timedelta

from pipeline.simulate.archive.encode import LANDSAT_OFFSET, LANDSAT_SCALE
from pipeline.simulate.archive.stac import (
    COG,
    Content,
    Json,
    common_properties,
    eo_band,
    iso,
    stac_item,
)
from pipeline.simulate.bands import LANDSAT, Band
from pipeline.simulate.grids import Window
from pipeline.simulate.passes import Overflight

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


def landsat_id(overflight: Overflight) -> str:
    """Return the product's id: ``LC08_L2SP_193026_20230614_02_T1``."""
    return f"{overflight.platform}_L2SP_193026_{overflight.instant:%Y%m%d}_02_T1"


def landsat_item(overflight: Overflight, window: Window, content: Content) -> Json:
    """Return an item; the hrefs are ``<id>_SR_B2.TIF`` and so on, beside it."""
    name = landsat_id(overflight)
    generated = overflight.instant + timedelta(days=9)
    satellite = overflight.platform[-1]
    properties = {
        **common_properties(overflight, content, generated),
        "datetime": iso(overflight.instant),
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
    return stac_item(name, "landsat-c2-l2", properties, content, assets)


def _landsat_asset(name: str, band: Band) -> Json:
    return {
        "href": f"./{name}_{band.product_name}.TIF",
        "type": COG,
        "title": band.title,
        "eo:bands": [eo_band(band, f"OLI_B{band.product_name[-1]}")],
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
