"""Sentinel-2 items as Earth Search writes them: v1's ``sentinel-2-l2a``."""

from __future__ import annotations

from datetime import timedelta

from pipeline.simulate.archive.stac import (
    COG,
    Content,
    Json,
    common_properties,
    eo_band,
    iso,
    stac_item,
)
from pipeline.simulate.bands import SENTINEL2
from pipeline.simulate.grids import Window
from pipeline.simulate.passes import TILES, Overflight, Processing


def sentinel2_id(overflight: Overflight, tile: str, processing: Processing) -> str:
    """Return the id that Earth Search would give: ``S2A_32UPU_20230603_0_L2A``."""
    day = f"{overflight.instant:%Y%m%d}"
    return f"{overflight.platform}_{tile}_{day}_{processing.sequence}_L2A"


def sentinel2_item(
    overflight: Overflight, tile: str, processing: Processing, window: Window, content: Content
) -> Json:
    """Return an item; the hrefs are those of `sentinel2_assets`, beside it."""
    west_to_east = TILES.index(tile)
    seen = overflight.instant + timedelta(seconds=west_to_east * 4)
    properties = {
        **common_properties(
            overflight, content, overflight.instant + processing.generated_after
        ),
        **_sentinel2_product(overflight, tile, processing),
        **_sentinel2_shares(content),
        "datetime": iso(seen),
        "constellation": "sentinel-2",
        "instruments": ["msi"],
        "mgrs:utm_zone": 32,
        "mgrs:latitude_band": "U",
        "mgrs:grid_square": tile[3:],
        "grid:code": f"MGRS-{tile}",
        "earthsearch:boa_offset_applied": processing.offset_applied,
    }
    return stac_item(
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
            "eo:bands": [eo_band(band, band.role)],
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


def _sentinel2_product(overflight: Overflight, tile: str, processing: Processing) -> Json:
    generated = overflight.instant + processing.generated_after
    number = processing.baseline.replace(".", "")
    platform = overflight.platform
    take = f"{overflight.instant - timedelta(seconds=443):%Y%m%dT%H%M%S}"
    made = f"{generated:%Y%m%dT%H%M%S}"
    strip = f"S{overflight.instant - timedelta(seconds=110):%Y%m%dT%H%M%S}"
    # Only the station code distinguishes a reprocessing from a first processing.
    station = "S2RP" if processing.sequence else "2APS"
    return {
        "s2:product_type": "S2MSI2A",
        "s2:processing_baseline": processing.baseline,
        "s2:product_uri": f"{platform}_MSIL2A_{take}_N{number}_R065_T{tile}_{made}.SAFE",
        "s2:generation_time": iso(generated),
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
