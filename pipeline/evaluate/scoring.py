"""One image scored: integer counts, and how many pixels were not counted, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.datasets import labels as sets
from pipeline.datasets.labels import Labelled
from pipeline.errors import LabelledDataError
from pipeline.evaluate.confusion import confusion
from pipeline.evaluate.schemes import DOUBTFUL, Scheme
from pipeline.types import Code

BUFFERS_PX = (0, 2)
"""Widths of what is left out along borders of classes; 0 is always reported beside the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemeCounts:
    """Pixels of one image under one scheme."""

    matrix: NDArray[np.int64]
    """(K, K): row = group of the label, column = group of the prediction."""
    doubtful: int
    """Labelled, but the label allows more than one group: not counted."""
    near_border: int
    """Left out because another group of the label is within the buffer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageScore:
    """One image."""

    id: str
    split: str | None
    tags: Mapping[str, str]
    counts: Mapping[tuple[str, int], SchemeCounts]
    """(Name of a scheme, buffer in pixels) -> counts. Points have no borders: buffer 0 alone."""
    pixels: int
    nodata: int
    """Pixels whose label says that there is no image: not counted."""
    ignored: int
    """Pixels without a label, or with one that is to be ignored: not counted."""
    unpredicted: int
    """Labelled pixels for which the prediction is no data: not counted."""


def score(
    labelled: Labelled,
    codes: NDArray[np.uint8],
    schemes: Sequence[Scheme],
    buffers_px: Sequence[int] = BUFFERS_PX,
) -> ImageScore:
    """Compare a prediction with the labels of an image.

    Parameters
    ----------
    labelled
        The image.
    codes
        Codes of `Code`, of the labels' shape.
    schemes
        Which classes are distinguished.
    buffers_px
        Widths of the border that is left out, Chebyshev; 0 is added if it is missing, because
        scores away from borders say nothing on their own.

    Raises
    ------
    LabelledDataError
        The shapes differ.
    """
    given = labelled.labels
    if codes.shape != given.shape:
        raise LabelledDataError(
            f"image {labelled.id}: the mask is {codes.shape}, expected {given.shape} as the labels"
        )
    nodata = given == sets.NO_DATA
    ignored = given == sets.IGNORED
    labelled_pixels = ~(nodata | ignored)
    counted = labelled_pixels & (codes != Code.NO_DATA)
    buffers = sorted({0, *buffers_px}) if given.ndim == 2 else [0]
    return ImageScore(
        id=labelled.id,
        split=labelled.split,
        tags=labelled.tags,
        counts={
            (scheme.name, buffer): _counts(scheme, given, codes, counted, buffer)
            for scheme in schemes
            for buffer in buffers
        },
        pixels=given.size,
        nodata=int(np.count_nonzero(nodata)),
        ignored=int(np.count_nonzero(ignored)),
        unpredicted=int(np.count_nonzero(labelled_pixels & ~counted)),
    )


def _counts(
    scheme: Scheme,
    given: NDArray[np.uint8],
    codes: NDArray[np.uint8],
    counted: NDArray[np.bool_],
    buffer: int,
) -> SchemeCounts:
    truth = scheme.of_labels(given)
    doubtful = counted & (truth == DOUBTFUL)
    near = near_border(truth, buffer) if buffer else np.zeros_like(counted)
    decided = counted & ~doubtful
    scored = decided & ~near
    return SchemeCounts(
        matrix=confusion(truth[scored], scheme.of_codes(codes[scored]), len(scheme.groups)),
        doubtful=int(np.count_nonzero(doubtful)),
        near_border=int(np.count_nonzero(decided & near)),
    )


def near_border(groups: NDArray[np.uint8], buffer_px: int) -> NDArray[np.bool_]:
    """Say which pixels have another group within some pixels, diagonals included.

    Borders to what has no group (`DOUBTFUL`) are none: nobody drew a line there.
    """
    size = 2 * buffer_px + 1
    known = groups != DOUBTFUL
    highest = ndimage.maximum_filter(np.where(known, groups, 0), size=size, mode="nearest")
    lowest = ndimage.minimum_filter(groups, size=size, mode="nearest")
    near: NDArray[np.bool_] = known & (highest != lowest)
    return near
