"""The seam between `composite` and the device that it may compose on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray


class Device(Protocol):
    """Something that computes, with a memory of its own; picklable, thread-safe."""

    def free_bytes(self) -> int:
        """Return how much of its memory is free."""
        ...

    def run(
        self, work: Callable[..., tuple[Any, ...]], arrays: Sequence[NDArray[Any]]
    ) -> tuple[NDArray[Any], ...]:
        """Copy arrays to the device, compute, and copy the results back.

        Parameters
        ----------
        work
            Takes the arrays in their order, and returns arrays, all of the device's library.
        arrays
            What to copy, of any shape.

        Raises
        ------
        MemoryError
            The device has not the memory.
        """
        ...
