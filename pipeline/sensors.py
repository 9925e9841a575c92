"""Tables of what collections hold: which sensor, which bands, which numbers mean which reflectance.

Data, not code paths: a new collection is a new row of `PROFILES`; a new quirk of a catalogue's
numbers is a new row of `RULES`, each with a test and its source.

Reflectance = DN · scale + offset is decided per item, before items are mosaicked, because
metadata lies: the sensing date does not tell the processing, and some catalogues announce an
offset that they have already applied to the pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pystac

from pipeline.errors import RadiometryError

ROLES: tuple[str, ...] = (
    "coastal",
    "blue",
    "green",
    "red",
    "rededge1",
    "rededge2",
    "rededge3",
    "nir",
    "nir08",
    "swir16",
    "swir22",
    "cirrus",
    "lwir11",
    "lwir12",
)
"""Names of bands by what they see: the common names of the STAC eo extension, rededge numbered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Radiometry:
    """How the numbers of one item become reflectance: DN · scale + offset."""

    scale: float
    offset: float
    nodata: int
    """The DN that means no data; it stays no data through scaling."""
    reason: str
    """Which rule applied, and what in the item made it so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a collection holds."""

    sensor: str
    """Platform family; scenes are made of items of one family."""
    level: str
    """``L1C`` (top of atmosphere) or ``L2A`` (surface)."""
    assets: Mapping[str, tuple[str, ...]]
    """Role -> asset keys in order of preference. Two roles may share an asset: the narrow near
    infrared of Landsat serves as ``nir`` too."""
    rule: str
    """Row of `RULES`."""
    native_m: float
    """Finest native pixel."""

    def offered(self, item: pystac.Item) -> dict[str, str]:
        """Return role -> asset key for the roles that an item has."""
        found = {}
        for role, keys in self.assets.items():
            for key in keys:
                if key in item.assets:
                    found[role] = key
                    break
        return found


_SENTINEL_2_ASSETS = {
    "coastal": ("coastal", "B01"),
    "blue": ("blue", "B02", "B02_10m"),
    "green": ("green", "B03", "B03_10m"),
    "red": ("red", "B04", "B04_10m"),
    "rededge1": ("rededge1", "B05", "B05_20m"),
    "rededge2": ("rededge2", "B06", "B06_20m"),
    "rededge3": ("rededge3", "B07", "B07_20m"),
    "nir": ("nir", "B08", "B08_10m"),
    "nir08": ("nir08", "B8A", "B8A_20m"),
    "swir16": ("swir16", "B11", "B11_20m"),
    "swir22": ("swir22", "B12", "B12_20m"),
    "cirrus": ("cirrus", "B10"),
}
_LANDSAT_ASSETS = {
    "coastal": ("coastal",),
    "blue": ("blue",),
    "green": ("green",),
    "red": ("red",),
    "nir": ("nir08",),
    "nir08": ("nir08",),
    "swir16": ("swir16",),
    "swir22": ("swir22",),
    "lwir11": ("lwir11",),
}

PROFILES: dict[str, Profile] = {
    "sentinel-2-l2a": Profile(
        sensor="sentinel-2",
        level="L2A",
        assets=_SENTINEL_2_ASSETS,
        rule="sentinel-2-l2a",
        native_m=10.0,
    ),
    "sentinel-2-c1-l2a": Profile(
        sensor="sentinel-2",
        level="L2A",
        assets=_SENTINEL_2_ASSETS,
        rule="sentinel-2-baseline",
        native_m=10.0,
    ),
    "sentinel-2-l1c": Profile(
        sensor="sentinel-2",
        level="L1C",
        assets=_SENTINEL_2_ASSETS,
        rule="sentinel-2-baseline",
        native_m=10.0,
    ),
    "landsat-c2-l2": Profile(
        sensor="landsat",
        level="L2A",
        assets=_LANDSAT_ASSETS,
        rule="landsat-c2-sr",
        native_m=30.0,
    ),
}
"""Collection id -> what it holds."""


def profile(item: pystac.Item) -> Profile:
    """Return what an item's collection holds.

    Raises
    ------
    RadiometryError
        The collection has no row in `PROFILES`.
    """
    found = PROFILES.get(item.collection_id or "")
    if found is None:
        raise RadiometryError(
            f"item {item.id}: collection {item.collection_id!r} is not known; "
            f"known are {', '.join(sorted(PROFILES))}"
        )
    return found


def radiometry(item: pystac.Item) -> Radiometry:
    """Decide how an item's numbers become reflectance.

    Raises
    ------
    RadiometryError
        The collection is not known, or the item lacks what its rule needs.
    """
    return RULES[profile(item).rule](item)


