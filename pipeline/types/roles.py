"""Roles: bands by what they see."""

from __future__ import annotations

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
"""The common names of the STAC eo extension, rededge numbered."""

THERMAL_ROLES = frozenset({"lwir11", "lwir12"})
"""Roles whose values are temperatures in kelvin; all others are reflectances."""

REFLECTANCE_ROLES = tuple(role for role in ROLES if role not in THERMAL_ROLES)
"""Roles that a composite can have."""
