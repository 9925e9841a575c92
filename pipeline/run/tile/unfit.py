"""Count pixels whose numbers are no reflectance, for the record."""

from __future__ import annotations

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from pipeline.types import UNFIT


def unfit_counts(
    kinds: da.Array, weights: NDArray[np.bool_] | NDArray[np.int32] | None = None
) -> da.Array:
    """Count pixels by kind, lazily: (time, y, x) as a cube's ``unfit`` -> (time, kind of `UNFIT`).

    `weights`, (time, y, x) or (y, x), says which pixels count, or for how many; none: each for one.
    """
    each: da.Array | int = 1
    if weights is not None:
        each = da.from_array(weights, chunks=kinds.chunks[-weights.ndim :])
    sums = [((kinds == code) * each).sum(axis=(1, 2)) for code in range(1, len(UNFIT) + 1)]
    return da.stack(sums, axis=1)
