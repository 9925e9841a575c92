"""Count pixels whose numbers are no reflectance, for the record."""

from __future__ import annotations

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from pipeline.types import UNFIT


def unfit_counts(kinds: da.Array, where: NDArray[np.bool_] | None = None) -> da.Array:
    """Count pixels by kind, lazily: (time, y, x) as a cube's ``unfit`` -> (time, kind of `UNFIT`)."""
    if where is not None:
        kinds = kinds * da.from_array(where, chunks=kinds.chunks)
    sums = [(kinds == code).sum(axis=(1, 2)) for code in range(1, len(UNFIT) + 1)]
    return da.stack(sums, axis=1)
