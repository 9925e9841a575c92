"""How good masks and composites are, in numbers.

::

    confusion.py    counts of agreement and what follows from them: F1, IoU, accuracy, …
    truth.py        the simulated truth, scene by scene, on any grid
    accuracy.py     what is reported, as rows and as plain values
    against.py      an archive against the truth: `against_truth`
"""

from pipeline.evaluate.accuracy import Accuracy, BandErrors, PeriodAccuracy, SceneAccuracy
from pipeline.evaluate.against import BANDS, Observations, against_truth
from pipeline.evaluate.confusion import (
    Agreement,
    ClassScores,
    class_scores,
    confusion,
    median_skipping,
    overall_accuracy,
)
from pipeline.evaluate.truth import CLASSES, Truth

__all__ = [
    "BANDS",
    "CLASSES",
    "Accuracy",
    "Agreement",
    "BandErrors",
    "ClassScores",
    "Observations",
    "PeriodAccuracy",
    "SceneAccuracy",
    "Truth",
    "against_truth",
    "class_scores",
    "confusion",
    "median_skipping",
    "overall_accuracy",
]
