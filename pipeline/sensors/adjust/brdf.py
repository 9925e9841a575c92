"""View angle: the ratio by which ground looks different from nadir, by the kernels of MODIS.

Model: R = iso + vol · RossThick + geo · LiSparse-R, with crowns of b/r = 1 and h/b = 2 (Lucht et al. 2000,
doi:10.1109/36.841980, equations 38 and 39). The c-factor is R(sun, nadir) / R(sun, view), with one set of parameters
for all ground and all seasons (Roy et al. 2016, doi:10.1016/j.rse.2016.01.023, of Landsat; 2017, doi:10.1016/j.rse.2017.06.019,
of Sentinel-2; 2017, doi:10.3390/rs9121325, its red edge). The sun stays where it was: the method is none for other suns.

The parameters are also those of HLS (NASA-IMPACT/hls-sentinel, hls_libs/common/modis_brdf_coeff.h) and of the package
sen2nbar. As there, the coastal band takes those of blue, and both near infrareds the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

_BLUE, _NIR = (0.0774, 0.0372, 0.0079), (0.3093, 0.1535, 0.0330)

PARAMETERS: Mapping[str, tuple[float, float, float]] = {
    "coastal": _BLUE,
    "blue": _BLUE,
    "green": (0.1306, 0.0580, 0.0178),
    "red": (0.1690, 0.0574, 0.0227),
    "rededge1": (0.2085, 0.0845, 0.0256),
    "rededge2": (0.2316, 0.1003, 0.0273),
    "rededge3": (0.2599, 0.1197, 0.0294),
    "nir": _NIR,
    "nir08": _NIR,
    "swir16": (0.3430, 0.1154, 0.0453),
    "swir22": (0.2658, 0.0639, 0.0387),
}
"""Role -> isotropic, volumetric and geometric weight; a role without them stays as it is."""

LOWEST_SUN = 10.0
"""Degrees above the horizon: the model has no positive reflectance under a sun near it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Angles:
    """Where the sun and the sensor stand, seen from the ground; degrees."""

    sun_zenith: float
    view_zenith: float
    azimuth: float
    """Of the view less that of the sun: 0 has the sun behind the sensor."""


def c_factor(role: str, angles: Angles) -> float:
    """Return what reflectance is multiplied with to be seen from nadir; 1 for a role without parameters."""
    if role not in PARAMETERS or angles.view_zenith == 0.0:
        return 1.0
    nadir = Angles(sun_zenith=angles.sun_zenith, view_zenith=0.0, azimuth=0.0)
    return _reflectance(role, nadir) / _reflectance(role, angles)


def _reflectance(role: str, angles: Angles) -> float:
    iso, vol, geo = PARAMETERS[role]
    return iso + vol * ross_thick(angles) + geo * li_sparse(angles)


def ross_thick(angles: Angles) -> float:
    """Return the kernel of scattering within a thick canopy of leaves."""
    sun, view = math.radians(angles.sun_zenith), math.radians(angles.view_zenith)
    cosine = _cos_phase(angles)
    phase = math.acos(cosine)
    bent = (math.pi / 2 - phase) * cosine + math.sin(phase)
    return bent / (math.cos(sun) + math.cos(view)) - math.pi / 4


def li_sparse(angles: Angles) -> float:
    """Return the kernel of sparse crowns that shade the ground, reciprocal in sun and view."""
    sun, view = math.radians(angles.sun_zenith), math.radians(angles.view_zenith)
    across = math.radians(angles.azimuth)
    tans, secants = (math.tan(sun), math.tan(view)), (1 / math.cos(sun), 1 / math.cos(view))
    both = tans[0] * tans[1]
    # Rounding may take the square of the distance below zero where sun and view coincide.
    apart = max(tans[0] ** 2 + tans[1] ** 2 - 2 * both * math.cos(across), 0.0)
    cosine = min(2 * math.sqrt(apart + (both * math.sin(across)) ** 2) / sum(secants), 1.0)
    angle = math.acos(cosine)
    overlap = (angle - math.sin(angle) * cosine) * sum(secants) / math.pi
    return overlap - sum(secants) + (1 + _cos_phase(angles)) * secants[0] * secants[1] / 2


def _cos_phase(angles: Angles) -> float:
    sun, view = math.radians(angles.sun_zenith), math.radians(angles.view_zenith)
    aside = math.sin(sun) * math.sin(view) * math.cos(math.radians(angles.azimuth))
    return min(max(math.cos(sun) * math.cos(view) + aside, -1.0), 1.0)
