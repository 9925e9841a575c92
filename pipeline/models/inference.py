"""Runs a segmentation network on one window at a time: `SegmentationModel`, the `Model` of this room.

One window gives the same answer whatever else is asked:

- a batch is always one window, so it has no mates that could change how a kernel rounds;
- every calling thread runs its window alone. Concurrency comes from the callers, and the order in
  which a sum is taken never depends on how many cores were idle;
- on a GPU windows queue at a lock, without TF32 and without the search for the fastest kernel.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pipeline.errors import ModelError
from pipeline.models import allocator, no_data
from pipeline.types import Code, ModelCard

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
CPU = torch.device("cpu")


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
        self,
        card: ModelCard,
        net: nn.Module,
        normalisation: Normalisation,
        codes: NDArray[np.uint8],
        stride: int,
    ) -> None:
        """Move a network to its device and precision.

        Parameters
        ----------
        card
            Its options ``device`` and ``precision`` say where and how the network runs.
        net
            (1, B, H, W) normalised reflectance -> (1, K, H, W) logits, float32, on the CPU.
        normalisation
            For the B bands in the order of the card's roles.
        codes
            (K,) codes of `pipeline.types.Code` for the network's classes.
        stride
            Edges of a window are multiples of this.

        Raises
        ------
        ModelError
            The card asks for a GPU and there is none.
        """
        self._card = card
        self._normalisation = normalisation
        self._codes = codes
        self._stride = stride
        self._device = _device(card.options["device"])
        self._dtype = PRECISIONS[card.options["precision"]]
        self._gpu = threading.Lock()
        self._net = net.to(self._device, self._dtype).eval()
        allocator.keep_freed_memory()

    @property
    def card(self) -> ModelCard:
        """The model's card."""
        return self._card

    def predict(self, window: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Classify one window.

        Parameters
        ----------
        window
            (B, H, W) float32 reflectance in the order of the card's roles, NaN = no data; H and W
            are multiples of the network's stride.

        Returns
        -------
        (H, W) uint8 codes of `pipeline.types.Code`; no data where a band is NaN.

        Raises
        ------
        ModelError
            The window has another shape or dtype, or a value is infinite.
        """
        self._check(window)
        missing = no_data.is_missing(window)
        if missing.all():
            return np.full(missing.shape, Code.NO_DATA, np.uint8)
        classes = self._run(no_data.mirror(window, missing)).argmax(dim=1)[0].to(torch.uint8)
        codes: NDArray[np.uint8] = self._codes[classes.cpu().numpy()]
        codes[missing] = Code.NO_DATA
        return codes

    def logits(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what the network says before the choice of a class: (K, H, W) float32.

        Parameters
        ----------
        window
            As for `predict`, without NaN.
        """
        self._check(window)
        logits: NDArray[np.float32] = self._run(window.copy())[0].float().cpu().numpy()
        return logits

    def _run(self, window: NDArray[np.float32]) -> torch.Tensor:
        # The window is ours to write to. B H W -> 1 B H W, bands innermost in memory.
        x = torch.from_numpy(self._normalisation.apply(window)).unsqueeze(0)
        x = x.to(self._device, self._dtype, memory_format=torch.channels_last)
        with self._alone(), torch.inference_mode():
            logits: torch.Tensor = self._net(x)
        return logits

    def _check(self, window: NDArray[np.float32]) -> None:
        bands = len(self._card.roles)
        fits = (
            window.ndim == 3
            and window.shape[0] == bands
            and all(edge > 0 and edge % self._stride == 0 for edge in window.shape[1:])
        )
        if not fits or window.dtype != np.float32:
            raise ModelError(
                f"{self._card.name} takes float32 windows of {bands} bands with edges that are "
                f"multiples of {self._stride} px; got {window.dtype} {window.shape}"
            )
        # An infinite value makes the whole window NaN, and the largest of three NaN is class 0: clear.
        n_infinite = int(np.count_nonzero(np.isinf(window)))
        if n_infinite:
            raise ModelError(f"a window has {n_infinite} infinite reflectances; no data is NaN")

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        if self._device == CPU:
            # The setting belongs to the calling thread: one that ran torch before keeps its own
            # number whatever another thread sets.
            if torch.get_num_threads() != 1:
                torch.set_num_threads(1)
            yield
            return
        exact = torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=False
        )
        with self._gpu, exact:
            yield


def _device(name: str) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise ModelError(
            "option device is 'cuda', but torch finds no usable GPU in this process; "
            "set device to 'cpu', or run where the GPU is"
        )
    return torch.device(name)
