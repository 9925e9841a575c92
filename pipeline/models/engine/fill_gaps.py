"""Fills the pixels without data before a network sees a window.

A network sees its whole window, so the values put into a gap affect the rest. Zeros look like deep shadow and a
band's mean like haze, and both make an artificial edge. Here the image is mirrored at the border of the data.
Measured on five images with a part cut away: mean share of the remaining pixels that keep the class they had in
the whole image (the method was chosen on the same images).

=================================  =====  ==========  =======  =======
cut away                           zeros  band means  nearest   mirror
=================================  =====  ==========  =======  =======
30 % beyond a slanted swath edge    .973        .980     .985     .990
gaps of 20 px every 80 px           .744        .791     .971     .971
=================================  =====  ==========  =======  =======
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

REPEAT_PX = 8
"""Up to this distance from the data the nearest pixel is repeated; mirroring is better only beyond it."""


def is_missing(window: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which pixels (H, W) of a window (B, H, W) lack a band; they count as no data in all bands."""
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
    A new array. A missing pixel takes the value of the nearest pixel with data. Farther than `REPEAT_PX` from it,
    the pixel is mirrored at the border of the data instead, unless its mirror image is missing or outside.
    """
    filled = window.copy()
    if missing.any():
        span = tuple(_data_span(missing, axis) for axis in (1, 0))
        if missing[span].any():
            _fill_gaps(filled, missing)
        else:
            _fill_round(filled, span)
    return filled


def _data_span(missing: NDArray[np.bool_], axis: int) -> slice:
    """Return the rows (1) or columns (0) from the first to the last one with data."""
    positions = np.flatnonzero(~missing.all(axis=axis))
    return slice(int(positions[0]), int(positions[-1]) + 1) if positions.size else slice(0, 0)


def _fill_gaps(image: NDArray[np.float32], missing: NDArray[np.bool_]) -> None:
    """Fill gaps of any shape in place."""
    distances, nearest = ndimage.distance_transform_edt(missing, return_indices=True)
    # From here on arrays have one column (y, x) per missing pixel.
    here = np.array(np.nonzero(missing))
    near = nearest[:, *here]
    far = 2 * near - here
    inside = np.all((far >= 0) & (far < np.array([missing.shape]).T), axis=0)
    far = np.where(inside, far, near)
    mirrored = ~missing[*far] & (distances[*here] > REPEAT_PX)
    image[:, *here] = image[:, *np.where(mirrored, far, near)]


def _fill_round(image: NDArray[np.float32], span: tuple[slice, ...]) -> None:
    """Fill in place round a rectangle of data, as at the edges of scenes; ten times as fast as `_fill_gaps`."""
    height, width = image.shape[1:]
    rows, cols = span
    for part in (
        (slice(0, rows.start), slice(0, width)),
        (slice(rows.stop, height), slice(0, width)),
        (rows, slice(0, cols.start)),
        (rows, slice(cols.stop, width)),
    ):
        (near_y, far_y, off_y), (near_x, far_x, off_x) = (
            _mirrored(*each) for each in zip(np.ogrid[part], span, strict=True)
        )
        far = (off_y**2 + off_x**2 > REPEAT_PX**2) & (far_y >= 0) & (far_x >= 0)
        ys, xs = np.where(far, far_y, near_y), np.where(far, far_x, near_x)
        image[:, *part] = image[:, ys, xs]


def _mirrored(
    here: NDArray[np.intp], span: slice
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return, along an axis, the nearest positions with data, the mirrored ones (-1: none), and how far it is."""
    near = np.clip(here, span.start, span.stop - 1)
    far = 2 * near - here
    return near, np.where((far >= span.start) & (far < span.stop), far, -1), here - near


@dataclass(frozen=True, slots=True, eq=False)
class DataPart:
    """The part of a window that holds data, which is all that a network has to see."""

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


def cut(window: NDArray[np.float32], stride: int) -> DataPart:
    """Crop a window to its rows and columns with data.

    At the border of a swath or a scene most of a window can be empty, and would cost as much to run as a full one.
    Mirrored pixels beyond the crop gain nothing: of five images cut in 32 places each, .991 of the pixels kept
    their class (.977 within 32 px of the cut) without them, .991 (.974) with 32 px of them.

    Parameters
    ----------
    window
        (B, H, W), edges multiples of `stride`.
    stride
        The part starts at multiples of this, and its edges are multiples of it, in pixels.

    Returns
    -------
    A view of the rows and columns with data, rounded outwards to `stride`.
    """
    missing = is_missing(window)
    ys, xs = (_span(missing, axis, stride) for axis in (1, 0))
    return DataPart(window=window[:, ys, xs], missing=missing[ys, xs], where=(ys, xs))


def _span(missing: NDArray[np.bool_], axis: int, stride: int) -> slice:
    span = _data_span(missing, axis)
    if span.stop == 0:
        return span
    return slice(span.start // stride * stride, -(-span.stop // stride) * stride)


# -- what a network sees of a window ------------------------------------------------------------

WHOLE = (slice(None), slice(None))


@dataclass(frozen=True, slots=True, eq=False)
class NetworkInput:
    """The image that a network gets for a window with data, and the part of the image that is run."""

    image: Callable[[], NDArray[np.float32]]
    """Returns (B, h, w) reflectance, computed when called."""
    inner: tuple[slice, slice]
    """Rows and columns of the image that the network is run on."""
    where: tuple[slice, slice]
    """The same rows and columns, in the window."""


Gaps = Callable[[NDArray[np.float32], int], NetworkInput | None]
"""Takes a window (B, H, W), NaN = no data, and the stride that its edges are multiples of; returns None for a
window without data."""


def mirrored(window: NDArray[np.float32], stride: int) -> NetworkInput | None:
    """Crop the window to its data, and fill the remaining gaps in a copy."""
    part = cut(window, stride)
    return None if part.empty else NetworkInput(part.filled, WHOLE, part.where)


def only_cut(window: NDArray[np.float32], stride: int) -> NetworkInput | None:
    """Crop the window to its data, and leave the gaps as NaN."""
    part = cut(window, stride)
    return None if part.empty else NetworkInput(lambda: window, part.where, part.where)


def as_it_is(window: NDArray[np.float32], stride: int) -> NetworkInput | None:  # noqa: ARG001 - one of `Gaps`
    """Run the whole window, gaps as NaN."""
    return None if np.isnan(window).all() else NetworkInput(lambda: window, WHOLE, WHOLE)
