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

from dataclasses import dataclass

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


MARGIN_PX = 32
"""How far beyond its data a window is shown: the mirror gives what lies near an edge some context."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The part of a window that a network has to see, because there is data in it or close by."""

    window: NDArray[np.float32]
    """(B, h, w), NaN = no data."""
    missing: NDArray[np.bool_]
    """(h, w)."""
    where: tuple[slice, slice]
    """Its rows and columns in the window."""

    @property
    def empty(self) -> bool:
        """Whether there is no data at all."""
        return self.missing.size == 0

    @property
    def shape(self) -> tuple[int, int]:
        """(h, w)."""
        h, w = self.missing.shape
        return h, w

    def filled(self) -> NDArray[np.float32]:
        """Return a copy without gaps; see `mirror`."""
        return mirror(self.window, self.missing)


def cut(window: NDArray[np.float32], stride: int) -> Part:
    """Cut away the rows and columns of a window that lie beyond its data.

    At the border of a swath or a scene most of a window can be empty; running it would cost as
    much as a full one.

    Parameters
    ----------
    window
        (B, H, W), edges multiples of `stride`.
    stride
        Edges of the part are multiples of this and start at one, in pixels.

    Returns
    -------
    A view of the rows and columns with data and `MARGIN_PX` beyond, rounded outwards.
    """
    missing = is_missing(window)
    ys, xs = (_span(missing, axis, stride) for axis in (1, 0))
    return Part(window=window[:, ys, xs], missing=missing[ys, xs], where=(ys, xs))


def _span(missing: NDArray[np.bool_], axis: int, stride: int) -> slice:
    held = np.flatnonzero(~missing.all(axis=axis))
    if held.size == 0:
        return slice(0, 0)
    start = max(int(held[0]) - MARGIN_PX, 0) // stride * stride
    stop = -(-(int(held[-1]) + 1 + MARGIN_PX) // stride) * stride
    return slice(start, min(stop, missing.shape[1 - axis]))
