"""True classes seen through the labels of a data set, or of fewer classes: for studies of what partial labels teach."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets import labels
from pipeline.datasets.labels import DatasetCard
from pipeline.types import Code

THREE = (labels.CLEAR, labels.SHADOW, labels.CLOUD)
"""What nearly every scheme tells apart: clear ground, shadow, cloud."""

CODES = tuple(code for code in Code if code != Code.NO_DATA)


def says(card: DatasetCard) -> bool:
    """Return whether a data set has a label for every class."""
    return all(any(label >> code & 1 for label in card.known) for code in CODES)


def view(known: Collection[int]) -> NDArray[np.uint8]:
    """Return how labels look to those who have certain labels alone.

    Parameters
    ----------
    known
        Labels, sets of codes as bits; every class is in one of them. A class is called by the label that leaves
        least open.

    Returns
    -------
    (256,) label -> all that it may be called: where a label leaves two classes open, the labels of both together. No
    data stays no data, and what is ignored is ignored.
    """
    called = {
        code: min((each.bit_count(), each) for each in known if each >> code & 1)[1]
        for code in CODES
    }
    table = np.zeros(256, np.uint8)
    for label in range(256):
        if label & labels.NO_DATA:
            table[label] |= labels.NO_DATA
        for code, name in called.items():
            if label >> code & 1:
                table[label] |= name
    return table
