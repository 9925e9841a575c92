"""A network that takes its windows whole, with its own idea of what stands where there is no data.

`pipeline.models.inference` cuts a window to the part that holds data and mirrors it into the gaps. That
suits networks without a rule for gaps. Two kinds have one: those whose publication says what a gap is,
and those that see a few pixels only, whose scores must not depend on where a window begins.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
from numpy.typing import NDArray
from torch import nn

from pipeline.models import no_data
from pipeline.models.inference import (
    Answer,
    Normalisation,
    SegmentationModel,
    in_batches,
)
from pipeline.types import ModelCard

Prepare = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Takes a window (B, H, W) of reflectance, NaN = no data, that must not be written to; returns what the
network sees, (B, H, W) float32 and finite, in memory of its own."""

_NOTHING = Normalisation(mean=np.zeros(1, np.float32), std=np.ones(1, np.float32))


class TorchModel(SegmentationModel):
    """A network with its card; safe to call from several threads at once."""

    def __init__(
        self,
        card: ModelCard,
        net: nn.Module,
        prepare: Prepare,
        stride: int,
        *,
        cuts_borders: bool = False,
    ) -> None:
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
        cuts_borders
            Whether rows and columns that lie far beyond a window's data are left out when the network
            runs, after `prepare` has seen them; see `pipeline.models.no_data.cut`.

        Raises
        ------
        ModelError
            The card asks for a GPU and there is none.
        """
        super().__init__(card, net, _NOTHING, stride)
        self._prepare = prepare
        self._cuts_borders = cuts_borders

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
        answers: list[Answer] = []
        for where, alike in self._by_place(windows):
            for some in in_batches(alike, self._batch):
                # No more than a batch is prepared at a time.
                given = [self._prepare(windows[index])[(slice(None), *where)] for index in some]
                scores = self._run(given)
                answers.extend(
                    (index, where, each) for index, each in zip(some, scores, strict=True)
                )
        return self._together(answers, windows.shape)

    def _by_place(
        self, windows: NDArray[np.float32]
    ) -> Collection[tuple[tuple[slice, slice], list[int]]]:
        """Group the positions of windows that hold data by the part that the network has to see."""
        places: dict[str, tuple[tuple[slice, slice], list[int]]] = {}
        for index, window in enumerate(windows):
            where = self._seen(window)
            if where is not None:
                # Slices are no keys before Python 3.12.
                places.setdefault(repr(where), (where, []))[1].append(index)
        return places.values()

    def _seen(self, window: NDArray[np.float32]) -> tuple[slice, slice] | None:
        """Return the rows and columns that the network has to see; none if there is no data."""
        if self._cuts_borders:
            part = no_data.cut(window, self._stride)
            return None if part.empty else part.where
        if np.isnan(window).all():
            return None
        return slice(0, window.shape[1]), slice(0, window.shape[2])
