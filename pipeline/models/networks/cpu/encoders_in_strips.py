"""The encoders of OmniCloudMask's networks with less memory, for a CPU: their first stages run in row strips.

They take the weights of timm's modules; logits change by rounding only.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from pipeline.models.networks.cpu import row_strips
from pipeline.models.networks.cpu.pointwise import Linear, product
from pipeline.models.networks.cpu.row_strips import Same, Strip
from pipeline.models.networks.cpu.unet_in_strips import Half, LeanUnet

ROWS = 32
"""Rows of a strip at a quarter of the resolution and below."""


def lean(net: nn.Module, encoder: str) -> LeanUnet:
    """Return the same network, batch norms folded, with its upper levels in row strips."""
    model: Any = net.get_submodule("encoder.model")
    return LeanUnet(ENCODERS[encoder](model), net)


class RegNet(nn.Module):
    """Features of RegNetY; the stem's feature, of half resolution, is recomputed wherever it is needed."""

    def __init__(self, model: Any) -> None:  # noqa: ANN401 - timm's modules have no types
        """Take over the weights."""
        super().__init__()
        self.stem = model.stem.conv
        self.first = FirstBlock(model.s1.b1)
        self.rest = nn.Sequential(*list(model.s1.children())[1:])
        self.stages = nn.ModuleList([model.s2, model.s3, model.s4])

    def forward(self, x: torch.Tensor) -> tuple[list[torch.Tensor], Half | None]:
        """Return what `pipeline.models.networks.cpu.unet_in_strips.Encoder` says."""

        def half(first: int, stop: int) -> Strip:
            seen = row_strips.cut(x, 2 * first - 1, 2 * stop)
            made = row_strips.halved(self.stem, seen, first, stop).relu_()
            return Strip(made, first, x.shape[2] // 2)

        features = [self.rest(self.first(half, x.shape))]
        for stage in self.stages:
            features.append(stage(features[-1]))
        return features, half


class FirstBlock(nn.Module):
    """The first bottleneck, from half to a quarter of the resolution."""

    def __init__(self, block: Any) -> None:  # noqa: ANN401 - timm's modules have no types
        """Take over the weights."""
        super().__init__()
        self.conv1, self.conv2 = block.conv1, block.conv2.conv
        self.se, self.conv3 = block.se, block.conv3
        self.downsample = block.downsample.conv

    def forward(self, half: Half, shape: torch.Size) -> torch.Tensor:
        """Make the whole feature of a window of some shape."""
        n, _, height, width = shape
        like = {"dtype": self.conv2.weight.dtype, "memory_format": torch.channels_last}
        size = (n, self.conv2.out_channels, height // 4, width // 4)
        x, shortcut = torch.empty(size, **like), torch.empty(size, **like)
        for first, stop in row_strips.spans(height // 4, ROWS):
            seen = half(max(2 * first - 1, 0), 2 * stop)
            wide = Strip(self.conv1(seen.values), seen.first, seen.height)
            x[:, :, first:stop] = row_strips.halved(self.conv2, wide, first, stop).relu_()
            shortcut[:, :, first:stop] = self.downsample(seen.rows(2 * first, 2 * stop))
        x.mul_(gate(self.se, x))
        made: torch.Tensor = self.conv3(x)
        return made.add_(shortcut).relu_()


def gate(se: Any, x: torch.Tensor) -> torch.Tensor:  # noqa: ANN401 - timm's modules have no types
    """Return what squeeze-and-excitation multiplies the channels by, (N, C, 1, 1)."""
    pooled = x.mean((2, 3), keepdim=True)
    share: torch.Tensor = se.gate(se.fc2(se.act(se.fc1(pooled))))
    return share


class EdgeNeXt(nn.Module):
    """Features of EdgeNeXt, which has no feature of half resolution."""

    def __init__(self, model: Any) -> None:  # noqa: ANN401 - timm's modules have no types
        """Take over the weights."""
        super().__init__()
        self.stem = nn.Sequential(model.stem_0, model.stem_1)
        self.stages = nn.ModuleList([getattr(model, f"stages_{number}") for number in range(4)])
        for stage in self.stages:
            blocks = stage.get_submodule("blocks")
            for name, block in list(blocks.named_children()):
                lean = ConvBlock if hasattr(block, "conv_dw") else TransposeBlock
                setattr(blocks, name, lean(block))

    def forward(self, x: torch.Tensor) -> tuple[list[torch.Tensor], Half | None]:
        """Return what `pipeline.models.networks.cpu.unet_in_strips.Encoder` says."""
        features = [self.stages[0](self.stem(x))]
        for stage in self.stages[1:]:
            features.append(stage(features[-1]))
        return features, None


class ConvBlock(nn.Module):
    """Depthwise convolution, then two linear layers with four times as many channels between them."""

    def __init__(self, block: Any) -> None:  # noqa: ANN401 - timm's modules have no types
        """Take over the weights."""
        super().__init__()
        assert not block.shortcut_after_dw
        self.filter = Same(block.conv_dw)
        self.norm, self.mlp, self.gamma = block.norm, block.mlp, block.gamma
        self._reach = block.conv_dw.kernel_size[0] // 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run the block on (N, C, H, W)."""
        out = torch.empty_like(x, memory_format=torch.channels_last)
        for first, stop in row_strips.spans(x.shape[2], ROWS):
            seen = row_strips.cut(x, first - self._reach, stop + self._reach)
            filtered = self.filter(seen).rows(first, stop)
            # N C H W -> N H W C and back.
            made = self.gamma * widened(self.mlp, self.norm(filtered.permute(0, 2, 3, 1)))
            torch.add(x[:, :, first:stop], made.permute(0, 3, 1, 2), out=out[:, :, first:stop])
        return out


class TransposeBlock(nn.Module):
    """Cross-covariance attention (between channels, over all pixels), then two linear layers as in `ConvBlock`."""

    def __init__(self, block: Any) -> None:  # noqa: ANN401 - timm's modules have no types
        """Take over the weights."""
        super().__init__()
        self.block = block

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run the block on (N, C, H, W)."""
        block, n, (height, width) = self.block, len(x), x.shape[2:]
        # N C H W -> N H W C
        pixels = self._scales(x).permute(0, 2, 3, 1)
        if block.pos_embd is not None:
            pixels = pixels.add_(block.pos_embd((n, height, width)).permute(0, 2, 3, 1))
        mixed = attention(block.xca, block.norm_xca(pixels))
        pixels = pixels.add_(mixed.mul_(block.gamma_xca))
        out = torch.empty_like(x, memory_format=torch.channels_last)
        for first, stop in row_strips.spans(height, ROWS):
            made = block.gamma * widened(block.mlp, block.norm(pixels[:, first:stop]))
            torch.add(x[:, :, first:stop], made.permute(0, 3, 1, 2), out=out[:, :, first:stop])
        return out

    def _scales(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve groups of channels one after the other, each with the result of the group before it."""
        groups = x.chunk(len(self.block.convs) + 1, dim=1)
        filtered: list[torch.Tensor] = []
        for group, conv in zip(groups, self.block.convs, strict=False):
            filtered.append(conv(group + filtered[-1] if filtered else group))
        return torch.cat([*filtered, groups[-1]], dim=1)


def widened(mlp: Any, x: torch.Tensor) -> torch.Tensor:  # noqa: ANN401 - timm's modules have no types
    """Run the two linear layers of a block on (N, H, W, C)."""
    return product(mlp.fc2, mlp.act(product(mlp.fc1, x)))


def attention(xca: Any, pixels: torch.Tensor) -> torch.Tensor:  # noqa: ANN401 - timm's modules have no types
    """Run cross-covariance attention on (N, H, W, C); one of query, key and value at a time."""
    n, height, width, channels = pixels.shape

    def part(index: int) -> torch.Tensor:
        """Return (N, heads, channels of a head, pixels)."""
        rows = slice(index * channels, (index + 1) * channels)
        layer = Linear(xca.qkv.weight[rows], xca.qkv.bias[rows])
        made = product(layer, pixels).reshape(n, height * width, xca.num_heads, -1)
        return made.permute(0, 2, 3, 1)

    query = functional.normalize(part(0), dim=-1)
    key = functional.normalize(part(1), dim=-1)
    share = ((query @ key.transpose(-2, -1)) * xca.temperature).softmax(dim=-1)
    del query, key
    mixed = (share @ part(2)).permute(0, 3, 1, 2).reshape(n, height, width, channels)
    return product(xca.proj, mixed)


ENCODERS = {"tu-regnety_004": RegNet, "tu-edgenext_small": EdgeNeXt}
