"""Runs a segmentation network on windows, on a GPU, and post-processes the scores there.

A window's scores depend on that window alone: batches are padded to one size, TF32 and the search for the fastest
kernel (cuDNN benchmark) are off, and batches run one after another (`pipeline.models.engine.gpu_stream`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pipeline.errors import ModelError
from pipeline.models.engine.cpu import PRECISIONS, check_windows
from pipeline.models.engine.fill_gaps import Gaps, NetworkInput
from pipeline.models.engine.gpu_stream import Arrays, Gpu, usable_device
from pipeline.models.engine.normalise import Entry
from pipeline.types import ModelCard, Then

log = logging.getLogger(__name__)

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class _Alike:
    """Windows whose parts to run have the same position and shape, so that they can share a batch."""

    positions: list[int]
    seen: list[NetworkInput]

    def cut(self, size: int) -> tuple[_Alike, _Alike]:
        """Return the first `size` windows, and the rest."""
        first, rest = slice(0, size), slice(size, None)
        return (
            _Alike(self.positions[first], self.seen[first]),
            _Alike(self.positions[rest], self.seen[rest]),
        )


class GpuModel:
    """A network and its card: a thread-safe `pipeline.types.DeviceModel`."""

    def __init__(
        self, card: ModelCard, net: nn.Module, entry: Entry, stride: int, gaps: Gaps
    ) -> None:
        """Move a network to the GPU, in the precision of its card.

        Parameters
        ----------
        card, net, entry, stride, gaps
            As of `pipeline.models.engine.cpu.SegmentationModel`.

        Raises
        ------
        ModelError
            There is no GPU.
        """
        device = usable_device()
        self._card = card
        self._stride = stride
        self._gaps = gaps
        self._dtype = PRECISIONS[card.options["precision"]]
        self._entry = entry.there().to(device)
        self._net = net.to(device, self._dtype).eval()
        self._batch = card.batch
        self._gpu = Gpu(device)

    @property
    def card(self) -> ModelCard:
        """The model's card."""
        return self._card

    def predict(self, windows: FloatArray) -> FloatArray:
        """Score windows; see `pipeline.models.engine.cpu.SegmentationModel.predict`.

        Raises
        ------
        ModelError
            As there; or the GPU lacks the memory for a single window.
        """
        check_windows(self._card, self._stride, windows)
        with_data = [
            position
            for position, window in enumerate(windows)
            if self._gaps(window, self._stride)
        ]
        n, _, height, width = windows.shape
        scores = np.zeros((n, len(self._card.classes), height, width), np.float32)
        if with_data:
            nothing = np.empty((len(with_data), 0), np.bool_)
            (scores[with_data],) = self.predict_then(
                windows[with_data], nothing, lambda scores, _: (scores,)
            )
        return scores

    def predict_then(self, windows: FloatArray, beside: NDArray[Any], then: Then) -> Arrays:
        """Score windows, and post-process the scores on the device.

        Parameters
        ----------
        windows, beside, then
            As of `pipeline.types.DeviceModel`.

        Raises
        ------
        ModelError
            The windows have another shape or dtype, a value is infinite, a window has no data, or the GPU lacks
            the memory for a single window.
        """
        check_windows(self._card, self._stride, windows)
        height, width = windows.shape[2:]
        done: list[tuple[list[int], Arrays]] = []
        for alike in self._sorted(windows):
            make = partial(self._made, alike.seen[0], (height, width), then)
            done.extend(self._run(alike, beside, make))
        return _in_order(done)

    def _sorted(self, windows: FloatArray) -> list[_Alike]:
        groups: dict[str, _Alike] = {}
        for position, window in enumerate(windows):
            seen = self._gaps(window, self._stride)
            if seen is None:
                raise ModelError(f"window {position} given to {self._card.name} holds no data")
            # Slices are not hashable before Python 3.12.
            group = groups.setdefault(repr(seen.where), _Alike([], []))
            group.positions.append(position)
            group.seen.append(seen)
        return list(groups.values())

    def _run(
        self, alike: _Alike, beside: NDArray[Any], make: partial[tuple[torch.Tensor, ...]]
    ) -> Iterator[tuple[list[int], Arrays]]:
        """Run windows in batches; halve the batch size when memory runs out."""
        while alike.positions:
            size = self._batch
            some, rest = alike.cut(size)
            # No more than a batch is prepared at a time.
            images = [each.image() for each in some.seen]
            try:
                made = self._gpu.run(images, beside[some.positions], partial(make, size))
            except torch.OutOfMemoryError as error:
                self._halve(size, images[0].shape[-1], error)
                continue
            yield some.positions, made
            alike = rest

    def _made(
        self,
        seen: NetworkInput,
        shape: tuple[int, int],
        then: Then,
        size: int,
        images: torch.Tensor,
        beside: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]:
        """Normalise images, run the network and post-process its scores, on the device."""
        x = self._entry(images)[..., *seen.inner]
        # A short batch is padded with its last window, so that the batch size never changes.
        x = torch.cat([x, x[-1:].expand(size - len(x), -1, -1, -1)])
        scores = self._net(x.to(self._dtype, memory_format=torch.channels_last))
        scores = scores[: len(images)].float()
        whole = scores.new_zeros((*scores.shape[:2], *shape))
        whole[..., *seen.where] = scores
        made: tuple[torch.Tensor, ...] = then(whole, beside)
        return made

    def _halve(self, size: int, edge: int, error: torch.OutOfMemoryError) -> None:
        if size == 1:
            raise ModelError(
                f"{self._card.name} runs out of memory on the GPU with a single window of "
                f"{edge} px; free the device, or set device to 'cpu'"
            ) from error
        # Another thread may have halved it meanwhile.
        self._batch = min(self._batch, size // 2)
        log.warning(
            "%s: out of memory; batches of %d from now on", self._card.name, self._batch
        )


def _in_order(done: list[tuple[list[int], Arrays]]) -> Arrays:
    """Concatenate the results of batches in the order of the windows."""
    if len(done) == 1:
        return done[0][1]
    order = np.argsort(np.concatenate([positions for positions, _ in done]))
    parts = zip(*(arrays for _, arrays in done), strict=True)
    return tuple(np.concatenate(each)[order] for each in parts)
