"""Measures over images: pooled, by image, and their confidence intervals.

Names and definitions: precision, recall, F1, IoU and overall accuracy (OA) as everywhere; balanced
accuracy (BA) the mean of the recalls; the statistics of one class against the rest as in
`Agreement`; the difference of cloud fractions (CAD) predicted minus labelled, in percent points,
whose mean keeps the sign and whose mean of absolute values does not; user's (UA), producer's (PA)
and balanced overall accuracy (BOA) by class as in the PixBox comparisons (CMIX).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluate.confusion import Agreement, overall_accuracy, ratio
from pipeline.evaluate.schemes import Scheme

Matrix = NDArray[np.int64]
Measure = Callable[[Matrix], float]

DRAWS = 1000
"""Bootstrap samples."""
SEED = 20_260_101
"""Of the bootstrap: the same images give the same intervals."""
COVERAGE = 0.95


def balanced_accuracy(matrix: Matrix) -> float:
    """Return the mean of the recalls of the classes that the truth has; NaN where it has none."""
    totals = matrix.sum(axis=1)
    there = totals > 0
    if not there.any():
        return math.nan
    return float(np.mean(np.diag(matrix)[there] / totals[there]))


def fraction_difference(matrix: Matrix, group: int) -> float:
    """Return the predicted minus the labelled share of a group, in percent points."""
    difference = int(matrix[:, group].sum() - matrix[group].sum())
    return 100 * ratio(difference, int(matrix.sum()))


def full_statistics(one: Agreement) -> dict[str, float]:
    """Return every statistic of a 2 × 2 table under its usual short name.

    Counts: TP, TN, FP, FN, P and N (of the truth), PP and PN (of the prediction), T (all). Rates:
    TPR, FNR, FPR, TNR; Prev; ACC = (TP + TN) / T; BA = (TPR + TNR) / 2; PPV, FDR, FOR, NPV;
    LRP = TPR / FPR and LRN = FNR / TNR (likelihood ratios); TS = TP / (TP + FN + FP), threat score.
    """
    positive, negative = one.tp + one.fn, one.fp + one.tn
    called, passed = one.tp + one.fp, one.fn + one.tn
    rates = {
        "TPR": one.recall,
        "FNR": ratio(one.fn, positive),
        "FPR": ratio(one.fp, negative),
        "TNR": ratio(one.tn, negative),
    }
    return {
        "TP": one.tp,
        "TN": one.tn,
        "FP": one.fp,
        "FN": one.fn,
        "P": positive,
        "N": negative,
        "PP": called,
        "PN": passed,
        "T": one.total,
        **rates,
        "Prev": ratio(positive, one.total),
        "ACC": one.accuracy,
        "BA": one.balanced_accuracy,
        "PPV": one.precision,
        "FDR": ratio(one.fp, called),
        "FOR": ratio(one.fn, passed),
        "NPV": ratio(one.tn, passed),
        "LRP": ratio(rates["TPR"], rates["FPR"]),
        "LRN": ratio(rates["FNR"], rates["TNR"]),
        "TS": one.iou,
    }


def point_statistics(matrix: Matrix, group: int) -> dict[str, float]:
    """Return UA, PA, OA and BOA of one group against the rest, in percent."""
    one = Agreement.of(matrix, group)
    return {
        "UA": 100 * one.precision,
        "PA": 100 * one.recall,
        "OA": 100 * one.accuracy,
        "BOA": 100 * one.balanced_accuracy,
    }


def measures(scheme: Scheme) -> dict[str, Measure]:
    """Return what is measured under a scheme: name -> function of its matrix.

    Two groups are one class against the rest, named by the scheme; more are scored one by one.
    """
    first = 1 if len(scheme.groups) == 2 else 0
    found: dict[str, Measure] = {}
    for index in range(first, len(scheme.groups)):
        found |= _of_group(scheme.groups[index], index)
    return found | {"OA": overall_accuracy, "BA": balanced_accuracy}


def _of_group(name: str, index: int) -> dict[str, Measure]:
    return {
        f"{name} P": lambda m: Agreement.of(m, index).precision,
        f"{name} R": lambda m: Agreement.of(m, index).recall,
        f"{name} F1": lambda m: Agreement.of(m, index).f1,
        f"{name} IoU": lambda m: Agreement.of(m, index).iou,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureSummary:
    """One measure over images."""

    pooled: float
    """Of the sum of all matrices."""
    pooled_interval: tuple[float, float]
    """95 % percentile bootstrap over images."""
    median: float
    """Of the images' own values."""
    median_interval: tuple[float, float]
    quartiles: tuple[float, float]
    images: int
    """Images that have a value."""
    skipped: int
    """Images where it is nothing out of nothing, which the median leaves out."""


