"""Strips of rows give what the whole gives, whatever its height and theirs."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from pipeline.models.networks import omnicloudmask as network
from pipeline.models.networks.cpu import encoders_in_strips, row_strips, unet_in_strips
from pipeline.models.networks.cpu.row_strips import Same
from pipeline.models.networks.cpu.unet_in_strips import Level
from pipeline.models.weights.omnicloudmask import NETWORKS


def conv_of(size, n_in=3, n_out=4, stride=1):
    torch.manual_seed(size)
    return nn.Conv2d(n_in, n_out, size, padding=size // 2, stride=stride).requires_grad_(False)


def image(height, width=9, n=3):
    torch.manual_seed(height)
    return torch.randn(1, n, height, width)


@given(
    st.sampled_from([3, 5, 7]),
    st.integers(1, 40),
    st.integers(1, 20),
    st.booleans(),
)
def test_a_convolution_in_strips(size, height, rows, relu):
    whole, conv = image(height), conv_of(size)
    expected = conv(whole).relu() if relu else conv(whole)
    layer, reach = Same(conv, relu=relu), size // 2
    made = [
        layer(row_strips.cut(whole, first - reach, stop + reach)).rows(first, stop)
        for first, stop in row_strips.spans(height, rows)
    ]
    torch.testing.assert_close(torch.cat(made, dim=2), expected, rtol=0, atol=1e-5)


@given(st.integers(1, 20), st.integers(1, 12))
def test_a_convolution_that_halves_in_strips(half, rows):
    whole, conv = image(2 * half, width=10), conv_of(3, stride=2)
    made = [
        row_strips.halved(conv, row_strips.cut(whole, 2 * first - 1, 2 * stop), first, stop)
        for first, stop in row_strips.spans(half, rows)
    ]
    torch.testing.assert_close(torch.cat(made, dim=2), conv(whole), rtol=0, atol=1e-5)


class Block(nn.Module):
    """A level of a decoder as smp has it, batch norms folded."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Sequential(conv_of(3, 5, 4), nn.Identity(), nn.ReLU())
        self.conv2 = nn.Sequential(conv_of(3, 4, 4), nn.Identity(), nn.ReLU())

    def forward(self, below, skip):
        wide = functional.interpolate(below, scale_factor=2.0, mode="nearest")
        return self.conv2(self.conv1(torch.cat([wide, skip], dim=1)))


@pytest.mark.parametrize("height", [2, 6, 64, 70])
@pytest.mark.parametrize("rows", [1, 4, 32])
def test_a_level_in_strips(height, rows, monkeypatch):
    monkeypatch.setattr(unet_in_strips, "LEVEL_ROWS", rows)
    block, below, skip = Block(), image(height // 2, width=5), image(height, width=10, n=2)
    torch.testing.assert_close(
        Level(block, 3)(below, skip), block(below, skip), rtol=0, atol=1e-5
    )


@pytest.fixture(scope="module", params=NETWORKS, ids=lambda each: each.encoder)
def pair(request):
    """A network as it was published, and with little memory."""
    torch.manual_seed(2)
    published = request.param
    net = network.architecture(published).eval().requires_grad_(False)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.7, 1.3)
            nn.init.normal_(module.bias, std=0.2)
        elif hasattr(module, "gamma") and module.gamma is not None:
            # What blocks add would otherwise be a millionth of what they are given.
            nn.init.constant_(module.gamma, 0.5)
    network.fold(net, published)
    expected = {shape: net(window(shape)) for shape in SHAPES}
    return expected, encoders_in_strips.lean(net, published.encoder)


SHAPES = [(32, 32), (96, 64), (192, 160)]


def window(shape):
    rng = np.random.default_rng(shape[0])
    return torch.from_numpy(rng.normal(size=(1, 3, *shape)).astype(np.float32))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("rows", [4, 64])
def test_a_network_in_strips(pair, shape, rows, monkeypatch):
    monkeypatch.setattr(unet_in_strips, "ROWS", rows)
    expected, lean = pair
    found = lean(window(shape))
    assert np.ptp(expected[shape].numpy()) > 0.5
    torch.testing.assert_close(found, expected[shape], rtol=0, atol=2e-5)


def test_logits_are_added_to_those_given(pair):
    _, lean = pair
    given_, x = torch.ones((1, 4, 64, 64)), window((64, 64))
    assert lean(x, given_) is given_
    torch.testing.assert_close(given_, lean(x) + 1, rtol=0, atol=1e-6)


def test_the_attention_of_all_channels_is_the_published_one():
    timm = pytest.importorskip("timm.models.edgenext")
    torch.manual_seed(3)
    xca = timm.CrossCovarianceAttn(24, num_heads=4, qkv_bias=True).eval().requires_grad_(False)
    pixels = torch.randn(1, 5, 7, 24)
    expected = xca(pixels.reshape(1, 35, 24)).reshape(pixels.shape)
    torch.testing.assert_close(encoders_in_strips.attention(xca, pixels), expected)
