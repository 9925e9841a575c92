"""Losses against a discriminator, by numbers worked out by hand; and how blocks are called."""

import math
from itertools import pairwise

import pytest
import torch

from pipeline.datasets import labels as L
from pipeline.training.tasks import adversarial
from pipeline.training.tasks.blocks import called


def logit(share):
    return torch.tensor([[[[math.log(share / (1 - share))]]]])


def test_a_generator_wants_to_be_taken_for_real():
    found = adversarial.fools(torch.cat([logit(0.8), logit(0.25)]))
    assert float(found) == pytest.approx(-(math.log(0.8) + math.log(0.25)) / 2, rel=1e-6)


def test_a_discriminator_wants_to_tell():
    found = adversarial.tells(logit(0.9), logit(0.3))
    assert float(found) == pytest.approx(-(math.log(0.9) + math.log(0.7)) / 2, rel=1e-6)


def test_r1_of_a_linear_discriminator():
    judge = torch.nn.Conv2d(2, 1, 1)
    judge.weight.data = torch.tensor([3.0, 4.0])[None, :, None, None]
    # The mean of 5 x 2 pixels: by each pixel 3 / 10 and 4 / 10, ten times.
    found = adversarial.r1(judge, torch.rand(7, 2, 5, 2))
    assert float(found.detach()) == pytest.approx(10 * (0.3**2 + 0.4**2), rel=1e-5)
    found.backward()
    assert float(judge.weight.grad[0, 0, 0, 0]) == pytest.approx(2 * 3 / 10, rel=1e-5)


def test_divergence():
    found = adversarial.divergence(torch.tensor([[[0.8]]]), torch.tensor([[[0.5]]]))
    by_hand = 0.8 * math.log(0.8 / 0.5) + 0.2 * math.log(0.2 / 0.5)
    assert float(found) == pytest.approx(by_hand, rel=1e-5)
    same = torch.rand(2, 3, 3)
    assert float(adversarial.divergence(same, same)) == 0


def test_only_images_that_count_are_squared():
    said = torch.tensor([[0.0, 0.5], [9.0, 9.0]])[:, None, None]
    found = adversarial.squared(said, 1, torch.tensor([1.0, 0.0]))
    assert float(found) == pytest.approx((1 + 0.25) / 2)
    assert float(adversarial.squared(said, 1, torch.zeros(2))) == 0


def test_edges_in_one_place_are_counted_and_others_are_not():
    steps = torch.zeros(3, 1, 4, 4)
    steps[0, :, :, 2:] = 2.0
    steps[1, :, :, 2:] = 4.0
    steps[2, :, 2:] = 2.0
    one, other = steps[:1], steps[1:]
    found = adversarial.exclusion(one.expand(2, -1, -1, -1), other, levels=2)
    # Across, at full size one of three differences is an edge, at half size the one there is; down, none is.
    edge = (math.tanh(1) * math.tanh(2)) ** 2
    by_hand = ((edge / 3) ** 0.25 + edge**0.25) / 4
    assert float(found[0]) == pytest.approx(by_hand, rel=1e-4)
    assert float(found[1]) == pytest.approx(0, abs=1e-4)


def test_discriminators_score_patches():
    image = torch.rand(2, 4, 64, 64)
    assert adversarial.patch_discriminator(4)(image).shape == (2, 1, 4, 4)
    assert adversarial.instance_discriminator(4, (4, 4, 4, 4))(image).shape[:2] == (2, 1)
    # Of its four by four, two by two and one by one convolutions, each with a bias, and three norms.
    sizes = [4, 8, 16, 32, 64]
    by_hand = sum(16 * a * b + b for a, b in pairwise(sizes)) + 2 * (16 + 32 + 64) + 65
    judge = adversarial.patch_discriminator(4)
    assert sum(each.numel() for each in judge.parameters()) == by_hand


@pytest.mark.parametrize(
    ("share", "rest", "cloudy", "clear"),
    [
        (0.5, L.CLEAR, 1, 0),
        (0.1, L.CLEAR, 0, 0),
        (0.0, L.CLEAR, 0, 1),
        (0.0, L.SHADOW, 0, 1),
        # Cloud, or ground: nobody knows.
        (0.0, L.CLEAR | L.THIN, 0, 0),
        (0.0, L.IGNORED, 0, 0),
        (0.0, L.NO_DATA, 0, 0),
        (0.1, L.NO_DATA, 1, 0),
    ],
)
def test_blocks_are_called_cloudy_or_clear(share, rest, cloudy, clear):
    drawn = torch.full((1, 10, 10), rest, dtype=torch.uint8)
    drawn[0, : int(10 * share)] = L.THIN | L.THICK
    found = called(drawn, 0.3)
    assert [each.tolist() for each in found] == [[cloudy], [clear]]
