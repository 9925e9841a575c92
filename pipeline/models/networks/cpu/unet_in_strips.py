"""A U-Net of segmentation_models_pytorch whose upper levels run in strips of rows; for a CPU.

::

    encoder ── 1/32, 1/16, 1/8, 1/4 ──▶ levels 1/16, 1/8, 1/4: whole tensors, computed in strips
            ── 1/2, recomputed ───────▶ levels 1/2 and 1/1, head: in strips, added to the logits

A channel of a window of 1152 px takes 5 MiB in float32, and levels 1/2 and 1/1 have up to 96 channels at once: most
of the memory of the published network.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import nn

from pipeline.models.networks.cpu import row_strips, upsample_conv
from pipeline.models.networks.cpu.row_strips import Same, Strip

ROWS = 64
"""Rows of a strip at full resolution; a multiple of 4."""
LEVEL_ROWS = 32
"""Rows of a strip on other levels."""

_REACH = 12
"""Receptive field of a row of logits in the feature of 1/4, in full-resolution rows on either side, rounded up to a
multiple of 4: three convolutions at full resolution, two at half."""

Half = Callable[[int, int], Strip]
"""Returns rows first … stop of the encoder's feature of half resolution."""


class Encoder(Protocol):
    """Computes the features of a window."""

    def __call__(self, x: torch.Tensor) -> tuple[list[torch.Tensor], Half | None]:
        """Return the features of 1/4, 1/8, 1/16 and 1/32, and a function for that of 1/2, if there is one."""
        ...


class Level(nn.Module):
    """A level of the decoder: upsample, concatenate the encoder's feature, convolve twice."""

    def __init__(self, block: nn.Module, n_below: int) -> None:
        """Take over the weights of a level of smp whose batch norms are folded.

        Parameters
        ----------
        block
            The level.
        n_below
            Channels of the level below.
        """
        super().__init__()
        conv1, conv2 = (_only_conv(getattr(block, name)) for name in ("conv1", "conv2"))
        self.n_out = conv2.out_channels
        self.conv1, self.conv2 = row_strips.Doubled(conv1, n_below), Same(conv2, relu=True)

    def strip(self, below: Strip, skip: Strip | None) -> Strip:
        """Compute the rows that the rows below suffice for."""
        out: Strip = self.conv2(self.conv1(below, skip))
        return out

    def forward(self, below: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """Compute the whole level, strip by strip."""
        n, _, height, width = skip.shape
        out = torch.empty(
            (n, self.n_out, height, width),
            dtype=below.dtype,
            memory_format=torch.channels_last,
        )
        for first, stop in row_strips.spans(height, LEVEL_ROWS):
            seen = row_strips.cut(below, (first - 2) // 2, -(-(stop + 2) // 2))
            made = self.strip(seen, row_strips.cut(skip, 2 * seen.first, 2 * seen.stop))
            out[:, :, first:stop] = made.rows(first, stop)
        return out


class LeanUnet(nn.Module):
    """A U-Net whose levels 1/2 and 1/1 never exist as whole tensors."""

    def __init__(self, encoder: Encoder, net: nn.Module) -> None:
        """Take over decoder and head of a U-Net of smp, batch norms folded, and run another encoder."""
        super().__init__()
        self.encoder = encoder
        levels: list[Level] = []
        n_below = upsample_conv.deepest(net)
        for block in net.get_submodule("decoder.blocks").children():
            levels.append(Level(block, n_below))
            n_below = levels[-1].n_out
        self.levels = nn.ModuleList(levels[:-2])
        self.at_half, self.at_full = levels[-2:]
        self.head = Same(_only_conv(net.get_submodule("segmentation_head")))

    def forward(self, x: torch.Tensor, logits: torch.Tensor | None = None) -> torch.Tensor:
        """Score a window (N, B, H, W).

        Parameters
        ----------
        x
            H and W are multiples of 32.
        logits
            (N, K, H, W) float32 that the network's are added to, in place; zeros by default.
        """
        if logits is None:
            # Allocated first, although needed last, so that they do not fragment memory that is freed earlier.
            logits = torch.zeros((len(x), self.head.weight.shape[0], *x.shape[2:]))
        features, half = self.encoder(x)
        below = features.pop()
        for level in self.levels:
            # Each feature is freed as soon as it is used.
            below = level(below, features.pop())
        for first, stop in row_strips.spans(logits.shape[2], ROWS):
            logits[:, :, first:stop] += self._rows(below, half, first, stop)
        return logits

    def _rows(
        self, below: torch.Tensor, half: Half | None, first: int, stop: int
    ) -> torch.Tensor:
        seen = row_strips.cut(below, (first - _REACH) // 4, -(-(stop + _REACH) // 4))
        skip = half(2 * seen.first, 2 * seen.stop) if half else None
        made = self.at_full.strip(self.at_half.strip(seen, skip), None)
        logits: Strip = self.head(made)
        return logits.rows(first, stop)


def _only_conv(layers: nn.Module) -> nn.Conv2d:
    """Return the one convolution of some layers that add only their activation."""
    convs = [each for each in layers.modules() if isinstance(each, nn.Conv2d)]
    (conv,) = convs
    return conv
