"""How clouds reflect and transmit: the absorbing two-stream solution for a plane layer."""

from __future__ import annotations

import numpy as np

from pipeline.simulate.physics.noise import Floats

LIQUID_ASYMMETRY = 0.86
ICE_ASYMMETRY = 0.78

LIQUID_COALBEDO = {"vnir": 1e-5, "swir16": 0.006, "swir22": 0.018}
ICE_COALBEDO = {"vnir": 1e-5, "swir16": 0.03, "swir22": 0.05}
"""Regime of a band -> the share of light that one scattering absorbs (1 - ω)."""


def asymmetry(*, ice: bool) -> float:
    """Return the mean cosine of scattering."""
    return ICE_ASYMMETRY if ice else LIQUID_ASYMMETRY


def two_stream(tau: Floats, regime: str, *, ice: bool) -> tuple[Floats, Floats]:
    """Return the reflectance and the transmittance of a layer; their sum never exceeds one.

    Parameters
    ----------
    tau
        Optical depth.
    regime
        ``vnir``, ``swir16`` or ``swir22``.
    ice
        Whether it is made of ice crystals rather than droplets.
    """
    g = asymmetry(ice=ice)
    absorbed = (ICE_COALBEDO if ice else LIQUID_COALBEDO)[regime]
    backward = 1 - (1 - absorbed) * g
    similarity = np.sqrt(absorbed / backward)
    infinite = (1 - similarity) / (1 + similarity)
    # Double precision in the exponent: at a co-albedo of 1e-5 both sides of the ratio nearly vanish.
    once = np.exp(-np.sqrt(3 * absorbed * backward) * tau.astype(np.float64))
    below = 1 - infinite**2 * once**2
    reflected = infinite * (1 - once**2) / below
    transmitted = (1 - infinite**2) * once / below
    return reflected.astype(np.float32), transmitted.astype(np.float32)
