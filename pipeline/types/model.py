"""The seam between `mask` and `models`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.types.legend import Code


@dataclass(frozen=True, slots=True, kw_only=True)
class Lattice:
    """Where inference windows sit: cores tile the plane from the CRS origin, each with a halo.

    A window is the square of ``core_px + 2 · halo_px`` pixels round a core. A model sees whole
    windows only, so that a pixel's class does not depend on how the region was cut.
    """

    core_px: int
    halo_px: int

    @property
    def window_px(self) -> int:
        """Edge of a window."""
        return self.core_px + 2 * self.halo_px


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What there is to know about a model before it is loaded."""

    name: str
    """E.g. ``ukis-csmask-6b-l2a``."""
    version: str
    roles: tuple[str, ...]
    """Order of the bands that `Model.predict` expects."""
    levels: tuple[str, ...]
    """Processing levels it was trained on: ``L1C`` (top of atmosphere), ``L2A`` (surface)."""
    resolution_m: tuple[float, float]
    """Finest and coarsest pixels that it is meant for."""
    lattice: Lattice
    classes: tuple[Code, ...]
    """Codes that it can give, besides no data."""
    weights: str
    """Origin of the weights, in words."""
    weights_sha256: str
    licence: str
    source: str
    """Publication or project."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Settings that change its pixels, after defaults were filled in; part of the fingerprint."""


class Model(Protocol):
    """The seam between `mask` and `models`.

    An instance may be called from several threads at once and gives the same answer for the same
    window whatever else it is asked.
    """

    @property
    def card(self) -> ModelCard:
        """The model's card."""
        ...

    def predict(self, window: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Classify one window.

        Parameters
        ----------
        window
            (B, H, W) = (roles of the card, ``window_px``, ``window_px``), float32 reflectance,
            NaN = no data.

        Returns
        -------
        (H, W) uint8 codes of `Code`. What stands where a band is NaN does not matter: the mask
        room writes no data there.
        """
        ...
