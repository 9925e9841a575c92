"""Runs a segmentation network on windows, on a CPU; `pipeline.models.engine.gpu_stream` does on a GPU.

A window's scores depend on that window alone. The network's batch is always one window, because kernels round
differently for other batch sizes (float32 scores move by up to 9e-6). Each calling thread runs its window with
one torch thread, so that the order of a sum never depends on idle cores; concurrency comes from the callers.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pipeline.errors import ModelError
from pipeline.models.engine import allocator
from pipeline.models.engine.fill_gaps import Gaps, NetworkInput
from pipeline.models.engine.normalise import Entry
from pipeline.models.families import machine
from pipeline.types import ModelCard

PRECISIONS = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}

FloatArray = NDArray[np.float32]
_Answer = tuple[int, tuple[slice, slice], FloatArray]
"""Position of a window, the part of it that was run, and its scores (K, h, w)."""


class SegmentationModel:
    """A network and its card; thread-safe."""

    def __init__(
        self, card: ModelCard, net: nn.Module, entry: Entry, stride: int, gaps: Gaps
    ) -> None:
        """Convert a network to the precision of its card.

        Parameters
        ----------
        card
            Its option ``precision`` is the dtype that the network runs in.
        net
            (N, B, H, W) output of `entry` -> (N, K, H, W) scores, float32, on the CPU.
        entry
            Reflectance -> input of the network, for the B bands in the order of the card's roles.
        stride
            Edges of a window are multiples of this, in pixels.
        gaps
            Prepares windows that lack data.

        Raises
        ------
        ModelError
            The CPU does not calculate in the card's precision.
        """
        if card.options["precision"] == "bfloat16" and not machine.has_bfloat16():
            raise ModelError(machine.NO_BFLOAT16)
        self._card = card
        self._entry = entry
        self._stride = stride
        self._gaps = gaps
        self._dtype = PRECISIONS[card.options["precision"]]
        self._net = net.to(self._dtype).eval()
        allocator.keep_freed_memory()

    @property
    def card(self) -> ModelCard:
        """The model's card."""
        return self._card

    def predict(self, windows: FloatArray) -> FloatArray:
        """Score windows.

        Parameters
        ----------
        windows
            (N, B, H, W) float32 reflectance in the order of the card's roles, NaN = no data; H and W
            are multiples of the network's stride.

        Returns
        -------
        (N, K, H, W) float32 scores, of the kind of the card's `scores`; zero outside the part of a window
        that was run, and throughout windows without any data, which are not run.

        Raises
        ------
        ModelError
            The windows have another shape or dtype, or a value is infinite.
        """
        check_windows(self._card, self._stride, windows)
        answers: list[_Answer] = []
        for index, window in enumerate(windows):
            seen = self._gaps(window, self._stride)
            if seen is not None:
                answers.append((index, seen.where, self._scores(seen)))
        return self._together(answers, windows.shape)

    def _together(self, answers: list[_Answer], shape: tuple[int, ...]) -> FloatArray:
        """Put each window's scores into an array (N, K, H, W), zero elsewhere."""
        n, _, height, width = shape
        whole = (n, len(self._card.classes), height, width)
        if len(answers) == 1 and (1, *answers[0][2].shape) == whole:
            # The usual case needs no copy.
            return answers[0][2][np.newaxis]
        scores = np.zeros(whole, np.float32)
        for index, where, answer in answers:
            scores[index][(slice(None), *where)] = answer
        return scores

    def _scores(self, seen: NetworkInput) -> FloatArray:
        """Run the network, and return (K, h, w)."""
        x = self._tensor(self._entry.here(seen.image())[:, *seen.inner])
        with _alone(), torch.inference_mode():
            # N H W K in memory, so that the copy to N K H W is the only one.
            scores = self._net(x).float().contiguous()
        answer: FloatArray = scores[0].numpy()
        return answer

    def _tensor(self, image: FloatArray) -> torch.Tensor:
        """Return an image as a batch of one, in the network's dtype and memory format."""
        # Two steps: torch takes three times as long to change both in one call.
        x = torch.from_numpy(image[np.newaxis]).to(self._dtype)
        return x.contiguous(memory_format=torch.channels_last)


def check_windows(card: ModelCard, stride: int, windows: FloatArray) -> None:
    """Refuse windows that a network does not take.

    Raises
    ------
    ModelError
        They have another shape or dtype, or a value is infinite.
    """
    bands = len(card.roles)
    fits = (
        windows.ndim == 4
        and windows.shape[1] == bands
        and all(edge > 0 and edge % stride == 0 for edge in windows.shape[2:])
    )
    if not fits or windows.dtype != np.float32:
        raise ModelError(
            f"{card.name} takes float32 windows (N, {bands}, H, W) with edges that are "
            f"multiples of {stride} px; got {windows.dtype} {windows.shape}"
        )
    # An infinite value makes the whole window NaN, and the largest of three NaN is class 0: clear.
    n_infinite = int(np.count_nonzero(np.isinf(windows)))
    if n_infinite:
        raise ModelError(f"a window has {n_infinite} infinite reflectances; no data is NaN")


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Let torch use the calling thread only."""
    # The setting is per thread: a thread that ran torch before keeps its own number of threads.
    if torch.get_num_threads() != 1:
        torch.set_num_threads(1)
    with allocator.bounded():
        yield
