"""Accuracy of masks and composites.

::

    confusion.py    counts of agreement and what follows from them: F1, IoU, accuracy, …
    -- an archive against the truth it was simulated from --
    truth.py        the simulated truth, scene by scene, on any grid
    accuracy.py     what is reported, as rows and as plain values
    against.py      an archive against the truth: `against_truth`
    -- a model against labels that people drew (docs/evaluation.md; the data sets are in pipeline/datasets) --
    leaks.py        which model was trained on which data set
    schemes.py      what is distinguished: cloud, invalid, three, four classes, the surface
    scoring.py      one image: integer counts, with and without borders
    statistics.py   pooled, by image, and bootstrap intervals over images
    labelled.py     all images of a data set: `evaluate_labelled`
    results.py      rows of tables and JSON
    page.py         one HTML page, with pictures of the worst images (templates/)
"""

from pipeline.evaluate.accuracy import Accuracy, BandErrors, PeriodAccuracy, SceneAccuracy
from pipeline.evaluate.against import BANDS, Observations, against_truth
from pipeline.evaluate.confusion import (
    Agreement,
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
    "Observations",
    "PeriodAccuracy",
    "SceneAccuracy",
    "Truth",
    "against_truth",
    "confusion",
    "median_skipping",
    "overall_accuracy",
]
