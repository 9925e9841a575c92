"""How kernels are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Compile a function when it is first called, and keep the result on disk for the next process.

    Division by zero gives inf or NaN, as numpy's does: to ask first would keep loops from being vectorised.
    """
    try:
        return cast("F", njit(cache=True, nogil=True, error_model="numpy")(function))
    except RuntimeError:
        # No folder can be written, as in a container whose file system is read-only: each process compiles anew.
        return cast("F", njit(nogil=True, error_model="numpy")(function))
