"""CUDA streams: windows are copied to the GPU, and results back, while the network computes.

::

    a thread's copies   |w0 up|        |w3 up|   |c0 down|         |c3 down|
    another's                 |w1 up|                    |c1 down|
    the network               |  w0  ||  w1  ||  w2  ||  w3  |

The network runs on one stream, batch after batch without a pause; each calling thread has another for its copies
from and to pinned memory. CUDA graphs would gain nothing: a batch of some megapixels computes for much longer than
it takes to queue its kernels, and they are queued while the previous batch computes.
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
"""Takes images (n, B, h, w) float32 and companion arrays (n, …), both on the device."""


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
    """One GPU of this process; thread-safe."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        # Streams do not wait for each other: the weights, copied on the default one, must have arrived.
        torch.cuda.synchronize(device)
        self._network = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._turn = threading.Lock()
        self._own = threading.local()

    def run(
        self, images: Sequence[NDArray[np.float32]], beside: NDArray[Any], work: Work
    ) -> Arrays:
        """Run a function on a batch on the device.

        Parameters
        ----------
        images
            n times (B, h, w) float32.
        beside
            (n, …), companion arrays of the images.
        work
            The function to run.

        Returns
        -------
        The arrays (n, …) that `work` returns, in pinned memory.

        Raises
        ------
        torch.OutOfMemoryError
            The device lacks the memory for the batch.
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
        """Copy arrays of one shape to the device as one batch."""
        first = arrays[0]
        dtype = torch.from_numpy(np.empty(0, first.dtype)).dtype
        pinned = torch.empty((len(arrays), *first.shape), dtype=dtype, pin_memory=True)
        buffer = pinned.numpy()
        for index, each in enumerate(arrays):
            buffer[index] = each
        # Torch does not reuse the pinned memory before the copy has ended.
        return pinned.to(self._device, non_blocking=True)

    def _computed(
        self, given: tuple[torch.Tensor, torch.Tensor], work: Work, copies: torch.cuda.Stream
    ) -> tuple[torch.Tensor, ...]:
        """Queue the work after the copy of its batch, and the thread's next copies after the work."""
        exact = torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=False
        )
        # The lock covers queuing the kernels, not their execution.
        with self._turn, exact, torch.inference_mode(), torch.cuda.stream(self._network):
            self._network.wait_stream(copies)
            for each in given:
                # The allocator must not reuse the memory before the network has read it.
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
    """Start copying a result to the host; it is complete when the stream is synchronised."""
    answer = torch.empty(made.shape, dtype=made.dtype, pin_memory=True)
    answer.copy_(made, non_blocking=True)
    made.record_stream(copies)
    return answer
