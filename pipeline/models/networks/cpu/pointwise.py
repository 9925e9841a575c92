"""1 x 1 convolutions as products of matrices: what torch itself does not do with one thread.

In float32, with one thread and one window, torch sends them to its slowest kernel, copies included: half the
time of DL-L8S2-UV, a fifth of a RegNet U-Net. With bands innermost in memory the product needs no copy.

In bfloat16 on a CPU it is the other way round: for every number of pixels that a product meets, torch keeps
0.65 MB of compiled code, up to 1024 times; for a convolution it is 0.05 MB. Both give the same bits.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import nn
from torch.nn import functional


class Pointwise(nn.Conv2d):
    """A 1 x 1 convolution from (N, n_in, H, W) to (N, n_out, H, W)."""

    def __init__(self, n_in: int, n_out: int, *, bias: bool = True) -> None:
        """Make a convolution with weights that are yet to be loaded."""
        super().__init__(n_in, n_out, 1, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve; with bands innermost in memory neither turn costs anything."""
        if convolves(x):
            return super().forward(x)
        # N C H W -> N H W C -> N C H W
        turned = functional.linear(x.permute(0, 2, 3, 1), self.weight[:, :, 0, 0], self.bias)
        return turned.permute(0, 3, 1, 2)


def convolves(x: torch.Tensor) -> bool:
    """Return whether single pixels are better convolved than multiplied."""
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
    """A linear layer, or some of its rows."""

    weight: torch.Tensor
    bias: torch.Tensor | None


def product(layer: Layer, x: torch.Tensor) -> torch.Tensor:
    """Run a linear layer on (N, H, W, C), bands innermost in memory, by the better of the two ways."""
    if not convolves(x):
        return functional.linear(x, layer.weight, layer.bias)
    # N H W C -> N C H W -> N H W C
    weight = layer.weight[:, :, None, None]
    return functional.conv2d(x.permute(0, 3, 1, 2), weight, layer.bias).permute(0, 2, 3, 1)


def replace_pointwise(net: nn.Module) -> int:
    """Put a `Pointwise` in the place of every 1 x 1 convolution that is one, and count them."""
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
