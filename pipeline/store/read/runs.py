"""Chunks of class codes as runs: what is counted in some pixels of many scenes at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_PX = 4096
"""Edge of the largest chunk whose pixels can be numbered in a run."""


def as_runs(codes: NDArray[Any]) -> NDArray[np.uint32]:
    """Return class codes, uint8 (y, x) of a chunk, as runs, uint32 (run): code << 24 | number of its first pixel."""
    flat = codes.ravel()
    starts = np.flatnonzero(flat[1:] != flat[:-1]).astype(np.uint32) + np.uint32(1)
    starts = np.concatenate([np.zeros(1, np.uint32), starts])
    found: NDArray[np.uint32] = flat[starts].astype(np.uint32) << 24 | starts
    return found
