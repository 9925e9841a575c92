"""The bands of both sensors, and what the simulation knows of surfaces in them.

Spectra are read off typical field spectra (ECOSTRESS, LUCAS-like soils) and rounded: what matters is
their shape, since no test may depend on a particular number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.simulate.physics.noise import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """One spectral band."""

    role: str
    """STAC common name, as the assets are keyed."""
    product_name: str
    """Name in the file of the product: ``B8A``, ``SR_B5``."""
    title: str
    wavelength_um: float
    width_um: float
    gsd_m: int
    gas: float
    """Two-way transmittance of the absorbing gases."""
    regime: Literal["vnir", "swir16", "swir22"] = "vnir"
    """Spectral regime, which decides the co-albedo of clouds."""


def _sentinel2(
    role: str, name: str, centre: float, width: float, gsd_m: int, gas: float
) -> Band:
    return Band(
        role=role,
        product_name=name,
        title=f"{role} ({name}) - {gsd_m}m",
        wavelength_um=centre,
        width_um=width,
        gsd_m=gsd_m,
        gas=gas,
        regime=role if role in ("swir16", "swir22") else "vnir",  # type: ignore[arg-type]
    )


SENTINEL2: tuple[Band, ...] = (
    _sentinel2("blue", "B02", 0.490, 0.098, 10, 0.98),
    _sentinel2("green", "B03", 0.560, 0.045, 10, 0.95),
    _sentinel2("red", "B04", 0.665, 0.038, 10, 0.97),
    _sentinel2("rededge1", "B05", 0.704, 0.019, 20, 0.97),
    _sentinel2("rededge2", "B06", 0.740, 0.018, 20, 0.96),
    _sentinel2("rededge3", "B07", 0.783, 0.028, 20, 0.98),
    _sentinel2("nir", "B08", 0.842, 0.145, 10, 0.94),
    _sentinel2("nir08", "B8A", 0.865, 0.033, 20, 0.99),
    _sentinel2("swir16", "B11", 1.610, 0.143, 20, 0.98),
    _sentinel2("swir22", "B12", 2.190, 0.242, 20, 0.96),
)


def _landsat(role: str, number: int, centre: float, width: float, gas: float) -> Band:
    return Band(
        role=role,
        product_name=f"SR_B{number}",
        title=f"{role} (SR_B{number}) - 30m",
        wavelength_um=centre,
        width_um=width,
        gsd_m=30,
        gas=gas,
        regime=role if role in ("swir16", "swir22") else "vnir",  # type: ignore[arg-type]
    )


LANDSAT: tuple[Band, ...] = (
    _landsat("blue", 2, 0.48, 0.06, 0.98),
    _landsat("green", 3, 0.56, 0.06, 0.95),
    _landsat("red", 4, 0.65, 0.04, 0.97),
    _landsat("nir08", 5, 0.87, 0.03, 0.99),
    _landsat("swir16", 6, 1.61, 0.09, 0.98),
    _landsat("swir22", 7, 2.20, 0.19, 0.96),
)

ROLES: tuple[str, ...] = tuple(band.role for band in SENTINEL2)
"""Order of the columns of `SPECTRA`."""

# blue green red rededge1 rededge2 rededge3 nir nir08 swir16 swir22, reflectance
_TABLE = {
    "cereal": (0.030, 0.065, 0.032, 0.100, 0.320, 0.410, 0.430, 0.450, 0.200, 0.090),
    "maize": (0.028, 0.062, 0.028, 0.092, 0.300, 0.390, 0.420, 0.435, 0.180, 0.080),
    "beet": (0.030, 0.074, 0.030, 0.112, 0.370, 0.470, 0.490, 0.510, 0.200, 0.090),
    "rape": (0.032, 0.075, 0.036, 0.108, 0.310, 0.390, 0.410, 0.430, 0.190, 0.085),
    "grass": (0.034, 0.074, 0.044, 0.112, 0.270, 0.330, 0.360, 0.375, 0.220, 0.110),
    "deciduous": (0.022, 0.047, 0.022, 0.075, 0.280, 0.370, 0.400, 0.415, 0.175, 0.075),
    "conifer": (0.018, 0.035, 0.020, 0.053, 0.160, 0.205, 0.220, 0.230, 0.100, 0.046),
    "loam": (0.070, 0.100, 0.130, 0.150, 0.172, 0.190, 0.210, 0.228, 0.300, 0.260),
    "peat": (0.045, 0.060, 0.080, 0.095, 0.112, 0.126, 0.140, 0.155, 0.210, 0.180),
    "marl": (0.100, 0.140, 0.185, 0.205, 0.228, 0.246, 0.266, 0.280, 0.360, 0.330),
    "stubble": (0.080, 0.115, 0.160, 0.186, 0.220, 0.246, 0.270, 0.288, 0.355, 0.280),
    "roof": (0.115, 0.130, 0.150, 0.160, 0.180, 0.195, 0.205, 0.215, 0.235, 0.210),
    "asphalt": (0.080, 0.090, 0.100, 0.105, 0.115, 0.122, 0.128, 0.134, 0.150, 0.140),
    "lake": (0.030, 0.030, 0.016, 0.013, 0.009, 0.008, 0.007, 0.006, 0.003, 0.002),
    "river": (0.046, 0.060, 0.046, 0.036, 0.020, 0.019, 0.016, 0.014, 0.006, 0.004),
}

SPECTRA: dict[str, Floats] = {
    name: np.array(values, dtype=np.float32) for name, values in _TABLE.items()
}
"""Surface -> reflectance in each of `ROLES`."""
