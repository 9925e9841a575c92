"""Models without weights: one that sees a pixel, one that sees its whole window."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.types import Code, Lattice, ModelCard

CLASSES = (Code.CLEAR, Code.THICK_CLOUD, Code.CLOUD_SHADOW)


def fake_card(
    name: str, lattice: Lattice, roles: tuple[str, ...], *, batch: int = 1
) -> ModelCard:
    """Return a card for a model without weights, of `CLASSES` and probabilities."""
    return ModelCard(
        name=name,
        version="1",
        roles=roles,
        levels=("L1C", "L2A"),
        resolution_m=(1.0, 1000.0),
        normalisation="none",
        lattice=lattice,
        classes=CLASSES,
        scores="probabilities",
        weights="none",
        weights_sha256="",
        licence="Apache-2.0",
        source="cloudmask",
        accuracy="none published",
        batch=batch,
    )


def certain(codes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Turn codes (N, H, W) into probabilities (N, K, H, W) of `CLASSES`: one is 1, the others 0."""
    classes = np.array(CLASSES, np.uint8)[:, np.newaxis, np.newaxis]
    scores: NDArray[np.float32] = (codes[:, np.newaxis] == classes).astype(np.float32)
    return scores


class ThresholdModel:
    """Bright is cloud and dark is shadow, pixel by pixel: needs no halo."""

    def __init__(
        self,
        lattice: Lattice | None = None,
        roles: tuple[str, ...] = ("blue", "nir"),
        *,
        batch: int = 1,
    ) -> None:
        lattice = lattice or Lattice(core_px=32, halo_px=0)
        self.card = fake_card("threshold", lattice, roles, batch=batch)

    def predict(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score windows (N, B, H, W); see `pipeline.types.Model`."""
        brightness = windows.mean(axis=1)
        codes = np.full(brightness.shape, Code.CLEAR, np.uint8)
        codes[brightness > 0.35] = Code.THICK_CLOUD
        codes[brightness < 0.05] = Code.CLOUD_SHADOW
        return certain(codes)


class WindowMeanModel(ThresholdModel):
    """A pixel is the surer cloud the brighter it is than its window: any change of it shows.

    It stands for networks with a global view, for which only a fixed lattice makes every
    partition give the same mask. Its probabilities are smooth, so that averages of overlapping
    windows are no ties.
    """

    def __init__(
        self,
        lattice: Lattice | None = None,
        roles: tuple[str, ...] = ("blue", "nir"),
        *,
        batch: int = 1,
    ) -> None:
        lattice = lattice or Lattice(core_px=32, halo_px=8, blend_px=8, shift_px=16)
        super().__init__(lattice, roles)
        self.card = fake_card("window-mean", lattice, roles, batch=batch)

    def predict(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score windows (N, B, H, W); see `pipeline.types.Model`."""
        return np.stack([self._scores(window) for window in windows])

    def _scores(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        # One window at a time: the order of a sum could depend on how many there are.
        brightness = window.sum(axis=0)
        cloud = 1 / (1 + np.exp(4 * (np.nanmean(brightness) - brightness)))
        return np.stack([0.8 * (1 - cloud), cloud, 0.2 * (1 - cloud)]).astype(np.float32)
