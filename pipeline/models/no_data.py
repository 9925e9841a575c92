"""What a network sees where there is no data.

A network sees its whole window, so whatever stands in for the missing part reaches the rest. Zeros look
like deep shadow and a band's mean like haze; both end in an edge that nature does not have. Here the
image goes on as in a mirror held at the border of the data. Measured on five images of which a part was
cut away (mean share of the remaining pixels that keep the class they had in the whole image; the same
images served to choose the method):

=================================  =====  ==========  =======  =======
cut away                           zeros  band means  nearest   mirror
=================================  =====  ==========  =======  =======
30 % beyond a slanted swath edge    .973        .980     .985     .990
gaps of 20 px every 80 px           .744        .791     .971     .971
=================================  =====  ==========  =======  =======
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

REPEAT_PX = 8
"""So far into a gap the nearest pixel is repeated; mirrored texture only pays beyond that."""


def is_missing(window: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Say which pixels (H, W) of a window (B, H, W) lack a band; they take no part at all."""
    missing: NDArray[np.bool_] = np.logical_or.reduce(np.isnan(window), axis=0)
    return missing


def mirror(window: NDArray[np.float32], missing: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Fill the missing pixels of a window.

    Parameters
    ----------
    window
        (B, H, W).
    missing
        (H, W); not true everywhere.

    Returns
    -------
    A new array. A missing pixel takes the value of the nearest one that is not; farther than
    `REPEAT_PX` from it, that of the pixel as far behind the border of the data as itself before it,
    unless that one is missing too or outside.
    """
    filled = window.copy()
    if not missing.any():
        return filled
    distances, nearest = ndimage.distance_transform_edt(missing, return_indices=True)
    # From here on one entry a missing pixel; a point is a column (y, x).
    here = np.array(np.nonzero(missing))
    near = nearest[:, *here]
    far = 2 * near - here
    inside = np.all((far >= 0) & (far < np.array([missing.shape]).T), axis=0)
    far = np.where(inside, far, near)
    mirrored = ~missing[*far] & (distances[*here] > REPEAT_PX)
    filled[:, *here] = window[:, *np.where(mirrored, far, near)]
    return filled
