"""The clear atmosphere: Rayleigh and aerosol scattering above a flat ground, band by band.

Formulas are single-scattering approximations with effective two-way factors; they are within a few
per cent of a real code for an aerosol optical depth below about 0.4, which is enough here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pipeline.simulate.bands import Band
from pipeline.simulate.physics.noise import Floats

RAYLEIGH_HEIGHT_M = 8000.0
AEROSOL_HEIGHT_M = 2000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Air:
    """The atmosphere of one scene."""

    aod: float
    """Aerosol optical depth at 0.55 µm."""
    mu: float
    """Cosine of the sun's zenith angle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BandAir:
    """What an atmosphere does in one band."""

    path_rayleigh: float
    path_aerosol: float
    """Reflectance of the whole column of molecules, and of aerosol, over a black ground."""
    down: float
    up: float
    """Total (direct and diffuse) transmittances."""
    diffuse: float
    """Share of the light on open ground that comes from the sky."""
    straight: float
    """Share of the light leaving the ground upwards that was not scattered sideways."""
    gas: float

    @property
    def path(self) -> float:
        """Return the reflectance of the column over a black ground."""
        return self.path_rayleigh + self.path_aerosol

    def path_above(self, height_m: float) -> float:
        """Return the reflectance of what lies above a height."""
        molecules = self.path_rayleigh * math.exp(-height_m / RAYLEIGH_HEIGHT_M)
        return molecules + self.path_aerosol * math.exp(-height_m / AEROSOL_HEIGHT_M)

    def two_way_above(self, height_m: float) -> float:
        """Return the two-way transmittance of what lies above a height."""
        return float((self.down * self.up) ** math.exp(-height_m / RAYLEIGH_HEIGHT_M))


def band_air(air: Air, band: Band) -> BandAir:
    """Work out one band of an atmosphere."""
    wavelength, mu = band.wavelength_um, air.mu
    exponent = 3.916 + 0.074 * wavelength + 0.05 / wavelength
    rayleigh = 0.00864 * wavelength**-exponent
    aerosol = air.aod * (wavelength / 0.55) ** -1.3
    down = math.exp(-(0.5 * rayleigh + 0.16 * aerosol) / mu)
    up = math.exp(-(0.5 * rayleigh + 0.16 * aerosol))
    return BandAir(
        path_rayleigh=rayleigh * 0.75 * (1 + mu**2) / (4 * mu) * (1 + 1.3 * rayleigh),
        path_aerosol=0.95 * aerosol * 0.22 / (4 * mu),
        down=down,
        up=up,
        diffuse=1 - math.exp(-(rayleigh + aerosol) / mu) / down,
        straight=math.exp(-(rayleigh + aerosol)) / up,
        gas=band.gas,
    )


def surface_reflectance(toa: Floats, believed: BandAir) -> Floats:
    """Invert a clear sky, as a Level-2A processor does.

    Parameters
    ----------
    toa
        Top-of-atmosphere reflectance.
    believed
        The atmosphere as the processor estimated it; clouds and neighbours are unknown to it.

    Returns
    -------
    Surface reflectance; over clouds it may be above one, over dark water below zero.
    """
    surface = (toa / believed.gas - believed.path) / (believed.down * believed.up)
    return np.asarray(surface, dtype=np.float32)
