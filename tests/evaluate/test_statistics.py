"""Published numbers, hand numbers, and NumPy as an oracle."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.evaluate.confusion import Agreement
from pipeline.evaluate.schemes import CLOUD, THREE
from pipeline.evaluate.statistics import (
    balanced_accuracy,
    cloud_fraction_differences,
    fraction_difference,
    full_statistics,
    measures,
    point_statistics,
    summarise,
)

# ACC is not the tables' own, which contradicts their counts: it is (TP + TN) / T.
FIRST = (
    Agreement(tp=2166535, fn=118878, fp=363524, tn=890007),
    {
        "P": 2285413,
        "N": 1253531,
        "PP": 2530059,
        "PN": 1008885,
        "T": 3538944,
        "TPR": 0.948,
        "FNR": 0.052,
        "FPR": 0.29,
        "TNR": 0.71,
        "Prev": 0.646,
        "ACC": 0.8637,
        "BA": 0.829,
        "PPV": 0.856,
        "FDR": 0.144,
        "FOR": 0.118,
        "NPV": 0.882,
        "LRP": 3.269,
        "LRN": 0.073,
        "TS": 0.818,
    },
)
SECOND = (
    Agreement(tp=13889639, fn=348060, fp=1013039, tn=6867662),
    {"T": 22118400, "ACC": 0.9385, "LRP": 7.589, "TS": 0.911},
)


@pytest.mark.parametrize(("one", "published"), [FIRST, SECOND])
def test_golden_tables(one, published):
    found = full_statistics(one)
    for name, value in published.items():
        # Some of the published digits are cut, not rounded.
        digits = 0 if isinstance(value, int) else len(str(value).partition(".")[2])
        assert abs(found[name] - value) < 10.0**-digits or found[name] == value, name


def test_there_is_every_statistic_and_complements_add_up():
    found = full_statistics(FIRST[0])
    names = "TP TN FP FN P N PP PN T TPR FNR FPR TNR Prev ACC BA PPV FDR FOR NPV LRP LRN TS"
    assert list(found) == names.split()
    for one, other in (("TPR", "FNR"), ("FPR", "TNR"), ("PPV", "FDR"), ("FOR", "NPV")):
        assert found[one] + found[other] == pytest.approx(1)
    # A mean, not a median.
    assert found["BA"] == (found["TPR"] + found["TNR"]) / 2


def test_f1_and_iou_follow_from_precision_and_recall():
    one = FIRST[0]
    assert one.f1 == pytest.approx(
        2 * one.precision * one.recall / (one.precision + one.recall)
    )
    assert one.iou == pytest.approx(one.f1 / (2 - one.f1))


def test_balanced_accuracy_is_the_mean_recall_of_what_is_there():
    matrix = np.array([[8, 2, 0], [1, 3, 0], [0, 0, 0]])
    assert balanced_accuracy(matrix) == pytest.approx((0.8 + 0.75) / 2)
    assert math.isnan(balanced_accuracy(np.zeros((2, 2), np.int64)))


def test_cloud_fractions_keep_their_sign_in_one_mean_only():
    more, less = np.array([[70, 20], [0, 10]]), np.array([[80, 0], [10, 10]])
    assert fraction_difference(more, 1) == pytest.approx(20)
    found = cloud_fraction_differences([more, less, np.zeros((2, 2), np.int64)], 1)
    assert found == {"mean": pytest.approx(5), "mean_absolute": pytest.approx(15), "images": 2}


def test_points_by_class():
    # Clear, cloud, shadow of 100 points.
    matrix = np.array([[40, 10, 0], [5, 30, 0], [5, 0, 10]])
    cloud = point_statistics(matrix, 1)
    assert cloud["UA"] == pytest.approx(75)
    assert cloud["PA"] == pytest.approx(100 * 30 / 35)
    assert cloud["OA"] == pytest.approx(85)
    assert cloud["BOA"] == pytest.approx(100 * (30 / 35 + 55 / 65) / 2)


@st.composite
def matrices(draw):
    count = draw(st.integers(1, 6))
    values = st.lists(st.integers(0, 50), min_size=4, max_size=4)
    return [np.array(draw(values), np.int64).reshape(2, 2) for _ in range(count)]


@given(matrices())
def test_summaries(stack):
    wanted = measures(CLOUD)
    found = summarise(stack, wanted)
    for name, measure in wanted.items():
        one, each = found[name], [measure(matrix) for matrix in stack]
        known = [value for value in each if not math.isnan(value)]
        assert (one.images, one.skipped) == (len(known), len(each) - len(known))
        assert one.pooled == pytest.approx(measure(sum(stack)), nan_ok=True)
        if known:
            assert one.median == pytest.approx(np.median(known))
            assert list(one.quartiles) == pytest.approx(np.percentile(known, [25, 75]))
        if len(known) > 1:
            assert one.median_interval[0] <= one.median <= one.median_interval[1]
            assert min(known) <= one.median_interval[0] <= one.median_interval[1] <= max(known)
        else:
            assert math.isnan(one.median_interval[0])
    assert repr(found) == repr(summarise(stack, wanted)), "the same images, the same intervals"


def test_the_bootstrap_draws_images_not_pixels():
    # Large images that agree with themselves: pixels would give no width at all.
    stack = [np.array([[10**6 * (10 - k), 10**6 * k], [0, 0]]) for k in range(10)]
    one = summarise(stack, measures(CLOUD))["OA"]
    spread = np.std([1 - k / 10 for k in range(10)]) / math.sqrt(10)
    width = one.pooled_interval[1] - one.pooled_interval[0]
    assert width == pytest.approx(2 * 1.96 * spread, rel=0.1)
    other = summarise(stack, measures(CLOUD), seed=1)["OA"]
    assert other.pooled_interval != one.pooled_interval


def test_measures_of_schemes():
    assert list(measures(CLOUD)) == ["cloud P", "cloud R", "cloud F1", "cloud IoU", "OA", "BA"]
    assert "shadow F1" in measures(THREE)
    # Every measure reads its own class.
    matrix = np.array([[5, 0, 0], [0, 3, 1], [0, 0, 0]])
    found = {name: measure(matrix) for name, measure in measures(THREE).items()}
    assert (found["clear R"], found["cloud R"]) == (1, 0.75)
    assert math.isnan(found["shadow R"])
