"""Which items are processings of one acquisition, and which of them is the newest."""

from __future__ import annotations

from typing import Any

import pystac

from pipeline.sensors.metadata import processing_baseline
from pipeline.sensors.profiles import profile


def acquisition_key(item: pystac.Item) -> tuple[str, ...]:
    """Say which acquisition an item is a processing of.

    Items with equal keys hold the same observation of the same ground, processed more than once
    or served by more than one catalogue. A Sentinel-2 product is told by platform, MGRS tile and
    the sensing time of its datastrip (two datastrips of one day, or of two ground stations, hold
    different pixels); a Landsat one by its path, row and date. Anything else is its own.
    """
    properties = item.properties
    # Catalogues write Sentinel-2A, sentinel-2a and LANDSAT_8.
    platform = str(properties.get("platform") or properties.get("eo:platform") or "")
    platform = platform.lower().replace("_", "-")
    datastrip = properties.get("s2:datastrip_id") or properties.get("eopf:datastrip_id")
    tile = properties.get("grid:code") or properties.get("s2:mgrs_tile")
    level = profile(item).level
    if datastrip and tile:
        mgrs = str(tile).removeprefix("MGRS-")
        return level, platform, mgrs, _sensing_start(str(datastrip))
    scene = properties.get("landsat:scene_id")
    if scene:
        return level, platform, str(scene)[:16]
    return (item.collection_id or "", item.id)


def _sensing_start(datastrip: str) -> str:
    """Return ``20200302T102554`` of ``S2A_OPER_MSI_L2A_DS_MPS__20200302T140838_S20200302T102554_N02.14``."""
    for part in datastrip.split("_"):
        if part.startswith("S20") and "T" in part:
            return part[1:]
    return datastrip


def processing_rank(item: pystac.Item) -> tuple[Any, ...]:
    """Order processings of one acquisition: the greatest is the newest."""
    properties = item.properties
    made = (
        properties.get("s2:generation_time")
        or properties.get("processing:datetime")
        or properties.get("landsat:product_generated")
        or properties.get("created")
        or ""
    )
    return processing_baseline(item) or (0, 0), str(made), item.id
