"""Reflectance of typical surfaces from 0.40 to 2.40 µm, and what a band of any sensor sees of it.

The curves are rounded from typical ones of public libraries, not copied from any sample: vegetation, soils,
roofs, asphalt and concrete after the ECOSTRESS library (Meerdink et al. 2019, https://speclib.jpl.nasa.gov)
and the USGS library, version 7 (Kokaly et al. 2017, https://doi.org/10.3133/ds1035); snow of small and of
large grains after Warren (1982, https://doi.org/10.1029/RG020i001p00067); water after the classes of Mobley
("Light and Water", 1994); char and ash after the burnt samples of the USGS library. What matters is their
shape: a network learns what surfaces have in common, and `patches.ground` varies every one of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.simulate.bands import Band
from pipeline.simulate.physics.noise import Floats

KNOTS_UM: tuple[float, ...] = (
    *(0.40, 0.44, 0.49, 0.56, 0.61, 0.665, 0.70, 0.74, 0.78),
    *(0.84, 0.94, 1.05, 1.24, 1.61, 1.70, 2.10, 2.20, 2.40),
)
"""Wavelengths at which `SPECTRA` is known; linear between them, constant beyond."""

# fmt: off
_LAND = {
    "crop":      (.024, .027, .031, .075, .048, .034, .105, .340, .430, .450, .455, .460, .430, .215, .225, .095, .100, .060),
    "grass":     (.028, .032, .038, .078, .060, .050, .115, .270, .325, .350, .355, .375, .360, .235, .245, .115, .125, .080),
    "dry grass": (.055, .065, .085, .125, .155, .180, .200, .230, .255, .280, .310, .345, .385, .380, .385, .265, .280, .230),
    "leaves":    (.017, .019, .022, .048, .030, .022, .072, .290, .385, .410, .415, .420, .390, .170, .180, .070, .075, .045),
    "needles":   (.013, .015, .018, .035, .024, .019, .050, .170, .215, .225, .225, .235, .215, .090, .095, .038, .042, .026),
    "rainforest": (.012, .013, .015, .036, .022, .016, .056, .270, .345, .365, .365, .370, .335, .140, .148, .052, .057, .034),
    "shrub":     (.035, .042, .050, .082, .090, .092, .115, .175, .205, .225, .240, .265, .280, .255, .260, .165, .175, .135),
    "loam":      (.048, .058, .072, .102, .125, .140, .152, .168, .185, .208, .232, .262, .305, .345, .345, .300, .305, .270),
    "dark soil": (.022, .026, .032, .044, .054, .062, .070, .082, .093, .107, .125, .148, .185, .230, .232, .200, .205, .180),
    "red soil":  (.030, .036, .046, .075, .130, .180, .200, .220, .235, .250, .270, .310, .360, .395, .395, .345, .335, .300),
    "sand":      (.100, .130, .180, .265, .325, .365, .385, .405, .420, .440, .460, .485, .530, .570, .575, .545, .540, .490),
    "bright sand": (.160, .200, .265, .375, .440, .485, .505, .525, .540, .560, .580, .605, .640, .680, .685, .650, .640, .590),
    "salt":      (.370, .420, .470, .530, .555, .570, .580, .585, .590, .590, .575, .570, .530, .440, .430, .290, .320, .210),
    "rock":      (.075, .085, .100, .125, .140, .150, .155, .163, .170, .178, .188, .200, .220, .250, .252, .235, .230, .205),
    "lava":      (.030, .033, .036, .042, .046, .049, .052, .055, .058, .062, .067, .072, .080, .095, .096, .092, .092, .085),
    "char":      (.022, .024, .027, .032, .036, .040, .043, .048, .053, .060, .070, .082, .105, .150, .155, .165, .170, .165),
    "ash":       (.080, .090, .105, .130, .145, .160, .168, .178, .188, .200, .218, .238, .270, .320, .325, .320, .325, .300),
    "asphalt":   (.070, .075, .082, .093, .100, .106, .110, .114, .118, .125, .134, .142, .155, .170, .172, .165, .165, .155),
    "concrete":  (.150, .175, .210, .255, .280, .295, .302, .310, .317, .325, .335, .348, .365, .385, .385, .350, .350, .310),
    "white roof": (.400, .520, .600, .640, .650, .655, .655, .655, .650, .645, .640, .630, .590, .500, .460, .400, .410, .330),
    "metal roof": (.300, .330, .360, .385, .395, .400, .405, .410, .412, .405, .410, .430, .450, .470, .472, .465, .462, .450),
    "blue roof": (.190, .260, .310, .230, .150, .125, .130, .145, .170, .200, .220, .240, .270, .290, .270, .200, .205, .170),
    "tiles":     (.060, .070, .090, .135, .205, .255, .280, .300, .315, .330, .350, .375, .415, .450, .450, .410, .405, .370),
    "greenhouse": (.240, .280, .315, .345, .350, .340, .365, .430, .450, .460, .455, .460, .440, .370, .330, .250, .260, .200),
}
_WATER = {
    "deep water": (.038, .034, .028, .014, .006, .004, .003, .002, .002, .002, .001, .001, .001, .001, .001, .001, .001, .001),
    "lake":      (.020, .022, .027, .032, .022, .016, .014, .009, .008, .007, .003, .002, .001, .001, .001, .001, .001, .001),
    "green water": (.024, .030, .042, .072, .048, .034, .040, .022, .018, .016, .005, .003, .002, .001, .001, .001, .001, .001),
    "turbid water": (.045, .058, .082, .125, .130, .122, .105, .070, .062, .055, .022, .012, .004, .002, .002, .001, .001, .001),
    "shallow water": (.090, .115, .150, .165, .085, .045, .028, .012, .009, .007, .003, .002, .001, .001, .001, .001, .001, .001),
}
_SNOW = {
    "fresh snow": (.970, .975, .975, .970, .965, .955, .950, .940, .925, .905, .870, .810, .660, .160, .200, .090, .140, .060),
    "old snow":  (.880, .890, .890, .880, .860, .835, .820, .795, .765, .720, .630, .500, .320, .050, .070, .030, .045, .020),
    "dirty snow": (.500, .530, .560, .590, .600, .595, .590, .580, .565, .545, .490, .410, .290, .070, .085, .045, .060, .035),
    "ice":       (.550, .580, .590, .560, .500, .440, .400, .350, .300, .240, .140, .080, .040, .012, .014, .010, .011, .008),
}
# fmt: on

SPECTRA: Mapping[str, NDArray[np.float64]] = {
    name: np.array(values) for name, values in (_LAND | _WATER | _SNOW).items()
}
"""Surface -> reflectance at `KNOTS_UM`."""
LAND, WATER, SNOW = tuple(_LAND), tuple(_WATER), tuple(_SNOW)

SAMPLES = 21
"""Points at which a band is sampled over its width."""


def seen_by(bands: Sequence[Band], names: Sequence[str]) -> Floats:
    """Return (surface, band) reflectance: the mean of each curve over a band's width."""
    offsets = (np.arange(SAMPLES) + 0.5) / SAMPLES - 0.5
    centres = np.array([band.wavelength_um for band in bands])
    widths = np.array([band.width_um for band in bands])
    where = centres[:, None] + offsets * widths[:, None]
    seen = [np.interp(where, KNOTS_UM, SPECTRA[name]).mean(axis=1) for name in names]
    return np.array(seen, dtype=np.float32)
