"""1 x 1 convolutions as matrix products, for one thread on a CPU.

In float32, with one thread and one window, torch runs them by its slowest kernel, with copies: half the time of
DL-L8S2-UV, a fifth of a RegNet U-Net. In channels-last memory a matrix product needs no copy.

In bfloat16 a convolution is better: for each number of pixels torch caches compiled code, up to 1024 times, of
0.65 MB for a product and 0.05 MB for a convolution. Both give the same bits.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import nn
from torch.nn import functional


class Pointwise(nn.Conv2d):
    """A 1 x 1 convolution from (N, n_in, H, W) to (N, n_out, H, W)."""

    def __init__(self, n_in: int, n_out: int, *, bias: bool = True) -> None:
        """Make a convolution; its weights are loaded later."""
        super().__init__(n_in, n_out, 1, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve; in channels-last memory neither permutation copies."""
        if convolves(x):
            return super().forward(x)
        # N C H W -> N H W C -> N C H W
        turned = functional.linear(x.permute(0, 2, 3, 1), self.weight[:, :, 0, 0], self.bias)
        return turned.permute(0, 3, 1, 2)


def convolves(x: torch.Tensor) -> bool:
    """Return whether a 1 x 1 convolution is better than a matrix product for a tensor."""
    return x.dtype == torch.bfloat16 and x.device.type == "cpu"


class Layer(Protocol):
    """A linear layer."""

    @property
    def weight(self) -> torch.Tensor:
        """(n_out, n_in)."""
        ...

    @property
    def bias(self) -> torch.Tensor | None:
        """(n_out,)."""
        ...


class Linear(NamedTuple):
    """Weights of a linear layer, or of some of its outputs."""

    weight: torch.Tensor
    bias: torch.Tensor | None


def product(layer: Layer, x: torch.Tensor) -> torch.Tensor:
    """Run a linear layer on contiguous (N, H, W, C), as a product or a convolution; see `convolves`."""
    if not convolves(x):
        return functional.linear(x, layer.weight, layer.bias)
    # N H W C -> N C H W -> N H W C
    weight = layer.weight[:, :, None, None]
    return functional.conv2d(x.permute(0, 3, 1, 2), weight, layer.bias).permute(0, 2, 3, 1)


def replace_pointwise(net: nn.Module) -> int:
    """Replace every plain 1 x 1 convolution by a `Pointwise`, in place, and count them."""
    found = [
        (parent, name, conv)
        for parent in net.modules()
        for name, conv in parent.named_children()
        if isinstance(conv, nn.Conv2d) and _is_pointwise(conv)
    ]
    for parent, name, conv in found:
        twin = Pointwise(conv.in_channels, conv.out_channels, bias=conv.bias is not None)
        twin.weight, twin.bias = conv.weight, conv.bias
        setattr(parent, name, twin.train(conv.training))
    return len(found)


def _is_pointwise(conv: nn.Conv2d) -> bool:
    return (
        conv.kernel_size == (1, 1)
        and conv.stride == (1, 1)
        and conv.padding == (0, 0)
        and conv.groups == 1
    )
