"""Words of the tables: roles, what a collection holds, how numbers become reflectance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
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
    "nir09",
    "swir16",
    "swir22",
    "cirrus",
    "lwir11",
    "lwir12",
)
"""Names of bands by what they see: the common names of the STAC eo extension, rededge numbered."""

THERMAL_ROLES = frozenset({"lwir11", "lwir12"})
"""Roles whose values are temperatures in kelvin; all others are reflectances."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Radiometry:
    """How the numbers of one item become reflectance (or kelvin): DN · scale + offset."""

    scale: float
    offset: float
    nodata: int
    """The DN that means no data; it stays no data through scaling."""
    reason: str
    """Which rule applied, and what in the item made it so."""
    doubtful: bool = False
    """What the item says cannot be trusted: it contradicts itself, or is known to be wrong at
    times. The pixels should be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a collection holds."""

    sensor: str
    """Whose items one model masks and one group of the store holds; a scene is of one."""
    family: str
    """Which platforms fly its instrument, ``sentinel-2`` or ``landsat``: HLS has both."""
    level: str
    """``L1C`` (top of atmosphere), ``L2A`` (surface) or ``ST`` (surface temperature alone)."""
    assets: Mapping[str, tuple[str, ...]]
    """Role -> asset keys in order of preference. Two roles may share an asset: the narrow near
    infrared of Landsat serves as ``nir`` too."""
    rule: str
    """Row of `RULES`."""
    native_m: float
    """Finest native pixel."""
    correction: str
    """Whose reflectances they are: ``esa``, ``usgs``, ``hls`` or ``nbart``. At the surface those of
    one sensor differ between corrections (view angle, terrain, atmosphere), so that a job takes one."""
    role_m: Mapping[str, float] = field(default_factory=dict)
    """Native pixel of each role, in metres, where they differ."""
    saturated: int | None = None
    """The DN that means saturated, where the product has one."""
    qa: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Kind of mask, a name in `pipeline.sensors.qa`, -> asset keys in order of preference."""

    def offered(self, item: pystac.Item) -> dict[str, str]:
        """Return role -> asset key for the roles that an item has."""
        return _first_present(self.assets, item)

    def resolution_m(self, role: str) -> float:
        """Return the native pixel of a role, in metres: bands are finest where this is `native_m`.

        Thermal bands of Landsat and HLS come resampled to 30 m, which is what is returned.
        """
        return self.role_m.get(role, self.native_m)

    def masks(self, item: pystac.Item) -> dict[str, str]:
        """Return kind of mask -> asset key for the masks that an item has."""
        return _first_present(self.qa, item)

    def band(self, item: pystac.Item, role: str) -> int:
        """Return which band of its asset a role is, counted from 1.

        Raises
        ------
        RadiometryError
            The asset holds several bands, and none is said to be the role's.
        """
        asset = item.assets[self.offered(item)[role]]
        described = list(described_bands(asset))
        if len(described) < 2:
            return 1
        wanted = {role, *self.assets[role]}
        for position, band in enumerate(described, start=1):
            names = (band.get(name) for name in ("name", "common_name", "eo:common_name"))
            if any(isinstance(name, str) and name in wanted for name in names):
                return position
        raise RadiometryError(
            f"item {item.id}: the asset of {role} holds {len(described)} bands, none is called "
            f"{' or '.join(sorted(wanted))}"
        )


def described_bands(asset: pystac.Asset) -> Iterator[Mapping[str, Any]]:
    """Yield the descriptions of an asset's bands: ``bands`` of STAC 1.1, ``eo:bands`` before."""
    for name in ("bands", "eo:bands"):
        listed = asset.extra_fields.get(name)
        # LandsatLook's STAC 0.7 lists positions in the item's own list instead.
        positions = listed if isinstance(listed, list) else []
        found = [band for band in positions if isinstance(band, Mapping)]
        if found:
            yield from found
            return


def _first_present(wanted: Mapping[str, tuple[str, ...]], item: pystac.Item) -> dict[str, str]:
    found = {}
    # Exact keys first; some catalogues write `b02` or `Scl`.
    spelled: dict[str, str] | None = None
    for name, keys in wanted.items():
        key = next((key for key in keys if key in item.assets), None)
        if key is None:
            spelled = spelled or {key.casefold(): key for key in item.assets}
            key = next((spelled[k] for k in map(str.casefold, keys) if k in spelled), None)
        if key is not None:
            found[name] = key
    return found
