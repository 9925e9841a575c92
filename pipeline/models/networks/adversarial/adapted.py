"""A generator that makes images of one sensor look like another's, before the segmenter that was trained on the other.

Mateo-García, Laparra, López-Puigdollers, Gómez-Chova 2021 (https://doi.org/10.1109/JSTARS.2020.3031741)::

    bands ─┬ near: two separable convolutions ─┐
           ├───────────────────────────────────┴┬ wide: two more, every second pixel ─┐
           └────────────────────────────────────┴─────────────────────────────────────┴ 1 x 1 ─▶ bands

No layer looks at the window as a whole, so that a pixel of an adapted image depends on a neighbourhood of it.
"""

from __future__ import annotations

import torch
from torch import nn

from pipeline.models.networks.cpu.pointwise import Pointwise
from pipeline.models.networks.dl_l8s2_uv import Block, Trainable


class Generator(nn.Module):
    """(N, bands, H, W) scaled reflectance -> the same of the other sensor."""

    def __init__(self, bands: int, filters: int) -> None:
        """Make a generator that changes nothing yet, with random weights behind the bands themselves."""
        super().__init__()
        self.near = Block(bands, filters)
        self.wide = Block(bands + filters, filters, dilation=2)
        self.last = Pointwise(bands + 2 * filters, bands)
        with torch.no_grad():
            self.last.weight.zero_()
            self.last.weight[:, :bands, 0, 0] = torch.eye(bands)
            assert self.last.bias is not None
            self.last.bias.zero_()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Adapt images."""
        seen = torch.cat([images, self.near(images)], dim=1)
        adapted: torch.Tensor = self.last(torch.cat([seen, self.wide(seen)], dim=1))
        return adapted


class Adapted(nn.Module):
    """(N, bands, H, W) scaled reflectance of one sensor -> (N, classes, H, W) scores of the other sensor's segmenter."""

    def __init__(self, bands: int, filters: int, classes: int) -> None:
        """Make both with random weights."""
        super().__init__()
        self.generator = Generator(bands, filters)
        self.segmenter = Trainable(bands, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Score images."""
        scores: torch.Tensor = self.segmenter(self.generator(images))
        return scores
