"""1 x 1 convolutions as products: the same numbers, and nothing else is touched."""

import pytest
import torch
from torch import nn

from pipeline.models.networks.cpu.pointwise import Pointwise, replace_pointwise


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
def test_equals_torchs_own_convolution(bias, memory_format):
    torch.manual_seed(1)
    conv = nn.Conv2d(5, 7, 1, bias=bias)
    net = nn.Sequential(conv)
    x = torch.randn(2, 5, 9, 11).contiguous(memory_format=memory_format)
    expected = conv(x)
    assert replace_pointwise(net) == 1
    assert isinstance(net[0], Pointwise)
    torch.testing.assert_close(net(x), expected, rtol=0, atol=1e-6)
    assert net(x).is_contiguous(memory_format=torch.channels_last)


def test_others_are_left_alone():
    net = nn.Sequential(
        nn.Conv2d(4, 4, 3, padding=1),
        nn.Conv2d(4, 4, 1, stride=2),
        nn.Conv2d(4, 4, 1, padding=1),
        nn.Conv2d(4, 4, 1, groups=2),
    )
    assert replace_pointwise(net) == 0
    assert replace_pointwise(nn.Sequential(Pointwise(2, 2), net)) == 1
