"""A network that takes its windows whole, with its own idea of what stands where there is no data.

`pipeline.models.inference` cuts a window to the part that holds data and mirrors it into the gaps. That
suits networks without a rule for gaps. Two kinds have one: those whose publication says what a gap is,
and those that see a few pixels only, whose scores must not depend on where a window begins.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from torch import nn

from pipeline.models.inference import Normalisation, SegmentationModel
from pipeline.types import ModelCard

Prepare = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Takes a window (B, H, W) of reflectance, NaN = no data, that must not be written to; returns what the
network sees, (B, H, W) float32 and finite, in memory of its own."""

_NOTHING = Normalisation(mean=np.zeros(1, np.float32), std=np.ones(1, np.float32))


class TorchModel(SegmentationModel):
    """A network with its card; safe to call from several threads at once."""

    def __init__(self, card: ModelCard, net: nn.Module, prepare: Prepare, stride: int) -> None:
        """Move a network to its device and precision.

        Parameters
        ----------
        card
            Its options ``device`` and ``precision`` say where and how the network runs.
        net
            (N, B, H, W) of what `prepare` gives -> (N, K, H, W) scores, float32, on the CPU.
        prepare
            From reflectance to what the network sees.
        stride
            Edges of a window are multiples of this, in pixels.

        Raises
        ------
        ModelError
            The card asks for a GPU and there is none.
        """
        super().__init__(card, net, _NOTHING, stride)
        self._prepare = prepare

    def predict(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score windows (N, B, H, W) float32; see `pipeline.types.Model`.

        Returns
        -------
        (N, K, H, W) float32; zero in windows without any data, which are never run.

        Raises
        ------
        ModelError
            The windows have another shape or dtype, a value is infinite, or the GPU has not even
            memory for one window.
        """
        self._check(windows)
        scores = np.zeros(
            (len(windows), len(self.card.classes), *windows.shape[2:]), np.float32
        )
        held = [index for index, window in enumerate(windows) if not np.isnan(window).all()]
        size = self._batch
        for start in range(0, len(held), size):
            batch = held[start : start + size]
            scores[batch] = self._run([self._prepare(windows[index]) for index in batch])
        return scores
