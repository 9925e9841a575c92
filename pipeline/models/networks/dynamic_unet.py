"""The U-Net that fastai builds round an encoder, in plain torch, with the same names of weights.

::

    window ─ encoder ─ norm, ReLU ─ 2 conv ─ level ─ … ─ level ─ double ─ resize ─ join ─ residual ─ 1 x 1 ─▶ logits
     │          └───── skips, deepest first ──────────┴───────┘                     │
     └──────────────────────────────────────────────────────────────────────────────┘

    level:   double ─ resize ─ join ─ Mish ─ 2 conv
                                 norm(skip) ┘
    double:  1 x 1 ─ Mish ─ four channels become 2 x 2 pixels

A convolution is 3 x 3 with Mish unless marked otherwise. A RegNet has four skips. A ConvNeXt, whose stages fastai
takes as one part, has the stem as its only skip: its only level goes from 1/32 to 1/4.

From the last *double* on, tensors of full resolution have up to 203 channels; these steps run in row strips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import timm
import torch
from torch import nn
from torch.nn import functional

from pipeline.models.networks.cpu import row_strips

ROWS = 64
"""Rows of a strip at full resolution; a multiple of 4."""

_REACH = 4
"""Rows that a strip needs on either side: two for two convolutions, rounded up to a pixel of 1/4 resolution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts into which fastai splits an encoder of timm."""

    names: tuple[str, ...]
    channels: tuple[int, ...]
    """Output channels of each part; all but the last are skips of the decoder."""


ENCODERS = {
    "regnety_004": Parts(
        names=("stem", "s1", "s2", "s3", "s4"), channels=(32, 48, 104, 208, 440)
    ),
    "convnextv2_nano": Parts(names=("stem", "stages"), channels=(80, 640)),
    "edgenext_small": Parts(names=("stem", "stages"), channels=(48, 304)),
}
"""By timm's names."""


def build(encoder: str, n_bands: int, n_classes: int) -> DynamicUnet:
    """Build a network without weights round one of `ENCODERS`; nothing is downloaded."""
    model = timm.create_model(encoder, pretrained=False, in_chans=n_bands)
    taken = ENCODERS[encoder]
    parts = [getattr(model, name) for name in taken.names]
    return DynamicUnet(parts, taken.channels, n_bands, n_classes)


class DynamicUnet(nn.Module):
    """(N, B, H, W) -> (N, K, H, W) logits, for any H and W from 32 on."""

    def __init__(
        self, parts: Sequence[nn.Module], channels: Sequence[int], n_bands: int, n_classes: int
    ) -> None:
        """Make the network round the parts of an encoder with their output channels."""
        super().__init__()
        *larger, deepest = channels
        n_below = deepest
        levels: list[Level] = []
        for n_beside in reversed(larger):
            levels.append(Level(n_below, n_beside, last=len(levels) == len(larger) - 1))
            n_below = levels[-1].n_out
        n_joined = n_below + n_bands
        # The files number all steps consecutively, those without weights too.
        self.layers = nn.ModuleList(
            [
                nn.Sequential(*parts),
                nn.BatchNorm2d(deepest),
                nn.ReLU(),
                nn.Sequential(_conv(deepest, 2 * deepest), _conv(2 * deepest, deepest)),
                *levels,
                _doubling(n_below, n_below),
                nn.Identity(),
                nn.Identity(),
                Residual(n_joined),
                nn.Sequential(nn.Conv2d(n_joined, n_classes, 1)),
            ]
        )

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """Score windows."""
        encoder, norm, relu, middle, *levels = self.layers[:-N_LAST]
        features: list[torch.Tensor] = []
        x = windows
        for part in encoder.children():
            x = part(x)
            features.append(x)
        x = middle(relu(norm(features.pop())))
        for level in levels:
            x = level(x, features.pop())
        return self._in_strips(x, windows)

    def _in_strips(self, below: torch.Tensor, windows: torch.Tensor) -> torch.Tensor:
        """Run the last steps, in row strips, on (N, C, h, w) and the windows themselves."""
        height = windows.shape[2]
        times, rest = divmod(height, below.shape[2])
        if rest:
            return self._last(below, windows)
        made = []
        for first, stop in row_strips.spans(height, ROWS):
            top, bottom = max(first - _REACH, 0), min(stop + _REACH, height)
            logits = self._last(
                below[:, :, top // times : bottom // times], windows[:, :, top:bottom]
            )
            made.append(logits[:, :, first - top : stop - top])
        return torch.cat(made, dim=2)

    def _last(self, below: torch.Tensor, windows: torch.Tensor) -> torch.Tensor:
        double, _resize, _join, residual, last = self.layers[-N_LAST:]
        joined = torch.cat([_resized(double(below), windows), windows], dim=1)
        logits: torch.Tensor = last(residual(joined))
        return logits


N_LAST = 5
"""Number of steps from the last *double* on, which run in strips."""


class Level(nn.Module):
    """A decoder level: the level below, upsampled, joined with the encoder's skip of that size."""

    def __init__(self, n_below: int, n_beside: int, *, last: bool) -> None:
        """Make a step from `n_below` channels to `n_out`; the last one halves what it joins."""
        super().__init__()
        n_joined = n_below // 2 + n_beside
        self.n_out = n_joined // 2 if last else n_joined
        self.shuf = _doubling(n_below, n_below // 2)
        self.bn = nn.BatchNorm2d(n_beside)
        self.conv1 = _conv(n_joined, self.n_out)
        self.conv2 = _conv(self.n_out, self.n_out)

    def forward(self, below: torch.Tensor, beside: torch.Tensor) -> torch.Tensor:
        """Join (N, n_below, h, w) and (N, n_beside, H, W) to (N, n_out, H, W)."""
        joined = torch.cat([_resized(self.shuf(below), beside), self.bn(beside)], dim=1)
        x: torch.Tensor = self.conv2(self.conv1(functional.mish(joined, inplace=True)))
        return x


class Residual(nn.Module):
    """A residual block of two convolutions, (N, n, H, W)."""

    def __init__(self, n: int) -> None:
        """Make the step, whose second convolution is activated after the sum."""
        super().__init__()
        self.convpath = nn.Sequential(_conv(n, n), nn.Sequential(nn.Conv2d(n, n, 3, padding=1)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run the step."""
        out: torch.Tensor = self.convpath(x).add_(x)
        return functional.mish(out, inplace=True)


def _conv(n_in: int, n_out: int, edge: int = 3) -> nn.Sequential:
    # In place: nothing else reads the convolution's output.
    return nn.Sequential(nn.Conv2d(n_in, n_out, edge, padding=edge // 2), nn.Mish(inplace=True))


def _doubling(n_in: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(_conv(n_in, 4 * n_out, 1), nn.PixelShuffle(2))


def _resized(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Resize x to the height and width of another tensor, by nearest neighbour."""
    size = like.shape[2:]
    return x if x.shape[2:] == size else functional.interpolate(x, size, mode="nearest")
