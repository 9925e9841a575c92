"""Runs a segmentation network on windows, on a CPU; `pipeline.models.engine.gpu_stream` does on a GPU.

One window gives the same scores whatever else is asked: a batch of the network is always one window, so it
has no mates that could change how a kernel rounds (float32 scores of a window move by up to 9e-6 with the
size of its batch), and every calling thread runs its window alone: concurrency comes from the callers, and
the order in which a sum is taken never depends on how many cores were idle.
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
    """A network with its card; safe to call from several threads at once."""

    def __init__(
        self, card: ModelCard, net: nn.Module, entry: Entry, stride: int, gaps: Gaps
    ) -> None:
        """Bring a network to its precision.

        Parameters
        ----------
        card
            Its option ``precision`` says how the network runs.
        net
            (N, B, H, W) of what `entry` gives -> (N, K, H, W) scores, float32, on the CPU.
        entry
            From reflectance to what the network sees, for the B bands in the order of the card's roles.
        stride
            Edges of a window are multiples of this, in pixels.
        gaps
            What the network sees of a window that is not full.

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
        that was run, and in windows without any data, which never are.

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
        """Put the network's scores in their place among windows of a shape, zero elsewhere."""
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
        """Return an image as a batch of one, as the network takes it."""
        # At once, both take torch three times as long.
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
    """Have a window computed by the thread that asks."""
    # The setting belongs to the calling thread: one that ran torch before keeps its own number whatever
    # another thread sets.
    if torch.get_num_threads() != 1:
        torch.set_num_threads(1)
    with allocator.bounded():
        yield
