"""Models without weights: one that sees a pixel, one that sees its whole window."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.types import Code, Lattice, ModelCard


def fake_card(name: str, lattice: Lattice, roles: tuple[str, ...]) -> ModelCard:
    """Return a card for a model without weights."""
    return ModelCard(
        name=name,
        version="1",
        roles=roles,
        levels=("L1C", "L2A"),
        resolution_m=(1.0, 1000.0),
        lattice=lattice,
        classes=(Code.CLEAR, Code.THICK_CLOUD, Code.CLOUD_SHADOW),
        weights="none",
        weights_sha256="",
        licence="Apache-2.0",
        source="cloudmask",
    )


class ThresholdModel:
    """Bright is cloud and dark is shadow, pixel by pixel: needs no halo."""

    def __init__(
        self, lattice: Lattice | None = None, roles: tuple[str, ...] = ("blue", "nir")
    ) -> None:
        self.card = fake_card("threshold", lattice or Lattice(core_px=32, halo_px=0), roles)

    def predict(self, window: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Classify a window (B, H, W); see `pipeline.types.Model`."""
        brightness = window.mean(axis=0)
        codes = np.full(brightness.shape, Code.CLEAR, np.uint8)
        codes[brightness > 0.35] = Code.THICK_CLOUD
        codes[brightness < 0.05] = Code.CLOUD_SHADOW
        return codes


class WindowMeanModel(ThresholdModel):
    """A pixel brighter than its window is cloud: any change of the window changes the mask.

    It stands for networks with a global view, for which only a fixed lattice makes every
    partition give the same mask.
    """

    def __init__(
        self, lattice: Lattice | None = None, roles: tuple[str, ...] = ("blue", "nir")
    ) -> None:
        super().__init__(lattice or Lattice(core_px=32, halo_px=8), roles)
        self.card = fake_card("window-mean", self.card.lattice, roles)

    def predict(self, window: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Classify a window (B, H, W); see `pipeline.types.Model`."""
        brightness = window.sum(axis=0)
        mean = np.nanmean(brightness)
        return np.where(brightness > mean, Code.THICK_CLOUD, Code.CLEAR).astype(np.uint8)