def summarise(
    matrices: Sequence[Matrix], wanted: Mapping[str, Measure], *, seed: int = SEED
) -> dict[str, MeasureSummary]:
    """Summarise measures over images.

    Parameters
    ----------
    matrices
        One for each image, (K, K) int64; at least one.
    wanted
        Name -> measure.
    seed
        Of the bootstrap, which draws images with replacement, the same for every measure.

    Returns
    -------
    Name -> summary. Intervals of fewer than two images are NaN: nothing is known of the spread.
    """
    stack = np.stack(matrices)
    # An image whose every pixel was left out says nothing, and must not be drawn.
    drawn = np.random.default_rng(seed).integers(0, len(stack), (DRAWS, len(stack)))
    # How often each image is in each sample: sums of samples are then one product.
    times = np.stack([np.bincount(row, minlength=len(stack)) for row in drawn])
    sums = np.einsum("si,ijk->sjk", times, stack)
    return {name: _summary(measure, stack, drawn, sums) for name, measure in wanted.items()}


def _summary(
    measure: Measure,
    stack: NDArray[np.int64],
    drawn: NDArray[np.int64],
    sums: NDArray[np.int64],
) -> MeasureSummary:
    each = np.array([measure(matrix) for matrix in stack], dtype=np.float64)
    known = each[np.isfinite(each)]
    return MeasureSummary(
        pooled=measure(stack.sum(axis=0)),
        pooled_interval=_interval(
            np.array([measure(matrix) for matrix in sums]) if known.size > 1 else known[:0]
        ),
        median=_quantile(known, 0.5),
        median_interval=_interval(_medians(each[drawn]) if known.size > 1 else known[:0]),
        quartiles=(_quantile(known, 0.25), _quantile(known, 0.75)),
        images=int(known.size),
        skipped=int(each.size - known.size),
    )


def _medians(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    some = samples[np.isfinite(samples).any(axis=1)]
    medians: NDArray[np.float64] = np.nanmedian(some, axis=1)
    return medians


def _interval(samples: NDArray[np.float64]) -> tuple[float, float]:
    known = samples[np.isfinite(samples)]
    return _quantile(known, (1 - COVERAGE) / 2), _quantile(known, (1 + COVERAGE) / 2)


def _quantile(values: NDArray[np.float64], share: float) -> float:
    return float(np.quantile(values, share)) if values.size else math.nan


def cloud_fraction_differences(matrices: Sequence[Matrix], group: int) -> dict[str, float]:
    """Return the mean and the mean absolute difference of cloud fractions over images.

    Parameters
    ----------
    matrices
        One for each image.
    group
        Which of its groups is cloud.

    Returns
    -------
    ``mean`` (predicted minus labelled) and ``mean_absolute``, in percent points, and ``images``.
    """
    every = np.array([fraction_difference(matrix, group) for matrix in matrices])
    known = every[~np.isnan(every)]
    if not known.size:
        return {"mean": math.nan, "mean_absolute": math.nan, "images": 0}
    return {
        "mean": float(known.mean()),
        "mean_absolute": float(np.abs(known).mean()),
        "images": int(known.size),
    }
