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
    cloud = np.isin(codes, CLOUD)
    seen = codes != Code.NO_DATA
    near = np.ones((2 * UNSURE_PX + 1, 2 * UNSURE_PX + 1), bool)
    sure = ndimage.binary_erosion(cloud, near, border_value=1)
    never = ndimage.binary_erosion(~cloud & seen, near, border_value=1)
    opinion = np.where(sure, labels.CLOUD, np.where(never, labels.NOT_CLOUD, 0))
    opinion = opinion.astype(np.uint8)
    both = np.where(drawn == labels.IGNORED, opinion, drawn & opinion)
    return np.where(both > 0, both, drawn)
