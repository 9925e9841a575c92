"""How windows reach a GPU, and what is made of them comes back while it computes.

::

    a thread's copies   |w0 up|        |w3 up|   |c0 down|         |c3 down|
    another's                 |w1 up|                    |c1 down|
    the network               |  w0  ||  w1  ||  w2  ||  w3  |

The network has a stream of its own, on which batches follow each other without a gap; each calling thread has
one for its copies, from and to pinned memory. There are no CUDA graphs: a batch of some megapixels computes
for much longer than its kernels take to be queued up, and that happens while the one before computes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.errors import ModelError
from pipeline.models.families import machine

Arrays = tuple[NDArray[Any], ...]
Work = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, ...]]
"""Takes images (n, B, h, w) float32 and what goes with them (n, …), both on the device."""


def usable_device() -> torch.device:
    """Return the GPU of this process.

    Raises
    ------
    ModelError
        There is none.
    """
    if not torch.cuda.is_available():
        raise ModelError(machine.NO_GPU)
    return torch.device("cuda")


class Gpu:
    """One GPU of this process; safe to call from several threads at once."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        # Streams do not wait for each other: what was sent on another one, weights, has to be there.
        torch.cuda.synchronize(device)
        self._network = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._turn = threading.Lock()
        self._own = threading.local()

    def run(
        self, images: Sequence[NDArray[np.float32]], beside: NDArray[Any], work: Work
    ) -> Arrays:
        """Do some work on a batch.

        Parameters
        ----------
        images
            n times (B, h, w) float32.
        beside
            (n, …), what goes with them.
        work
            What is done on the device.

        Returns
        -------
        What the work returns, each (n, …), in memory that is pinned.

        Raises
        ------
        torch.OutOfMemoryError
            The device has not the memory for the batch.
        """
        copies = self._copies()
        with torch.cuda.stream(copies):
            given = (self._up(images), self._up(beside))
        made = self._computed(given, work, copies)
        with torch.cuda.stream(copies):
            answers = [_down(each, copies) for each in made]
        copies.synchronize()
        return tuple(each.numpy() for each in answers)

    def _up(self, arrays: Sequence[NDArray[Any]] | NDArray[Any]) -> torch.Tensor:
        """Send arrays of one shape, one after another in memory of the batch's own."""
        first = arrays[0]
        dtype = torch.from_numpy(np.empty(0, first.dtype)).dtype
        pinned = torch.empty((len(arrays), *first.shape), dtype=dtype, pin_memory=True)
        buffer = pinned.numpy()
        for index, each in enumerate(arrays):
            buffer[index] = each
        # Torch keeps the pinned memory from others until the copy is through.
        return pinned.to(self._device, non_blocking=True)

    def _computed(
        self, given: tuple[torch.Tensor, torch.Tensor], work: Work, copies: torch.cuda.Stream
    ) -> tuple[torch.Tensor, ...]:
        """Queue up the work behind the batch's copy, and the thread's copies behind the work."""
        exact = torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=False
        )
        # Held while kernels are queued up, not while they run.
        with self._turn, exact, torch.inference_mode(), torch.cuda.stream(self._network):
            self._network.wait_stream(copies)
            for each in given:
                # The allocator must not hand on its memory before the network has read it.
                each.record_stream(self._network)
            made = tuple(each.contiguous() for each in work(*given))
            copies.wait_stream(self._network)
        return made

    def _copies(self) -> torch.cuda.Stream:
        if not hasattr(self._own, "stream"):
            self._own.stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        stream: torch.cuda.Stream = self._own.stream
        return stream


def _down(made: torch.Tensor, copies: torch.cuda.Stream) -> torch.Tensor:
    """Send for what was made; it is there when the stream is through."""
    answer = torch.empty(made.shape, dtype=made.dtype, pin_memory=True)
    answer.copy_(made, non_blocking=True)
    made.record_stream(copies)
    return answer
