"""EfficientNet's blocks by oneDNN's fused kernels, which add and activate as they write their output; for a CPU.

torch.compile uses the same kernels. A separate activation is another pass over memory that does not fit the cache,
and so is the product of squeeze-and-excitation: for a single window it is multiplied into the weights of the next
convolution instead. One thread, a window of 576 px, bfloat16: 224 ms by plain torch, 200 ms fused, 171 ms with the
decoder by `pipeline.models.networks.cpu.upsample_conv`. A fused activation sees the sum before it is rounded.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from pipeline.models.networks.cpu import upsample_conv

ACTIVATIONS: dict[type[nn.Module], str] = {
    nn.Identity: "none",
    nn.ReLU: "relu",
    nn.SiLU: "swish",
}
"""Activations that a kernel can apply -> oneDNN's names."""


def fuse(net: nn.Module) -> int:
    """Replace the convolutions of an EfficientNet U-Net, batch norms folded, by fused ones, in place.

    Returns
    -------
    How many modules of encoder and decoder were replaced; 0 where torch lacks the kernels.
    """
    built = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if not (built and hasattr(torch.ops.mkldnn, "_convolution_pointwise")):
        return 0
    return _fuse_stem(net) + _fuse_blocks(net) + _fuse_levels(net)


def _fuse_stem(net: nn.Module) -> int:
    encoder = net.get_submodule("encoder")
    stem, activation = (encoder.get_submodule(name) for name in ("_conv_stem", "_swish"))
    assert isinstance(stem, nn.Conv2d)
    padding = stem.get_submodule("static_padding")
    encoder.add_module("_conv_stem", nn.Sequential(padding, FusedConv(stem, activation)))
    encoder.add_module("_swish", nn.Identity())
    return 1


def _fuse_blocks(net: nn.Module) -> int:
    found = [
        (parent, name, child)
        for parent in net.modules()
        for name, child in parent.named_children()
        if hasattr(child, "_depthwise_conv")
    ]
    for parent, name, child in found:
        setattr(parent, name, Block(child))
    return len(found)


def _fuse_levels(net: nn.Module) -> int:
    levels = net.get_submodule("decoder.blocks")
    assert isinstance(levels, nn.ModuleList)
    n_below = upsample_conv.deepest(net)
    for index, level in enumerate(levels):
        conv1, conv2 = (_before_relu(level.get_submodule(each)) for each in ("conv1", "conv2"))
        levels[index] = Level(conv1, conv2, n_below)
        n_below = conv2.out_channels
    return len(levels)


def _before_relu(layers: nn.Module) -> nn.Conv2d:
    """Return the convolution of a decoder's layers: a convolution, the remains of its batch norm, and a ReLU."""
    conv, *rest = layers.children()
    assert isinstance(conv, nn.Conv2d)
    assert [type(each) for each in rest] == [nn.Identity, nn.ReLU]
    return conv


