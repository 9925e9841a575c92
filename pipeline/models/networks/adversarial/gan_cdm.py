"""GAN-CDM: what a pixel sends back itself, lets through and swallows, learnt from blocks that are called cloudy or clear.

Li et al. 2022 (https://doi.org/10.1016/j.rse.2022.113197). Written from the paper's facts::

    level 0   conv 3 x 3 ───────────────────────────▶ skip    full size
    level 1     └ conv, every second pixel ─────────▶ skip    half
    level 2          └ conv, every second pixel               quarter, …

and back up by transposed convolutions. Norms are taken over the window as a whole (instance norm), so that windows have a
fixed size on a fixed lattice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

PARTS = ("reflected", "transmitted", "absorbed")
"""Of light that meets the cloud over a pixel; they add up to one."""


class InstanceUnet(nn.Module):
    """U-Net with instance norms: (N, n_in, H, W) -> (N, n_out, H, W)."""

    def __init__(self, n_in: int, channels: Sequence[int], n_out: int) -> None:
        """Make the layers, a level for each of `channels`, with random weights."""
        super().__init__()
        self.first = nn.Conv2d(n_in, channels[0], 3, padding=1, bias=False)
        self.down = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False),
                nn.InstanceNorm2d(after, affine=True),
            )
            for before, after in pairwise(channels)
        )
        # What comes up into a level stands beside its skip, but for the lowest, which has none.
        rising = (*(2 * each for each in channels[1:-1]), channels[-1])
        self.up = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose2d(
                    below, here, 3, stride=2, padding=1, output_padding=1, bias=False
                ),
                nn.InstanceNorm2d(here, affine=True),
            )
            for here, below in zip(channels[:-1], rising, strict=True)
        )
        self.last = nn.Conv2d(2 * channels[0], n_out, 3, padding=1, bias=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images; H and W are multiples of the lowest level's pixel."""
        seen = [nn.functional.leaky_relu(self.first(images), 0.2)]
        for level in self.down:
            seen.append(nn.functional.leaky_relu(level(seen[-1]), 0.2))
        lower = seen.pop()
        for level in reversed(self.up):
            lower = torch.cat([torch.relu(level(lower)), seen.pop()], dim=1)
        mapped: torch.Tensor = self.last(lower)
        return mapped


class CloudParts(nn.Module):
    """(N, bands, H, W) scaled reflectance -> (N, 2, H, W) scores of clear and of cloud."""

    def __init__(self, bands: int, channels: Sequence[int], threshold: float) -> None:
        """Make the network; a pixel is cloud where more than `threshold` of its light is reflected by one."""
        super().__init__()
        self.parts = InstanceUnet(bands, channels, len(PARTS))
        self.offset = math.log(threshold / (1 - threshold))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Score images: zero for clear, and how far what is reflected is above the threshold for cloud, both as logits."""
        parts = self.parts(images)
        others = torch.logsumexp(parts[:, 1:], dim=1, keepdim=True)
        cloud = parts[:, :1] - others - self.offset
        return torch.cat([torch.zeros_like(cloud), cloud], dim=1)
