"""Bands of optical sensors, by centre and width of their spectral response.

Centres and widths are those of the operators' handbooks, rounded: ESA for Sentinel-2, Sentinel-3 SLSTR and
Proba-V, USGS for Landsat, CNES for VENµS, Planet for SuperDove; PeruSat-1's are those of SEnSeI's table
(Francis et al. 2022). A response is taken to be even over the width (`spectra.seen_by`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.simulate.bands import Band


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor:
    """A sensor as the simulation needs it."""

    name: str
    bands: tuple[Band, ...]
    pixels_m: tuple[float, float]
    """Finest and coarsest pixel at which its images are simulated."""
    ceiling: float
    """Reflectance at which its detectors saturate, about."""


_GAS_UM = (0.40, 0.49, 0.56, 0.61, 0.67, 0.74, 0.78, 0.84, 0.87, 1.02, 1.24, 1.61, 2.20)
_GAS = (0.99, 0.98, 0.95, 0.94, 0.97, 0.96, 0.98, 0.95, 0.99, 0.98, 0.97, 0.98, 0.96)
"""Two-way transmittance of ozone, water vapour and other gases in windows of the air."""


def band(role: str, centre_nm: float, width_nm: float) -> Band:
    """Make a band of a role, from nanometres."""
    centre = centre_nm / 1000
    # Clouds absorb from about 1.2 µm on; between the tabled regimes the nearer one counts.
    regime = "vnir" if centre < 1.4 else "swir16" if centre < 1.9 else "swir22"
    return Band(
        role=role,
        product_name=role,
        title=role,
        wavelength_um=centre,
        width_um=width_nm / 1000,
        gsd_m=10,
        gas=float(np.interp(centre, _GAS_UM, _GAS)),
        regime=regime,  # type: ignore[arg-type]
    )


def _sensor(
    name: str,
    pixels_m: tuple[float, float],
    bands: Mapping[str, tuple[float, float]],
    ceiling: float = 1.6,
) -> Sensor:
    made = tuple(band(role, *where) for role, where in bands.items())
    return Sensor(name=name, bands=made, pixels_m=pixels_m, ceiling=ceiling)


_ALL = (
    _sensor(
        "sentinel-2",
        (10, 60),
        {
            "coastal": (443, 21),
            "blue": (492, 66),
            "green": (560, 36),
            "red": (665, 31),
            "rededge1": (704, 15),
            "rededge2": (740, 15),
            "rededge3": (783, 20),
            "nir": (833, 106),
            "nir08": (865, 21),
            "swir16": (1614, 91),
            "swir22": (2202, 175),
        },
    ),
    _sensor(
        "landsat-8",
        (30, 60),
        {
            "coastal": (443, 16),
            "blue": (482, 60),
            "green": (561, 57),
            "red": (655, 37),
            "nir": (865, 28),
            "swir16": (1609, 85),
            "swir22": (2201, 187),
        },
        1.3,
    ),
    _sensor(
        "landsat-7",
        (30, 60),
        {
            "blue": (479, 70),
            "green": (561, 80),
            "red": (661, 60),
            "nir": (835, 120),
            "swir16": (1650, 200),
            "swir22": (2210, 270),
        },
        0.8,
    ),
    _sensor(
        "landsat-5",
        (30, 60),
        {
            "blue": (485, 66),
            "green": (569, 82),
            "red": (660, 67),
            "nir": (840, 128),
            "swir16": (1676, 217),
            "swir22": (2223, 252),
        },
        0.8,
    ),
    _sensor(
        "venus",
        (10, 20),
        {
            "coastal": (443, 40),
            "blue": (490, 40),
            "green": (555, 40),
            "red": (667, 30),
            "rededge1": (702, 24),
            "rededge2": (742, 16),
            "rededge3": (782, 16),
            "nir08": (865, 40),
        },
        1.2,
    ),
    _sensor(
        "superdove",
        (10, 20),
        {
            "coastal": (443, 20),
            "blue": (490, 50),
            "green": (565, 36),
            "red": (665, 31),
            "rededge1": (705, 15),
            "nir": (865, 40),
        },
        1.2,
    ),
    _sensor(
        "proba-v",
        (60, 100),
        {"blue": (464, 46), "red": (655, 79), "nir": (837, 145), "swir16": (1603, 60)},
        1.2,
    ),
    _sensor(
        "slstr",
        (60, 100),
        {"green": (555, 20), "red": (659, 20), "nir08": (868, 20), "swir16": (1613, 60)},
    ),
    _sensor(
        "perusat",
        (10, 10),
        {"blue": (485, 70), "green": (560, 80), "red": (660, 70), "nir": (825, 130)},
    ),
)

SENSORS: Mapping[str, Sensor] = {each.name: each for each in _ALL}

KEPT_BACK = ("proba-v", "slstr", "perusat")
"""Training leaves them out unless it names them: they test whether a network is independent of the sensor."""