class FusedConv(nn.Module):
    """A convolution with addition and activation: (N, C, H, W) -> (N, K, h, w)."""

    def __init__(self, conv: nn.Conv2d, activation: nn.Module | None = None) -> None:
        """Take over the weights of a convolution; its padding is the same at both ends of an axis.

        Parameters
        ----------
        conv
            Pads with zeros.
        activation
            Of `ACTIVATIONS`; none by default.
        """
        super().__init__()
        self.weight, self.bias = conv.weight, conv.bias
        self._activation = ACTIVATIONS[type(activation or nn.Identity())]
        self._how = (conv.padding, conv.stride, conv.dilation, conv.groups)

    def forward(
        self,
        x: torch.Tensor,
        add: torch.Tensor | None = None,
        weight: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Convolve, add and activate.

        Parameters
        ----------
        x
            (N, C, H, W).
        add
            (N, K, h, w), what is added before the activation.
        weight
            Replaces the convolution's own weights; of the same shape.
        """
        weight = self.weight if weight is None else weight
        given = (weight, self.bias, *self._how)
        out: torch.Tensor
        if add is None:
            out = torch.ops.mkldnn._convolution_pointwise(x, *given, self._activation, [], "")
        else:
            then = None if self._activation == "none" else self._activation
            out = torch.ops.mkldnn._convolution_pointwise.binary(
                x, add, *given, "add", 1.0, then, [], ""
            )
        return out


class Level(nn.Module):
    """A level of the decoder: upsample, concatenate the encoder's feature, convolve twice."""

    def __init__(self, conv1: nn.Conv2d, conv2: nn.Conv2d, n_below: int) -> None:
        """Take over the weights of a level's convolutions.

        Parameters
        ----------
        conv1, conv2
            With batch norms folded; each is followed by a ReLU.
        n_below
            Channels of the level below.
        """
        super().__init__()
        quarters, beside = upsample_conv.split(conv1, n_below)
        self._quarters = FusedConv(quarters, None if beside else nn.ReLU())
        self._beside = FusedConv(beside, nn.ReLU()) if beside else None
        self._conv2 = FusedConv(conv2, nn.ReLU())

    def forward(self, below: torch.Tensor, skip: torch.Tensor | None) -> torch.Tensor:
        """Run the level on (N, C, H, W) and an encoder's feature of twice the size."""
        x = upsample_conv.interleaved(self._quarters(below))
        if self._beside:
            x = self._beside(skip, x)
        out: torch.Tensor = self._conv2(x)
        return out


class Block(nn.Module):
    """An MBConv block: expansion, depthwise convolution, squeeze-and-excitation, projection."""

    def __init__(self, block: nn.Module) -> None:
        """Take over the weights of a block whose batch norms are folded."""
        super().__init__()
        parts = dict(block.named_children())
        expand, depthwise = parts["_expand_conv"], parts["_depthwise_conv"]
        project = parts["_project_conv"]
        assert isinstance(depthwise, nn.Conv2d)
        assert isinstance(project, nn.Conv2d)
        self._expand = (
            FusedConv(expand, nn.SiLU()) if isinstance(expand, nn.Conv2d) else nn.Identity()
        )
        padding = depthwise.static_padding
        assert isinstance(padding, nn.Module)
        self._padding = padding
        self._depthwise = FusedConv(depthwise, nn.SiLU())
        self._project = FusedConv(project)
        self._adds = bool(block.adds)
        # Not parameters: they stay in float32 in every precision, and are a thousandth of the work.
        self._reduce = _linear(parts["_se_reduce"])
        self._enlarge = _linear(parts["_se_expand"])

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Run the block on (N, C, H, W)."""
        out: torch.Tensor
        x = self._depthwise(self._padding(self._expand(inputs)))
        squeezed = functional.silu(functional.linear(_pooled(x), *self._reduce))
        share = torch.sigmoid(functional.linear(squeezed, *self._enlarge))
        add = inputs if self._adds else None
        if len(x) > 1:
            out = self._project(x * share[:, :, None, None].to(x.dtype), add)
        else:
            weight = self._project.weight
            out = self._project(x, add, (weight * share[0, :, None, None]).to(weight.dtype))
        return out


def _pooled(x: torch.Tensor) -> torch.Tensor:
    """Return the mean of every channel of (N, C, H, W), (N, C) float32."""
    if x.dtype == torch.float32:
        return x.mean((2, 3))
    # By matrix products with ones: torch's mean would first convert all of it to float32. Only row sums are rounded.
    rows = x.permute(0, 2, 3, 1)
    sums = torch.ones((1, rows.shape[2]), dtype=x.dtype) @ rows
    return sums.sum((1, 2), dtype=torch.float32) / (rows.shape[1] * rows.shape[2])


def _linear(conv: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a 1 x 1 convolution of one pixel as weights and bias of a linear layer."""
    assert isinstance(conv, nn.Conv2d)
    assert conv.bias is not None
    return conv.weight.detach().flatten(1), conv.bias.detach()
