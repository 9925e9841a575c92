"""Counts of agreement between a truth and a prediction, and the measures that follow from them.

Counts are integers, one matrix a scene, and are summed before anything is divided. What is nothing
out of nothing (the recall of a class that the truth does not have) is NaN, and is skipped and
counted where scenes are summarised: it is neither a success nor a failure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def confusion(
    truth: NDArray[np.uint8], predicted: NDArray[np.uint8], n_classes: int
) -> NDArray[np.int64]:
    """Count the pixels of every pair of classes.

    Parameters
    ----------
    truth, predicted
        Classes, 0 to ``n_classes - 1``, of the same pixels; any shape.
    n_classes
        How many classes there are.

    Returns
    -------
    (n_classes, n_classes) int64: row = true class, column = predicted class.

    Raises
    ------
    ValueError
        The shapes differ, or a class is out of range.
    """
    if truth.shape != predicted.shape:
        raise ValueError(f"truth is {truth.shape}, the prediction {predicted.shape}")
    pairs = truth.astype(np.int64).ravel() * n_classes + predicted.ravel()
    if truth.size and max(truth.max(), predicted.max()) >= n_classes:
        raise ValueError(f"a class is not below {n_classes}")
    counts = np.bincount(pairs, minlength=n_classes**2).astype(np.int64)
    return counts.reshape(n_classes, n_classes)


def ratio(part: float, whole: float) -> float:
    """Divide; nothing out of nothing is NaN, something out of nothing infinite."""
    if whole == 0:
        return math.nan if part == 0 else math.inf
    return part / whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """One class against the rest: four counts, and the measures under their usual names."""

    tp: int
    """In the class by both."""
    fn: int
    """In the class by the truth alone."""
    fp: int
    """In the class by the prediction alone."""
    tn: int
    """In the class by neither."""

    @classmethod
    def of(cls, matrix: NDArray[np.int64], index: int) -> Agreement:
        """Read one class off a confusion matrix."""
        tp = int(matrix[index, index])
        fn = int(matrix[index].sum()) - tp
        fp = int(matrix[:, index].sum()) - tp
        return cls(tp=tp, fn=fn, fp=fp, tn=int(matrix.sum()) - tp - fn - fp)

    @property
    def total(self) -> int:
        """All pixels."""
        return self.tp + self.fn + self.fp + self.tn

    @property
    def recall(self) -> float:
        """True positive rate: share of the true class that was found."""
        return ratio(self.tp, self.tp + self.fn)

    @property
    def precision(self) -> float:
        """Positive predictive value: share of the predicted class that is true."""
        return ratio(self.tp, self.tp + self.fp)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def iou(self) -> float:
        """Intersection over union; also threat score."""
        return ratio(self.tp, self.tp + self.fp + self.fn)

    @property
    def accuracy(self) -> float:
        """Share of all pixels that agree."""
        return ratio(self.tp + self.tn, self.total)

    @property
    def balanced_accuracy(self) -> float:
        """Mean of the recalls of the class and of the rest."""
        return (self.recall + ratio(self.tn, self.fp + self.tn)) / 2


def overall_accuracy(matrix: NDArray[np.int64]) -> float:
    """Return the share of pixels whose class agrees."""
    return ratio(int(np.trace(matrix)), int(matrix.sum()))


def median_skipping(values: Iterable[float]) -> tuple[float, int]:
    """Return the median of what is not NaN, and how many were."""
    every = np.fromiter(values, dtype=np.float64)
    known = every[~np.isnan(every)]
    median = float(np.median(known)) if known.size else math.nan
    return median, int(every.size - known.size)
