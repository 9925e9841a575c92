"""A teacher: what another model says of an image narrows the labels that leave cloud open (distillation).

Only cloud or not cloud is taken from it, and only away from the borders of its clouds, where it is least sure.
People overrule it: where its opinion contradicts their labels, theirs stand.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline import models
from pipeline.datasets import labels
from pipeline.datasets.labels import DatasetCard, Labelled
from pipeline.evaluate.labelled import by_model
from pipeline.types import CLOUD, Code

UNSURE_PX = 2
"""Distance from the border of a teacher's cloud within which it is not listened to."""


class Teacher:
    """A model that is asked about images without labels, or with labels that leave cloud open."""

    def __init__(self, name: str, card: DatasetCard) -> None:
        """Load a model for the images of a data set.

        Raises
        ------
        ModelError
            There is no such model, or it does not fit the images.
        """
        chosen = models.resolve(name, level=card.level, roles=card.roles)
        self._masker = by_model(models.load(chosen), card)

    def taught(self, image: Labelled) -> Labelled:
        """Return an image with narrower labels."""
        return replace(image, labels=narrowed(image.labels, self._masker.predict(image)))


def narrowed(drawn: NDArray[np.uint8], codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Narrow labels by what a teacher found.

    Parameters
    ----------
    drawn
        (y, x) labels: sets of codes as bits; 0: nothing is known.
    codes
        (y, x) the teacher's codes.

    Returns
    -------
    (y, x) labels.
    """
    said = opinion(codes)
    both = np.where(drawn == labels.IGNORED, said, drawn & said)
    return np.where(both > 0, both, drawn)


def opinion(codes: NDArray[np.uint8], *, shadows: bool = False) -> NDArray[np.uint8]:
    """Return what a mask says for sure: nothing within `UNSURE_PX` of where it changes its mind.

    Parameters
    ----------
    codes
        (y, x) codes.
    shadows
        Whether it is believed where it tells shadow from clear ground, too.

    Returns
    -------
    (y, x) labels.
    """
    cloud, shadow = np.isin(codes, CLOUD), codes == Code.CLOUD_SHADOW
    ground = ~cloud & (codes != Code.NO_DATA)
    groups = [(labels.CLOUD, cloud)]
    if shadows:
        groups += [(labels.SHADOW, shadow), (labels.CLEAR, ground & ~shadow)]
    else:
        groups += [(labels.NOT_CLOUD, ground)]
    near = np.ones((2 * UNSURE_PX + 1, 2 * UNSURE_PX + 1), bool)
    said = np.zeros(codes.shape, np.uint8)
    for label, where in groups:
        said[ndimage.binary_erosion(where, near, border_value=1)] = label
    return said
