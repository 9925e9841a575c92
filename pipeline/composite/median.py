"""The median of each band over the usable observations.

Definition, band by band, of n usable observations sorted by value: the middle one for odd n, half
the sum of the two middle ones for even n (exact, in float64). Half of the observations may be wrong
before the median has to follow them.

Bands are independent of each other, so the spectrum of a pixel need not be one that was ever seen;
that is what the medoid (Flood 2013, doi:10.3390/rs5126481) and the geometric median (Roberts et al.
2017, "High-Dimensional Pixel Composites From Earth Observation Time Series") are for.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def median(
    bands: Sequence[NDArray[np.float32]], usable: NDArray[np.bool_]
) -> list[NDArray[np.float64]]:
    """Return the median of each band; see `pipeline.composite.blocks.Method`."""
    count = usable.sum(axis=0)
    lower = np.maximum(count - 1, 0) // 2
    upper = np.minimum(count // 2, len(usable) - 1)
    return [_middle(band, usable, lower, upper) for band in bands]


def _middle(
    band: NDArray[np.float32],
    usable: NDArray[np.bool_],
    lower: NDArray[np.intp],
    upper: NDArray[np.intp],
) -> NDArray[np.float64]:
    # What is not usable sorts to the end. Adding zero turns −0 into +0: which of the two a sort puts
    # first is left to its implementation, and bits would then depend on the machine.
    ranked = np.sort(np.where(usable, band + np.float32(0), np.float32(np.inf)), axis=0)
    low = np.take_along_axis(ranked, lower[np.newaxis], axis=0)[0]
    high = np.take_along_axis(ranked, upper[np.newaxis], axis=0)[0]
    # For odd n both are the same one, and half of its double is exact.
    middle: NDArray[np.float64] = (low.astype(np.float64) + high) * 0.5
    return middle
