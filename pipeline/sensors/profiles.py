"""Collection -> its bands and their meaning: a new collection is a new row of `PROFILES`, with a test."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pipeline.errors import RadiometryError
from pipeline.sensors import bands, qa
from pipeline.sensors.types import Limits, Profile

if TYPE_CHECKING:
    import pystac

_ESA = Limits(saturated=(65535, 64535))
"""65535 is SATURATED of the special values in MTD_MSIL1C.xml and MTD_MSIL2A.xml (ESA, "Sentinel-2 Products
Specification Document" 14.9, Special_Values), and 64535 the same in copies that are shifted by 1000; numbers
that wrapped in such a copy lie above it."""

_USGS = Limits(largest=1.6)
"""Numbers of Collection 2 surface reflectance are 1 … 65455 (USGS LSDS-1619 and LSDS-1618, table 6-1)."""

_USGS_TOA = Limits(possible=math.inf, saturated=(65535,))
"""QUANTIZE_CAL_MAX is 65535: a detector at its end (USGS LSDS-1822, "Landsat 8-9 OLI/TIRS Level 1"). Under a
low sun that may be any reflectance."""

_L30_LIMITS = Limits(saturated=(12000,))
"""The saturation flag of HLS L30 (https://hls.gsfc.nasa.gov/products-description/l30/); S30 has none."""

_LANDSAT_CORNER_M = 15.0
"""Collection 2 puts the middles of pixels on multiples of 30 m (USGS LSDS-1619, section 2)."""


def _sentinel_2(level: str, rule: str) -> Profile:
    return Profile(
        sensor="sentinel-2",
        family="sentinel-2",
        level=level,
        assets=bands.SENTINEL_2,
        rule=rule,
        native_m=10.0,
        role_m=bands.SENTINEL_2_M,
        correction="esa",
        limits=_ESA,
        flags=qa.SCL_FLAGS,
        qa=bands.SENTINEL_2_QA if level == "L2A" else {},
    )


def _landsat(level: str, assets: bands.Assets, rule: str, instrument: str = "") -> Profile:
    return Profile(
        sensor="landsat",
        family="landsat",
        level=level,
        assets=assets,
        rule=rule,
        native_m=30.0,
        correction="usgs",
        limits=_USGS_TOA if level == "L1C" else _USGS,
        flags=qa.RADSAT_FLAGS[instrument],
        corner_m=_LANDSAT_CORNER_M,
        qa=bands.LANDSAT_QA,
    )


def _hls(family: str, assets: bands.Assets, limits: Limits) -> Profile:
    return Profile(
        sensor="hls",
        family=family,
        level="L2A",
        assets=assets,
        rule="hls",
        native_m=30.0,
        correction="hls",
        limits=limits,
        qa=bands.HLS_QA,
    )


def _dea(sensor: str, assets: bands.Assets, native_m: float) -> Profile:
    return Profile(
        sensor=sensor,
        family=sensor,
        level="L2A",
        assets=assets,
        rule="dea-nbart",
        native_m=native_m,
        role_m=bands.SENTINEL_2_M if sensor == "sentinel-2" else {},
        correction="nbart",
        corner_m=_LANDSAT_CORNER_M if sensor == "landsat" else 0.0,
        qa=bands.DEA_QA,
    )


_SR = "landsat-c2-sr"
_OLI = _landsat("L2A", bands.landsat_numbered(bands.OLI_NUMBERS), _SR, "oli")
_TM = _landsat("L2A", bands.landsat_numbered(bands.TM_NUMBERS), _SR, "tm")
_L1 = _landsat("L1C", bands.LANDSAT_L1, "landsat-c2-l1")
_L1_OLI = _landsat("L1C", bands.LANDSAT_L1_OLI, "landsat-c2-l1", "oli")
_ST = _landsat("ST", bands.LANDSAT_TEMPERATURE, "landsat-c2-st")
_NAMED = _landsat("L2A", bands.LANDSAT, _SR)
_L30 = _hls("landsat", bands.HLS_L30, _L30_LIMITS)
_S30 = _hls("sentinel-2", bands.HLS_S30, Limits())
_BASELINE = "sentinel-2-baseline"

PROFILES: dict[str, Profile] = {
    # -- Sentinel-2. One id, several catalogues: Earth Search v1, Planetary Computer, Copernicus
    # Data Space and, copied from Earth Search, Digital Earth Africa: the rule tells them apart.
    "sentinel-2-l2a": _sentinel_2("L2A", "sentinel-2-l2a"),
    "sentinel-2-l1c": _sentinel_2("L1C", "sentinel-2-as-made"),
    # Earth Search v1, Collection 1 (baseline 05.00 on) and what it has of older processing
    "sentinel-2-c1-l2a": _sentinel_2("L2A", _BASELINE),
    "sentinel-2-pre-c1-l2a": _sentinel_2("L2A", _BASELINE),
    # Earth Search v0
    "sentinel-s2-l2a-cogs": _sentinel_2("L2A", "sentinel-2-l2a"),
    # Digital Earth Africa: copies of Earth Search v0 and of its Collection 1
    "s2_l2a": _sentinel_2("L2A", "sentinel-2-l2a"),
    "s2_l2a_c1": _sentinel_2("L2A", _BASELINE),
    # Items that no catalogue names, made by stactools from products as ESA delivers them
    "S2MSI2A": _sentinel_2("L2A", _BASELINE),
    "S2MSI1C": _sentinel_2("L1C", _BASELINE),
    # -- Landsat Collection 2. `@` and an instrument: where bands may be numbered.
    # Earth Search v1 and Planetary Computer
    "landsat-c2-l2": _NAMED,
    "landsat-c2-l2@oli": _OLI,
    "landsat-c2-l2@etm": _TM,
    "landsat-c2-l2@tm": _TM,
    "landsat-8-c2-l2": _OLI,
    "landsat-c2-l1": _L1,
    "landsat-c2-l1@oli": _L1_OLI,
    # USGS LandsatLook
    "landsat-c2l2-sr": _NAMED,
    "landsat-c2l2-sr@oli": _OLI,
    "landsat-c2l2-sr@etm": _TM,
    "landsat-c2l2-sr@tm": _TM,
    "landsat-c2l2-st": _ST,
    "landsat-c2l1": _L1,
    "landsat-c2l1@oli": _L1_OLI,
    # Digital Earth Africa
    "ls5_sr": _TM,
    "ls7_sr": _TM,
    "ls8_sr": _OLI,
    "ls9_sr": _OLI,
    # -- Harmonized Landsat Sentinel-2: Planetary Computer, CMR-STAC (old ids and new), stactools
    "hls2-l30": _L30,
    "hls2-s30": _S30,
    **{f"HLSL30{version}": _L30 for version in ("", ".v1.5", ".v2.0", "_2.0", ".002")},
    **{f"HLSS30{version}": _S30 for version in ("", ".v1.5", ".v2.0", "_2.0", ".002")},
    "hls@l30": _L30,
    "hls@s30": _S30,
    # -- Digital Earth Australia, analysis-ready Collection 3
    **{
        f"ga_s2{platform}m_ard_3": _dea("sentinel-2", bands.DEA_SENTINEL_2, 10.0)
        for platform in "abc"
    },
    **{
        f"ga_ls{platform}_ard_3": _dea("landsat", bands.DEA_LANDSAT, 30.0)
        for platform in ("5t", "7e", "8c", "9c")
    },
}
"""Collection id, or id ``@`` instrument, -> its bands and their meaning."""


def is_known(item: pystac.Item) -> bool:
    """Whether an item's collection has a row in `PROFILES`, or the item itself identifies its row."""
    return any(row in PROFILES for row in _rows(item))


def sensors_of(collection: str) -> set[str]:
    """Return the sensors of a collection; none: it has no row in `PROFILES`."""
    return {each.sensor for row, each in PROFILES.items() if row.split("@")[0] == collection}


def profile(item: pystac.Item) -> Profile:
    """Return the profile of an item's collection.

    Raises
    ------
    RadiometryError
        The collection has no row in `PROFILES`, and the item does not say what it is.
    """
    for row in _rows(item):
        if row in PROFILES:
            return PROFILES[row]
    known = sorted({row.split("@")[0] for row in PROFILES})
    raise RadiometryError(
        f"item {item.id}: collection {item.collection_id!r} is not known; "
        f"known are {', '.join(known)}"
    )


def _rows(item: pystac.Item) -> Iterator[str | None]:
    """Yield the rows that may hold an item, the most exact first."""
    name = item.collection_id or ""
    yield f"{name}@{_variant(item.properties)}"
    yield name
    yield _self_described(item)


def _self_described(item: pystac.Item) -> str:
    """Return the row of an item whose collection is unknown, from its own properties.

    Sentinel-2 products say their type whatever collection a user put them in; an item of Digital
    Earth Australia names its product. Nothing else is guessed.
    """
    product_type = item.properties.get("s2:product_type")
    if product_type in ("S2MSI1C", "S2MSI2A"):
        return str(product_type)
    return "" if item.collection_id else str(item.properties.get("odc:product", ""))


_INSTRUMENTS = ("oli", "etm", "mss", "tm")
_OF_PLATFORM = {
    **dict.fromkeys("89", "oli"),
    "7": "etm",
    # They carried MSS too, of which there is no Level 2; Level 1 of either is refused alike.
    **dict.fromkeys("45", "tm"),
    **dict.fromkeys("123", "mss"),
}


def _variant(properties: Mapping[str, object]) -> str:
    """Return the Landsat instrument, or which of the two HLS products, an item is of."""
    product = str(properties.get("hls:product", ""))
    if product:
        return product[-3:].lower()
    stated = properties.get("instruments") or properties.get("eo:instrument") or ""
    names = re.split(r"[^a-z]+", str(stated).lower())
    for instrument in _INSTRUMENTS:
        if instrument in names:
            return instrument
    platform = str(properties.get("platform") or properties.get("eo:platform") or "")
    return _OF_PLATFORM.get(platform[-1:], "") if "landsat" in platform.lower() else ""
