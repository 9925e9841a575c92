"""How the numbers of an item become reflectance: a new quirk is a new row of `RULES`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from pipeline.errors import RadiometryError
from pipeline.sensors.conflicts import compared, reflectance_keys
from pipeline.sensors.metadata import origin, processing_baseline, stated_offsets
from pipeline.sensors.profiles import profile
from pipeline.sensors.recorded import recorded
from pipeline.sensors.types import Radiometry
from pipeline.types.roles import THERMAL_ROLES

if TYPE_CHECKING:
    import pystac


def radiometry(item: pystac.Item, role: str | None = None) -> Radiometry:
    """Decide how an item's numbers become reflectance, or kelvin for a thermal role.

    Parameters
    ----------
    item
        As its catalogue recorded it.
    role
        None: the radiometry of all of the item's reflectances.

    Raises
    ------
    RadiometryError
        The collection is not known, it has no such values, or the item lacks what its rule needs.
    """
    rules = THERMAL_RULES if role in THERMAL_ROLES else RULES
    name = profile(item).rule
    if name not in rules:
        wanted = "temperatures" if role in THERMAL_ROLES else "reflectances"
        raise RadiometryError(
            f"item {item.id}: collection {item.collection_id!r} has no {wanted} that can be "
            f"read (rule {name})"
        )
    # Pixels outrank metadata.
    settled = recorded(item) if rules is RULES else None
    return settled or rules[name](item)


# -- Sentinel-2 --------------------------------------------------------------------------------

OFFSET_SINCE = (4, 0)
"""Since processing baseline 04.00 Sentinel-2 products add 1000 to every DN, so that
reflectances below zero can be written (ESA, "Sentinel-2 Products Specification Document" 14.9,
BOA_ADD_OFFSET and RADIO_ADD_OFFSET)."""

MADE_BY_USERS = (90, 0)
"""Sen2Cor on a user's own machine, and test runs of ESA, number themselves 99.99 and the like
(``N9999`` in names): whether 1000 were added depends on the version and on the Level 1C."""

_FLAGS = ("earthsearch:boa_offset_applied", "sentinel:boa_offset_applied")
"""Of Earth Search v1 and v0."""


def _baseline(item: pystac.Item) -> Radiometry:
    """Decide by the processing baseline alone: the pixels are as ESA made them."""
    return compared(item, _by_baseline(item))


def _by_baseline(item: pystac.Item) -> Radiometry:
    baseline = processing_baseline(item)
    if baseline is None:
        raise RadiometryError(
            f"item {item.id}: no processing baseline, so nothing says whether 1000 was added to "
            "its numbers; expected the property s2:processing_baseline"
        )
    stated = f"processing baseline {baseline[0]:02d}.{baseline[1]:02d}"
    if baseline < OFFSET_SINCE:
        return _sentinel_2(0.0, f"{stated} is before 04.00: no offset in the pixels")
    if baseline >= MADE_BY_USERS:
        decided = _sentinel_2(-0.1, f"{stated} is no baseline of ESA's: taken for a recent one")
        return dataclasses.replace(decided, doubtful=True)
    return _sentinel_2(-0.1, f"{stated} adds 1000 to the pixels: offset -0.1")


def _sentinel_2(offset: float, reason: str) -> Radiometry:
    return Radiometry(scale=1e-4, offset=offset, nodata=0, reason=reason)


def _as_made(item: pystac.Item) -> Radiometry:
    """Decide by the baseline; of the Copernicus Data Space by what assets announce, if it is silent.

    Its files are ESA's own, its items announce raster:scale and raster:offset on every asset: but
    by a template of the collection, 1e-4 and -0.1 whatever the baseline (even of AOT_10m, which has
    neither; see item_assets of https://stac.dataspace.copernicus.eu/v1/collections/sentinel-2-l2a).
    """
    if origin(item) != "cdse" or processing_baseline(item) is not None:
        return _baseline(item)
    announced = stated_offsets(item, reflectance_keys(item))
    if not announced:
        return _by_baseline(item)
    if len(announced) > 1:
        raise RadiometryError(
            f"item {item.id}: its bands announce different scales and offsets, "
            f"{sorted(announced)}; one for all reflectances was expected"
        )
    scale, offset = announced.pop()
    return Radiometry(
        scale=scale,
        offset=offset,
        nodata=0,
        reason=f"no processing baseline; raster:scale {scale:g} and raster:offset {offset:g}",
        doubtful=True,
    )


def _sentinel_2_l2a(item: pystac.Item) -> Radiometry:
    """Earth Search shifts the pixels itself and sets a flag; others leave them.

    Where the flag says that the shift was done, ``raster:bands`` may still announce -0.1: the flag
    "is the truth" (Element84/earth-search#9). Where it says that it was not, though the baseline
    needs it, pixels have been found shifted all the same (Element84/earth-search#66, #71,
    cirrus-geo/cirrus-earth-search#33): the decision is doubtful. Version 0 has the flag since
    February 2022 and shifted what it had made since January by and by
    (cirrus-geo/cirrus-earth-search#21, #26): without a flag the baseline decides.

    Planetary Computer serves the pixels as ESA made them and does not state the offset
    (https://planetarycomputer.microsoft.com/dataset/sentinel-2-l2a#Baseline-Change,
    microsoft/PlanetaryComputer#134).
    """
    name = next((name for name in _FLAGS if item.properties.get(name) is not None), None)
    if name is None:
        return _unflagged(item)
    shifted = str(item.properties[name]).strip().lower() in ("true", "1", "1.0")
    if shifted:
        reason = f"{name} is true: already shifted"
        if any(offset for _, offset in stated_offsets(item, reflectance_keys(item))):
            reason += "; the offset in raster:bands is stale"
        return _sentinel_2(0.0, reason)
    decided = _by_baseline(item)
    return dataclasses.replace(
        decided,
        reason=f"{name} is false; {decided.reason}",
        doubtful=decided.offset != 0.0,
    )


def _unflagged(item: pystac.Item) -> Radiometry:
    decided = _as_made(item)
    if origin(item) in ("earth-search", "deafrica", "dep") and decided.offset != 0.0:
        return dataclasses.replace(
            decided,
            reason=f"{decided.reason}; no flag says whether the copy was shifted",
            doubtful=True,
        )
    return decided


# -- Landsat -----------------------------------------------------------------------------------


def _landsat_c2_sr(item: pystac.Item) -> Radiometry:
    """Apply the one rule of Collection 2 surface reflectance.

    Source: USGS LSDS-1619, "Landsat 8-9 Collection 2 Level 2 Science Product Guide", table 6-1,
    and LSDS-1618 of Landsat 4-7.
    """
    _require_collection_2(item)
    decided = Radiometry(
        scale=2.75e-5,
        offset=-0.2,
        nodata=0,
        reason="Landsat Collection 2 surface reflectance: DN × 2.75e-5 − 0.2",
    )
    return compared(item, decided)


def _require_collection_2(item: pystac.Item) -> None:
    collection = item.properties.get("landsat:collection_number", "02")
    if str(collection) not in ("02", "2"):
        raise RadiometryError(
            f"item {item.id}: landsat:collection_number is {collection!r}, expected '02'; "
            "Collection 1 was scaled otherwise and has been withdrawn"
        )


def _landsat_c2_temperature(item: pystac.Item) -> Radiometry:
    """Apply the one rule of Collection 2 surface temperature (LSDS-1619, table 6-1)."""
    _require_collection_2(item)
    return Radiometry(
        scale=0.00341802,
        offset=149.0,
        nodata=0,
        reason="Landsat Collection 2 surface temperature: DN × 0.00341802 + 149 K",
    )


def _landsat_c2_l1(item: pystac.Item) -> Radiometry:
    """Give top-of-atmosphere reflectance of OLI, whose coefficients are the same in every scene.

    REFLECTANCE_MULT 2.0E-05 and REFLECTANCE_ADD -0.1, divided by the sine of the sun's elevation at
    the scene's middle (USGS LSDS-1574, "Landsat 8 Data Users Handbook", section 5.2). Those of TM and
    ETM+ differ from scene to scene and stand in the MTL file alone; MSS likewise, and what its
    items announce in raster:bands is radiance.
    """
    _require_collection_2(item)
    properties = item.properties
    elevation = properties.get("view:sun_elevation", properties.get("eo:sun_elevation"))
    if not _is_oli(properties):
        raise RadiometryError(
            f"item {item.id}: collection {item.collection_id!r} of "
            f"{properties.get('platform', 'an unnamed platform')} holds radiances; their "
            "reflectance coefficients are in the MTL file, which is not read"
        )
    if not isinstance(elevation, int | float) or not 0 < elevation <= 90:
        raise RadiometryError(
            f"item {item.id}: view:sun_elevation is {elevation!r}, expected degrees above the "
            "horizon: reflectance at the top of the atmosphere is divided by its sine"
        )
    sine = math.sin(math.radians(elevation))
    return Radiometry(
        scale=2e-5 / sine,
        offset=-0.1 / sine,
        nodata=0,
        reason=f"Landsat Collection 2 Level 1 of OLI: (DN × 2e-5 − 0.1) / sin({elevation:g}°)",
    )


def _is_oli(properties: Mapping[str, object]) -> bool:
    stated = properties.get("instruments") or properties.get("eo:instrument") or ""
    return "oli" in str(stated).lower()


# -- others ------------------------------------------------------------------------------------


def _hls(item: pystac.Item) -> Radiometry:
    """Apply the one rule of HLS (LP DAAC, "HLS Product User Guide" v2.0, tables 10-12; v1.5 same).

    Sentinel-2's offset is gone before HLS is made: the baseline plays no part.
    """
    decided = Radiometry(
        scale=1e-4, offset=0.0, nodata=-9999, reason="HLS reflectance: DN × 1e-4"
    )
    return compared(item, decided)


def _hls_temperature(_: pystac.Item) -> Radiometry:
    """Bring brightness temperature, in hundredths of a degree Celsius, to kelvin (same tables)."""
    return Radiometry(
        scale=0.01,
        offset=273.15,
        nodata=-9999,
        reason="HLS brightness temperature: DN × 0.01 °C + 273.15 K",
    )


def _dea_nbart(item: pystac.Item) -> Radiometry:
    """Apply the one rule of Digital Earth Australia's Collection 3: made from Level 1 by itself.

    Source: https://knowledge.dea.ga.gov.au/data/product/dea-surface-reflectance-nbart-sentinel-2a-msi
    and the Landsat pages beside it: int16, scaled by 10 000, nodata -999.
    """
    decided = Radiometry(
        scale=1e-4,
        offset=0.0,
        nodata=-999,
        reason="Digital Earth Australia NBART reflectance: DN × 1e-4",
    )
    return compared(item, decided)


RULES: dict[str, Callable[[pystac.Item], Radiometry]] = {
    "sentinel-2-l2a": _sentinel_2_l2a,
    "sentinel-2-as-made": _as_made,
    "sentinel-2-baseline": _baseline,
    "landsat-c2-sr": _landsat_c2_sr,
    "landsat-c2-l1": _landsat_c2_l1,
    "hls": _hls,
    "dea-nbart": _dea_nbart,
}
"""Name of a rule -> how it decides about reflectances."""

THERMAL_RULES: dict[str, Callable[[pystac.Item], Radiometry]] = {
    "landsat-c2-sr": _landsat_c2_temperature,
    "landsat-c2-st": _landsat_c2_temperature,
    "hls": _hls_temperature,
}
"""Name of a rule -> how it decides about temperatures."""