def processing_baseline(item: pystac.Item) -> tuple[int, int] | None:
    """Return the Sentinel-2 processing baseline, e.g. (5, 9), or none where it is not stated."""
    text = item.properties.get("s2:processing_baseline") or item.properties.get(
        "processing:version"
    )
    if text is None:
        return None
    try:
        major, minor = str(text).split(".")[:2]
        return int(major), int(minor)
    except ValueError:
        return None


# -- rules -------------------------------------------------------------------------------------

OFFSET_SINCE = (4, 0)
"""Since processing baseline 04.00 Sentinel-2 products add 1000 to every DN, so that
reflectances below zero can be told (ESA, "Sentinel-2 Products Specification Document" 14.9,
BOA_ADD_OFFSET and RADIO_ADD_OFFSET)."""


def _sentinel_2(offset_applied: bool, reason: str) -> Radiometry:
    offset = 0.0 if offset_applied else -0.1
    return Radiometry(scale=1e-4, offset=offset, nodata=0, reason=reason)


def _baseline(item: pystac.Item) -> Radiometry:
    """Decide by the processing baseline alone: the pixels are as ESA made them."""
    baseline = processing_baseline(item)
    if baseline is None:
        raise RadiometryError(
            f"item {item.id}: no processing baseline, so nothing says whether 1000 was added to "
            "its numbers; expected the property s2:processing_baseline"
        )
    stated = f"processing baseline {baseline[0]:02d}.{baseline[1]:02d}"
    if baseline < OFFSET_SINCE:
        return _sentinel_2(True, f"{stated} is before 04.00: no offset in the pixels")
    return _sentinel_2(False, f"{stated} adds 1000 to the pixels: offset -0.1")


def _sentinel_2_l2a(item: pystac.Item) -> Radiometry:
    """Earth Search v1 shifts the pixels itself and says so in a flag; others leave them.

    Where the flag says that the shift was done, ``raster:bands`` may still announce -0.1
    (Element84/earth-search#9): the flag wins.
    """
    flag: Any = item.properties.get("earthsearch:boa_offset_applied")
    if flag is True:
        return _sentinel_2(True, "earthsearch:boa_offset_applied is true: already shifted")
    decided = _baseline(item)
    if flag is None:
        return decided
    return Radiometry(
        scale=decided.scale,
        offset=decided.offset,
        nodata=decided.nodata,
        reason=f"earthsearch:boa_offset_applied is false; {decided.reason}",
    )


def _landsat_c2_sr(item: pystac.Item) -> Radiometry:
    """Apply the one rule of Collection 2 surface reflectance.

    Source: USGS LSDS-1619, "Landsat 8-9 Collection 2 Level 2 Science Product Guide", table 6-1.
    """
    collection = item.properties.get("landsat:collection_number", "02")
    if str(collection) != "02":
        raise RadiometryError(
            f"item {item.id}: landsat:collection_number is {collection!r}, expected '02'; "
            "Collection 1 was scaled otherwise and has been withdrawn"
        )
    return Radiometry(
        scale=2.75e-5,
        offset=-0.2,
        nodata=0,
        reason="Landsat Collection 2 surface reflectance: DN × 2.75e-5 − 0.2",
    )


RULES: dict[str, Callable[[pystac.Item], Radiometry]] = {
    "sentinel-2-l2a": _sentinel_2_l2a,
    "sentinel-2-baseline": _baseline,
    "landsat-c2-sr": _landsat_c2_sr,
}
"""Name of a rule -> how it decides."""


# -- processing, newest kept -------------------------------------------------------------------


def acquisition_key(item: pystac.Item) -> tuple[str, ...]:
    """Say which acquisition an item is a processing of.

    Items with equal keys hold the same observation of the same ground, processed more than once.
    A Sentinel-2 product is told by platform, MGRS tile and the sensing time of its datastrip (two
    datastrips of one day, or of two ground stations, hold different pixels); a Landsat one by
    its path, row and date. Anything else is its own acquisition.
    """
    properties = item.properties
    platform = str(properties.get("platform", ""))
    datastrip = str(properties.get("s2:datastrip_id", ""))
    tile = properties.get("grid:code") or properties.get("s2:mgrs_tile")
    level = profile(item).level
    if datastrip and tile:
        return level, platform, str(tile), _sensing_start(datastrip)
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
        or properties.get("landsat:product_generated")
        or properties.get("created")
        or ""
    )
    return processing_baseline(item) or (0, 0), str(made), item.id
