"""The bands of some scenes laid out by time, and where they are numbers: compiled, one pass for each band."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.composite.evidence.states import UNUSABLE
from pipeline.composite.kernels.compiled import compiled

_NO, _0 = np.uint8(UNUSABLE), np.float32(0)


@compiled
def gather(
    band: NDArray[Any],
    first: int,
    rows: NDArray[np.intp],
    to: NDArray[np.float32],
    state: NDArray[np.uint8],
) -> None:
    """Lay out some pixels of a band by time, and call unusable what is not finite.

    Parameters
    ----------
    band
        (S, M) reflectance, contiguous: known to be so, many pixels are worked on at a time.
    first
        The first of N pixels.
    rows
        (S,) where each scene is by time.
    to
        (T, N), written in these rows.
    state
        (T, N), written: `UNUSABLE` where the band is not finite.
    """
    for scene in range(len(rows)):
        row, shown = to[rows[scene]], state[rows[scene]]
        seen = band[scene, first : first + len(shown)]
        for k in range(len(shown)):
            row[k] = seen[k]
            # 0 for any number, NaN for the others.
            shown[k] = shown[k] if seen[k] * _0 == _0 else _NO


@compiled
def admit(
    band: NDArray[Any], first: int, rows: NDArray[np.intp], state: NDArray[np.uint8]
) -> None:
    """Do as `gather`, of a band that is not judged."""
    for scene in range(len(rows)):
        shown = state[rows[scene]]
        seen = band[scene, first : first + len(shown)]
        for k in range(len(shown)):
            shown[k] = shown[k] if seen[k] * _0 == _0 else _NO
