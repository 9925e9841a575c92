"""Convolving before the doubling is convolving after it: exactly, in whole numbers."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from pipeline.models.networks.cpu import upsample_conv

SIZES = st.integers(1, 7)


def whole_numbers(*shape):
    """Small ones: float32 adds and multiplies them without rounding, in any order."""
    return torch.randint(-8, 9, shape).float()


def conv_of(n_in, n_out, *, bias):
    conv = nn.Conv2d(n_in, n_out, 3, padding=1, bias=bias).requires_grad_(False)
    for each in conv.parameters():
        each.copy_(whole_numbers(*each.shape))
    return conv


@given(
    height=SIZES,
    width=SIZES,
    n=st.integers(1, 2),
    n_doubled=st.integers(1, 5),
    n_beside=st.integers(0, 3),
    n_out=st.integers(1, 4),
    bias=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_law_it_is_the_same_convolution(
    height, width, n, n_doubled, n_beside, n_out, bias, seed
):
    torch.manual_seed(seed)
    conv = conv_of(n_doubled + n_beside, n_out, bias=bias)
    below = whole_numbers(n, n_doubled, height, width)
    skip = whole_numbers(n, n_beside, 2 * height, 2 * width)
    doubled = functional.interpolate(below, scale_factor=2.0, mode="nearest")
    expected = conv(torch.cat([doubled, skip], dim=1))

    quarters, beside = upsample_conv.split(conv, n_doubled)
    made = upsample_conv.interleaved(quarters(below))
    if beside is not None:
        made = made + beside(skip)
    assert (beside is None) == (n_beside == 0)
    torch.testing.assert_close(made, expected, rtol=0, atol=0)


def test_the_original_keeps_its_weights():
    conv = conv_of(3, 2, bias=True)
    before = [each.clone() for each in conv.parameters()]
    for part in upsample_conv.split(conv, 2):
        for each in part.parameters():
            each.zero_()
    for each, kept in zip(conv.parameters(), before, strict=True):
        torch.testing.assert_close(each, kept)


@pytest.mark.parametrize("change", [{"kernel_size": 5}, {"padding": 0}, {"stride": 2}])
def test_other_convolutions_are_not_split(change):
    with pytest.raises(AssertionError):
        upsample_conv.split(nn.Conv2d(3, 2, **{"kernel_size": 3, "padding": 1, **change}), 2)
