"""Runs a segmentation network on windows: `SegmentationModel`, the `Model` of this room.

One window gives the same scores whatever else is asked:

- on a CPU a batch of the network is always one window, so it has no mates that could change how a
  kernel rounds (float32 scores of a window move by up to 9e-6 with the size of its batch), and every
  calling thread runs its window alone: concurrency comes from the callers, and the order in which a
  sum is taken never depends on how many cores were idle;
- on a GPU batches are always filled up to one size, without TF32 and without the search for the
  fastest kernel, one batch after another (`pipeline.models.gpu`).
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pipeline.errors import ModelError
from pipeline.models import allocator, no_data
from pipeline.models.gpu import Gpu
from pipeline.types import ModelCard

log = logging.getLogger(__name__)

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
CPU = torch.device("cpu")

Answer = tuple[int, tuple[slice, slice], NDArray[np.float32]]
"""Position of a window, the part of it that was run, and its scores (K, h, w)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Normalisation:
    """What stands between reflectance and what the network was trained on."""

    mean: NDArray[np.float32]
    """(B,), reflectance."""
    std: NDArray[np.float32]
    """(B,), reflectance."""

    def apply(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        """Normalise a window (B, H, W) in place and return it."""
        window -= self.mean[:, np.newaxis, np.newaxis]
        window /= self.std[:, np.newaxis, np.newaxis]
        return window


class SegmentationModel:
    """A network with its card; safe to call from several threads at once."""

    def __init__(
        self, card: ModelCard, net: nn.Module, normalisation: Normalisation, stride: int
    ) -> None:
        """Move a network to its device and precision.

        Parameters
        ----------
        card
            Its options ``device`` and ``precision`` say where and how the network runs.
        net
            (N, B, H, W) normalised reflectance -> (N, K, H, W) scores, float32, on the CPU.
        normalisation
            For the B bands in the order of the card's roles.
        stride
            Edges of a window are multiples of this.

        Raises
        ------
        ModelError
            The card asks for a GPU and there is none.
        """
        self._card = card
        self._normalisation = normalisation
        self._stride = stride
        self._device = _device(card.options["device"])
        self._dtype = PRECISIONS[card.options["precision"]]
        self._batch = 1 if self._device == CPU else card.batch
        self._net = net.to(self._device, self._dtype).eval()
        self._gpu = None if self._device == CPU else Gpu(self._device)
        allocator.keep_freed_memory()

    @property
    def card(self) -> ModelCard:
        """The model's card."""
        return self._card

    def predict(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score windows.

        Parameters
        ----------
        windows
            (N, B, H, W) float32 reflectance in the order of the card's roles, NaN = no data; H and W
            are multiples of the network's stride.

        Returns
        -------
        (N, K, H, W) float32 scores, as the card's `scores` says; zero outside the part of a window
        that holds data.

        Raises
        ------
        ModelError
            The windows have another shape or dtype, a value is infinite, or the GPU has not even
            memory for one window.
        """
        self._check(windows)
        parts = [no_data.cut(window, self._stride) for window in windows]
        answers: list[Answer] = []
        for alike in _by_shape(parts):
            for some in in_batches(alike, self._batch):
                # No more than a batch is prepared at a time.
                given = [self._normalisation.apply(parts[index].filled()) for index in some]
                scores = self._run(given)
                answers.extend(
                    (index, parts[index].where, each)
                    for index, each in zip(some, scores, strict=True)
                )
        return self._together(answers, windows.shape)

    def _together(self, answers: list[Answer], shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Put what the network said in its place among windows of a shape, zero elsewhere."""
        n, _, height, width = shape
        whole = (n, len(self._card.classes), height, width)
        if len(answers) == 1 and (1, *answers[0][2].shape) == whole:
            # The usual case of a CPU needs no copy.
            return answers[0][2][np.newaxis]
        scores = np.zeros(whole, np.float32)
        for index, where, answer in answers:
            scores[index][(slice(None), *where)] = answer
        return scores

    def _run(self, inputs: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """Run the network on normalised windows of one shape, fewer at a time if memory is short.

        The windows are taken out of the list.
        """
        answers: list[NDArray[np.float32]] = []
        while inputs:
            size, edge = self._batch, inputs[0].shape[-1]
            some, inputs[:size] = inputs[:size], []
            try:
                x, count = self._stacked(some, size), len(some)
                if size == 1:
                    # The memory of a window is let go before it is run: there is no smaller batch to try.
                    some.clear()
                answers.extend(self._scored(x, count))
            except torch.OutOfMemoryError as error:
                self._halve(size, edge, error)
                inputs[:0] = some
        return answers

    def _halve(self, size: int, edge: int, error: torch.OutOfMemoryError) -> None:
        if size == 1:
            raise ModelError(
                f"{self._card.name} runs out of memory on {self._device} with a single window of "
                f"{edge} px; free the device, or set device to 'cpu'"
            ) from error
        # Another thread may have come to the same end meanwhile.
        self._batch = min(self._batch, size // 2)
        log.warning(
            "%s: out of memory; batches of %d from now on", self._card.name, self._batch
        )

    def _stacked(self, inputs: list[NDArray[np.float32]], size: int) -> torch.Tensor:
        """Return a batch of windows, as the network takes them on a CPU."""
        # A batch is filled up with its last window, so that its size never changes.
        filled = [*inputs, *[inputs[-1]] * (size - len(inputs))]
        x = torch.from_numpy(filled[0][np.newaxis] if size == 1 else np.stack(filled))
        # At once, both take torch three times as long.
        return (
            x if self._gpu else x.to(self._dtype).contiguous(memory_format=torch.channels_last)
        )

    def _scored(self, x: torch.Tensor, count: int) -> NDArray[np.float32]:
        """Run the network on a batch, and return (count, K, H, W)."""
        if self._gpu:
            return self._gpu.scores(self._net, x, self._dtype, count)
        with _alone(), torch.inference_mode():
            # N H W K in memory, so that the copy to N K H W is the only one.
            scores = self._net(x)[:count].float().contiguous()
        answer: NDArray[np.float32] = scores.numpy()
        return answer

    def _check(self, windows: NDArray[np.float32]) -> None:
        bands = len(self._card.roles)
        fits = (
            windows.ndim == 4
            and windows.shape[1] == bands
            and all(edge > 0 and edge % self._stride == 0 for edge in windows.shape[2:])
        )
        if not fits or windows.dtype != np.float32:
            raise ModelError(
                f"{self._card.name} takes float32 windows (N, {bands}, H, W) with edges that are "
                f"multiples of {self._stride} px; got {windows.dtype} {windows.shape}"
            )
        # An infinite value makes the whole window NaN, and the largest of three NaN is class 0: clear.
        n_infinite = int(np.count_nonzero(np.isinf(windows)))
        if n_infinite:
            raise ModelError(f"a window has {n_infinite} infinite reflectances; no data is NaN")


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Have a window of a CPU computed by the thread that asks."""
    # The setting belongs to the calling thread: one that ran torch before keeps its own number whatever
    # another thread sets.
    if torch.get_num_threads() != 1:
        torch.set_num_threads(1)
    with allocator.bounded():
        yield


def _device(name: str) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise ModelError(
            "option device is 'cuda', but torch finds no usable GPU in this process; "
            "set device to 'cpu', or run where the GPU is"
        )
    return torch.device(name)


def _by_shape(parts: Sequence[no_data.Part]) -> Collection[list[int]]:
    """Group the positions of parts that hold data by their shape: a batch has one."""
    shapes: dict[tuple[int, int], list[int]] = {}
    for index, part in enumerate(parts):
        if not part.empty:
            shapes.setdefault(part.shape, []).append(index)
    return shapes.values()


def in_batches(positions: list[int], size: int) -> Iterator[list[int]]:
    """Cut a list into pieces of one size, which may change on the device meanwhile."""
    for start in range(0, len(positions), size):
        yield positions[start : start + size]
