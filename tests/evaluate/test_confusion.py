"""Counts of agreement, and what nothing out of nothing is; published numbers are in test_statistics."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.evaluate import (
    Agreement,
    confusion,
    median_skipping,
    overall_accuracy,
)


def test_rows_are_truth_and_columns_are_predictions():
    truth = np.array([[0, 0, 1], [2, 1, 1]], dtype=np.uint8)
    predicted = np.array([[0, 1, 1], [2, 0, 1]], dtype=np.uint8)
    matrix = confusion(truth, predicted, 3)
    assert matrix.dtype == np.int64
    assert matrix.tolist() == [[1, 1, 0], [1, 2, 0], [0, 0, 1]]
    assert overall_accuracy(matrix) == pytest.approx(4 / 6)
    scores = Agreement.of(matrix, 1)
    assert (scores.precision, scores.recall) == (2 / 3, 2 / 3)
    assert (scores.f1, scores.iou) == (2 / 3, 2 / 4)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=60))
def test_counts_add_up(pairs):
    truth, predicted = (np.array([pair[i] for pair in pairs], dtype=np.uint8) for i in (0, 1))
    matrix = confusion(truth, predicted, 3)
    half = len(pairs) // 2
    parts = confusion(truth[:half], predicted[:half], 3) + confusion(
        truth[half:], predicted[half:], 3
    )
    assert matrix.tolist() == parts.tolist()
    for index in range(3):
        one = Agreement.of(matrix, index)
        assert one.total == len(pairs)
        assert one.tp + one.fn == np.count_nonzero(truth == index)
        assert one.tp + one.fp == np.count_nonzero(predicted == index)


def test_nothing_out_of_nothing_is_nan_and_skipped():
    absent = Agreement.of(np.diag([5, 0, 0]), 1)
    assert all(
        math.isnan(value) for value in (absent.precision, absent.recall, absent.f1, absent.iou)
    )
    invented = Agreement.of(np.array([[4, 1], [0, 0]]), 1)
    assert math.isnan(invented.recall)
    assert invented.f1 == invented.precision == 0
    assert median_skipping([0.5, math.nan, 0.7, 0.9]) == (0.7, 1)
    assert math.isnan(median_skipping([math.nan])[0])
    assert math.isnan(overall_accuracy(np.zeros((2, 2), dtype=np.int64)))


def test_what_cannot_be_counted_is_refused():
    codes = np.zeros(3, dtype=np.uint8)
    with pytest.raises(ValueError, match=r"truth is \(3,\)"):
        confusion(codes, codes[:2], 2)
    with pytest.raises(ValueError, match="not below 2"):
        confusion(codes, codes + np.uint8(2), 2)
