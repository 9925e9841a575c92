"""Which pass an item is of: its platform, its orbit where known, and its time.

A pass is one platform on one orbit. No property names the pass in all catalogues: of the 199 real
items that the tests have, 69 state a relative orbit, 63 a path, 47 have one of them only in the name of their
product and 20 have neither; 11 have no platform. But all have a time: so platform and time decide, and the
orbit where they cannot, as where only the day is known. `pipeline.run.common.passes` puts them together.

Time separates passes, because no two passes of one platform are near each other in time. A datatake of
Sentinel-2 lasts up to half an hour, and catalogues give its start (Planetary Computer, Copernicus Data Space)
or the time of each tile; rows of a Landsat path are 24 s apart. The same platform is back after an orbit of
99 minutes at the soonest. So two sightings of one platform within `SAME_PLATFORM` are of one pass, whichever
others there are: any order of finding them, and any part of them, gives the same passes.

Two platforms may pass minutes apart (Sentinel-2A and B since 2025: ten). Where the platform is unknown,
only what is `NEAR` is taken for one pass: two scenes of one pass cost little, two passes in one scene
lose the later.

An orbit that is stated decides where both sides state it: it comes back after five days at the
soonest, and items that know the day alone, as of LandsatLook's STAC 0.7, have all their paths at midnight.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from pipeline.errors import RadiometryError
from pipeline.sensors.names import Named, first, names_of, parse_name
from pipeline.sensors.profiles import PROFILES, profile

if TYPE_CHECKING:
    import pystac

FAMILIES = tuple(sorted({each.family for each in PROFILES.values()}))
"""Families of platforms that fly the same instrument."""


SAME_PLATFORM = timedelta(minutes=45)
"""Sightings of one platform that are this near are of one pass. It is longer than a datatake, half an hour, and
shorter than what is left of an orbit of 99 minutes."""

NEAR = timedelta(minutes=5)
"""The limit where a platform is unknown: a pass takes this long over 2000 km."""

SAME_ORBIT = timedelta(hours=36)
"""The limit where both state the same orbit: some items state only the day."""


class PassKey(Protocol):
    """What identifies a pass, beside the time."""

    @property
    def family(self) -> str:
        """As of `Sighting`."""
        ...

    @property
    def platform(self) -> str:
        """As of `Sighting`."""
        ...

    @property
    def orbit(self) -> str:
        """As of `Sighting`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One item, or one scene of a store, as a part of a pass."""

    sensor: str
    family: str
    """``sentinel-2`` or ``landsat``, of HLS too: a pass has one family. The sensor where the family is unknown."""
    platform: str
    """``sentinel-2a``; empty: unknown."""
    orbit: str
    """The orbit, as `Named.orbit`; empty: unknown."""
    time: datetime


def nearness(one: PassKey, other: PassKey) -> timedelta | None:
    """Return the time within which two are of one pass; None: they never are."""
    if one.family != other.family:
        return None
    both_platforms, both_orbits = one.platform and other.platform, one.orbit and other.orbit
    if both_platforms and one.platform != other.platform:
        return None
    if both_orbits:
        return SAME_ORBIT if one.orbit == other.orbit else None
    return SAME_PLATFORM if both_platforms else NEAR


def one_pass(one: Sighting, other: Sighting) -> bool:
    """Say whether two sightings are of one pass."""
    within = nearness(one, other)
    return within is not None and abs(one.time - other.time) < within


def sighting(item: pystac.Item) -> Sighting:
    """Return platform, orbit and time of an item. It must have a datetime; nothing else of it is trusted."""
    assert item.datetime is not None
    names = names_of(item)
    platform = platform_of(item, names)
    try:
        found = profile(item)
        sensor, family = found.sensor, found.family
    except RadiometryError:
        sensor = family = item.collection_id or "unknown"
    orbit = _orbit(item, names)
    # Datatakes divide an orbit: where the platform is known, time separates passes.
    return Sighting(
        sensor=sensor,
        family=family,
        platform=platform,
        orbit="" if platform and orbit.startswith("D") else orbit,
        time=item.datetime,
    )


def stored_sighting(sensor: str, time: datetime, platform: str, ids: Iterable[str]) -> Sighting:
    """Return the pass of a scene in a store, from what is stored of it.

    Parameters
    ----------
    sensor, time, ids
        As stored: the items' ids may tell the orbit.
    platform
        A platform, or a family where none was known.
    """
    names = [named for name in ids if (named := parse_name(name)) is not None]
    family = next((each for each in FAMILIES if platform.startswith(each)), sensor)
    known = "" if platform in (family, sensor) else platform
    orbits = {each.orbit for each in names if each.orbit}
    orbit = orbits.pop() if len(orbits) == 1 else ""
    return Sighting(
        sensor=sensor,
        family=family,
        platform=known,
        orbit="" if known and orbit.startswith("D") else orbit,
        time=time,
    )


def platform_of(item: pystac.Item, names: tuple[Named, ...] | None = None) -> str:
    """Return the platform of an item, ``sentinel-2a`` or ``landsat-8``; empty: unknown.

    Catalogues write Sentinel-2A, sentinel-2a and LANDSAT_8, or nothing; then the name of the
    product tells it, the satellite's number, or a collection that is of one platform.
    """
    properties = item.properties
    stated = properties.get("platform") or properties.get("eo:platform")
    written = _written(stated)
    if written and written not in FAMILIES:
        return written
    named = first(each.platform for each in (names_of(item) if names is None else names))
    number = properties.get("sat:platform_international_designator")
    return named or _DESIGNATED.get(str(number), "") or _of_collection(item.collection_id or "")


_DESIGNATED = {
    "2015-028A": "sentinel-2a",
    "2017-013A": "sentinel-2b",
    "2024-157A": "sentinel-2c",
    "1999-020A": "landsat-7",
    "2013-008A": "landsat-8",
    "2021-088A": "landsat-9",
}
"""COSPAR number -> platform."""

_SENTINEL = re.compile(r"(?:sentinel-?2|s2)-?([a-d])")
_LANDSAT = re.compile(r"(?:landsat|l[coetm]?)-?0?(\d)")
_ONE_PLATFORM = re.compile(r"(?:ga_)?(?:s2(?P<sentinel>[a-d])m|ls(?P<landsat>\d))[a-z]?_")


def _written(stated: object) -> str:
    if not isinstance(stated, str):
        return ""
    text = re.sub(r"[\s_]+", "-", stated.strip().lower())
    if match := _SENTINEL.fullmatch(text):
        return f"sentinel-2{match[1]}"
    if match := _LANDSAT.fullmatch(text):
        return f"landsat-{match[1]}"
    return text


def _of_collection(name: str) -> str:
    match = _ONE_PLATFORM.match(name)
    if match is None:
        return ""
    letter, number = match["sentinel"], match["landsat"]
    return f"sentinel-2{letter}" if letter else f"landsat-{number}"


def _orbit(item: pystac.Item, names: tuple[Named, ...]) -> str:
    properties = item.properties
    for name, mark in (("sat:relative_orbit", "R"), ("landsat:wrs_path", "P")):
        number = whole_number(properties.get(name))
        if number is not None:
            return f"{mark}{number}"
    return first(each.orbit for each in names) or ""


def whole_number(value: object) -> int | None:
    """Parse a whole number, ``22``, ``"022"`` or ``22.0``; None if it is not one."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return int(value) if 0 <= value < 1e6 and value == int(value) else None
    return int(value) if isinstance(value, str) and re.fullmatch(r"\d{1,6}", value) else None
