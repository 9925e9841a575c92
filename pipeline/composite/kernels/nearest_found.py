"""How far pixels are from the nearest that was found; compiled.

Whole numbers throughout: the same wherever the array begins.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.composite.kernels.compiled import compiled

FAR = 2**31 - 1
"""Where nothing was found within reach."""


@compiled
def squares(
    found: NDArray[np.bool_],
    rows: tuple[int, int],
    columns: tuple[int, int],
    reach: int,
) -> NDArray[np.int32]:
    """Return the squared distances to the nearest pixel found, in pixels, of the rows and columns wanted.

    Those above `reach` squared, and `FAR`, only say that it is farther. First along columns, then along rows the lower
    envelope of the parabolas that columns leave (Meijster et al. 2000, doi:10.1007/0-306-47025-X_36).
    """
    top, bottom = rows
    left, right = columns
    up = _along_columns(found, top, bottom, reach)
    n_columns = found.shape[1]
    out = np.full((bottom - top, right - left), FAR, np.int32)
    best = np.empty(n_columns, np.int64)
    since = np.empty(n_columns, np.int64)
    for y in range(bottom - top):
        last = _envelope(up[y], reach, best, since)
        if last < 0:
            continue
        for x in range(right - 1, left - 1, -1):
            while since[last] > x:
                last -= 1
            off, high = x - best[last], np.int64(up[y, best[last]])
            out[y, x - left] = off * off + high * high
    return out


@compiled
def _along_columns(
    found: NDArray[np.bool_], top: int, bottom: int, reach: int
) -> NDArray[np.int32]:
    """Return the distance along its column of each pixel of the rows, at most `reach` + 1."""
    n_rows, n_columns = found.shape
    far = np.int32(reach + 1)
    up = np.empty((bottom - top, n_columns), np.int32)
    off = np.full(n_columns, far, np.int32)
    for y in range(max(top - reach, 0), bottom):
        for x in range(n_columns):
            off[x] = np.int32(0) if found[y, x] else min(off[x] + np.int32(1), far)
        if y >= top:
            up[y - top] = off
    off[:] = far
    for y in range(min(bottom + reach, n_rows) - 1, top - 1, -1):
        for x in range(n_columns):
            off[x] = np.int32(0) if found[y, x] else min(off[x] + np.int32(1), far)
        if y < bottom:
            for x in range(n_columns):
                up[y - top, x] = min(up[y - top, x], off[x])
    return up


@compiled
def _envelope(
    up: NDArray[np.int32],
    reach: int,
    best: NDArray[np.int64],
    since: NDArray[np.int64],
) -> int:
    """Find which column is nearest `since` which pixel of a row; return the last of them, -1 = none in reach."""
    last = -1
    for x in range(len(up)):
        high = np.int64(up[x])
        if high > reach:
            continue
        start = 0
        while last >= 0:
            other, its = best[last], np.int64(up[best[last]])
            start = 1 + (x * x - other * other + high * high - its * its) // (2 * (x - other))
            if start > since[last]:
                break
            last -= 1
        if last < 0:
            start = 0
        if start < len(up):
            last += 1
            best[last], since[last] = x, start
    return last
