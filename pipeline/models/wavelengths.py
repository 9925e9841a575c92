"""Wavelengths of the optical roles, for networks that know bands by their wavelengths."""

from __future__ import annotations

from collections.abc import Mapping

ROLE_UM: Mapping[str, tuple[float, float]] = {
    "coastal": (0.443, 0.020),
    "blue": (0.490, 0.065),
    "green": (0.560, 0.040),
    "red": (0.662, 0.033),
    "rededge1": (0.704, 0.015),
    "rededge2": (0.740, 0.015),
    "rededge3": (0.783, 0.020),
    "nir": (0.840, 0.110),
    "nir08": (0.865, 0.025),
    "swir16": (1.612, 0.090),
    "swir22": (2.202, 0.180),
}
"""Role -> centre and width, µm, averaged over the sensors that have it."""
