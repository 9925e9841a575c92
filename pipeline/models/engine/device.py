"""A device of torch for work that is no network's: composites are computed on it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

_TURN = threading.Lock()
"""Two pieces of work, each as large as the memory that was free, would not fit together."""


@dataclass(frozen=True, slots=True)
class TorchDevice:
    """A device by its name in torch: a `pipeline.types.Device`."""

    name: Literal["cuda", "cpu"]
    memory_bytes: int = 2**30
    """What ``cpu`` may hold; a GPU is asked."""

    def free_bytes(self) -> int:
        """See `pipeline.types.Device`."""
        if self.name == "cpu":
            return self.memory_bytes
        free, _ = torch.cuda.mem_get_info()
        # What torch keeps for itself and does not use is free as well.
        return free + torch.cuda.memory_reserved() - torch.cuda.memory_allocated()

    def run(
        self, work: Callable[..., tuple[Any, ...]], arrays: Sequence[NDArray[Any]]
    ) -> tuple[NDArray[Any], ...]:
        """See `pipeline.types.Device`."""
        with _TURN, torch.inference_mode():
            try:
                there = [self._there(each) for each in arrays]
                return tuple(each.cpu().numpy() for each in work(*there))
            except torch.OutOfMemoryError as error:
                raise MemoryError(str(error)) from None

    def _there(self, array: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(np.require(array, requirements=["C", "W"])).to(self.name)
