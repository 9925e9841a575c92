"""How windows reach a GPU and their scores come back while it computes.

::

    a thread's copies   |w0 up|        |w3 up|   |s0 down|         |s3 down|
    another's                 |w1 up|                    |s1 down|
    the network               |  w0  ||  w1  ||  w2  ||  w3  |

The network has a stream of its own, on which batches follow each other without a gap; each calling thread has
one for its copies, from and to pinned memory.
"""

from __future__ import annotations

import threading

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn


class Gpu:
    """One GPU of this process; safe to call from several threads at once."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        # Streams do not wait for each other: what was sent on another one, weights, has to be there.
        torch.cuda.synchronize(device)
        self._network = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._turn = threading.Lock()
        self._own = threading.local()

    def scores(
        self, net: nn.Module, windows: torch.Tensor, dtype: torch.dtype, count: int
    ) -> NDArray[np.float32]:
        """Run a network on a batch.

        Parameters
        ----------
        net
            On this device, in `dtype`.
        windows
            (N, B, H, W) float32, on the CPU.
        dtype
            What the network computes in.
        count
            How many of the batch's scores are wanted.

        Returns
        -------
        (count, K, H, W) float32.

        Raises
        ------
        torch.OutOfMemoryError
            The device has not the memory for the batch.
        """
        copies = self._copies()
        with torch.cuda.stream(copies):
            # As float32: what the CPU converts is not pinned any more.
            x = windows.pin_memory().to(self._device, non_blocking=True)
            x = x.to(dtype, memory_format=torch.channels_last)
        scores = self._computed(net, x, copies, count)
        with torch.cuda.stream(copies):
            answer = torch.empty(scores.shape, dtype=torch.float32, pin_memory=True)
            answer.copy_(scores, non_blocking=True)
            scores.record_stream(copies)
        copies.synchronize()
        found: NDArray[np.float32] = answer.numpy()
        return found

    def _computed(
        self, net: nn.Module, x: torch.Tensor, copies: torch.cuda.Stream, count: int
    ) -> torch.Tensor:
        """Queue up the network behind the batch's copy, and the thread's copies behind the network."""
        exact = torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=False
        )
        # Held while kernels are queued up, not while they run.
        with self._turn, exact, torch.inference_mode(), torch.cuda.stream(self._network):
            self._network.wait_stream(copies)
            # The allocator must not hand on its memory before the network has read it.
            x.record_stream(self._network)
            scores: torch.Tensor = net(x)[:count].float().contiguous()
            copies.wait_stream(self._network)
        return scores

    def _copies(self) -> torch.cuda.Stream:
        if not hasattr(self._own, "stream"):
            self._own.stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        stream: torch.cuda.Stream = self._own.stream
        return stream
