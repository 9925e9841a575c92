"""Losses against numbers worked out by hand, and against torch where it has the same one."""

import math

import pytest
import torch
from torch.nn import functional

from pipeline.training import losses


def pixel(*shares):
    """Scores (1, K, 1, 1) whose softmax is these shares."""
    return torch.tensor(shares).log()[None, :, None, None]


def may_be(*classes, of=3):
    return torch.tensor([k in classes for k in range(of)])[None, :, None, None]


def test_cross_entropy_of_a_set_is_that_of_its_probability():
    scores = pixel(0.5, 0.3, 0.2)
    found = losses.ambiguous_cross_entropy(scores, may_be(0, 2))
    assert float(found) == pytest.approx(-math.log(0.7), rel=1e-6)


def test_cross_entropy_with_every_class_allowed_is_zero():
    found = losses.ambiguous_cross_entropy(pixel(0.5, 0.3, 0.2), may_be(0, 1, 2))
    assert float(found) == pytest.approx(0, abs=1e-7)


def test_cross_entropy_with_one_class_is_torchs():
    torch.manual_seed(0)
    scores, truth = torch.randn(2, 4, 5, 6), torch.randint(0, 4, (2, 5, 6))
    allowed = functional.one_hot(truth, 4).permute(0, 3, 1, 2).bool()
    weights = torch.tensor([0.5, 1.0, 2.0, 3.0])
    found = losses.ambiguous_cross_entropy(scores, allowed, weights)
    torch.testing.assert_close(found, functional.cross_entropy(scores, truth, weights))


def test_scores_that_underflow_still_teach():
    scores = torch.tensor([0.0, -300.0, -500.0])[None, :, None, None].requires_grad_()
    found = losses.ambiguous_cross_entropy(scores, may_be(1, 2))
    found.backward()
    assert float(found.detach()) == pytest.approx(300, rel=1e-6)
    assert torch.isfinite(scores.grad).all()


def test_pixels_without_a_class_are_left_out():
    both = torch.cat([pixel(0.5, 0.3, 0.2), pixel(0.9, 0.05, 0.05)], dim=3).requires_grad_()
    allowed = torch.cat([may_be(0, 2), may_be()], dim=3)
    found = losses.ambiguous_cross_entropy(both, allowed)
    found.backward()
    assert float(found.detach()) == pytest.approx(-math.log(0.7), rel=1e-6)
    assert (both.grad[..., 1] == 0).all()


def test_square_shares_out_what_is_allowed():
    # Allowed 0 and 2: asked for .5 each, have .7 / 2 each; class 1 has .3 and is asked for none.
    found = losses.ambiguous_square(pixel(0.5, 0.3, 0.2), may_be(0, 2))
    assert float(found) == pytest.approx((0.15**2 + 0.3**2 + 0.15**2) / 3, rel=1e-5)


def test_square_with_one_class_is_the_brier_score():
    found = losses.ambiguous_square(pixel(0.5, 0.3, 0.2), may_be(0))
    assert float(found) == pytest.approx((0.5**2 + 0.3**2 + 0.2**2) / 3, rel=1e-5)


def two_pixels():
    scores = torch.cat([pixel(0.8, 0.2), pixel(0.4, 0.6)], dim=3)
    allowed = torch.cat([may_be(0, of=2), may_be(1, of=2)], dim=3)
    return scores, allowed


def test_dice():
    # Class 0: TP .8, FN .2, FP .4 -> .8 / 1.1; class 1: TP .6, FN .4, FP .2 -> .6 / .9.
    found = losses.tversky(*two_pixels())
    assert float(found) == pytest.approx(1 - (0.8 / 1.1 + 0.6 / 0.9) / 2, rel=1e-5)


def test_tversky_weighs_what_was_missed():
    found = losses.tversky(
        *two_pixels(), missed=0.7, false=0.3, weights=torch.tensor([1.0, 3.0])
    )
    one, two = 0.8 / (0.8 + 0.14 + 0.12), 0.6 / (0.6 + 0.28 + 0.06)
    assert float(found) == pytest.approx(1 - (one + 3 * two) / 4, rel=1e-5)


def test_lovasz():
    # Class 0: errors .2 (its own) and .4 (of the other), sorted .4, .2. Jaccard losses: taking the foreign
    # one 1 - 1/2, then all 1: steps .5, .5 -> .3. Class 1: own .4, foreign .2: losses 1, 1: steps 1, 0 -> .4.
    found = losses.lovasz(*two_pixels())
    assert float(found) == pytest.approx((0.3 + 0.4) / 2, rel=1e-5)


def test_lovasz_of_hard_scores_is_one_minus_iou():
    torch.manual_seed(1)
    truth, said = torch.randint(0, 3, (1, 8, 8)), torch.randint(0, 3, (1, 8, 8))
    scores = 60.0 * functional.one_hot(said, 3).permute(0, 3, 1, 2)
    allowed = functional.one_hot(truth, 3).permute(0, 3, 1, 2).bool()
    ious = [
        ((truth == k) & (said == k)).sum() / ((truth == k) | (said == k)).sum()
        for k in range(3)
    ]
    assert float(losses.lovasz(scores, allowed)) == pytest.approx(
        1 - float(sum(ious)) / 3, rel=1e-5
    )


def test_recovery_leaves_out_bands_that_are_absent():
    there = torch.tensor([[[[1.0]], [[5.0]]]])
    found = losses.recovery(
        torch.tensor([[[[3.0]], [[0.0]]]]), there, torch.tensor([[True, False]])
    )
    assert float(found) == 4


def test_bits_become_classes():
    labels = torch.tensor([[[0b0110_0010, 0, 1]]], dtype=torch.uint8)
    found = losses.allowed_classes(labels, ((1,), (5,), (6,)))
    assert found[0, :, 0, 0].tolist() == [True, True, True]
    assert not found[..., 1:].any()


def test_a_class_of_several_codes_is_allowed_where_one_of_them_is():
    labels = torch.tensor([[[1 << 4, 1 << 6, 1 << 5 | 1 << 2]]], dtype=torch.uint8)
    found = losses.allowed_classes(labels, ((1, 2, 3, 6), (4, 5)))
    assert found[0, :, 0].tolist() == [[False, True, True], [True, False, True]]
