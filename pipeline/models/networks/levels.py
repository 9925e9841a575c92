"""U-Net, U-Net++, SegNet and FCN from one table of channels: (N, B, H, W) -> (N, K, H, W) scores.

::

    level 0   two convolutions ────────────────▶ skip    full size
    level 1     └ pool, two convolutions ──────▶ skip    half
    level 2          └ pool, two convolutions            quarter, …

What differs is the way up:

=======  ==========================================================================================
U-Net    enlarged, beside the skip of the level above, two convolutions (Ronneberger et al. 2015)
U-Net++  every node of a level sees all nodes before it and the one below (Zhou et al. 2018)
SegNet   values go back to where pooling took them from; no skips (Badrinarayanan et al. 2017)
FCN      scores of the three lowest levels, enlarged and added up (Long et al. 2015)
=======  ==========================================================================================

Each convolution is 3 x 3 with batch norm and ReLU. Nothing is taken over the window as a whole, so that the neighbourhood
that a pixel sees is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

SCORED_LEVELS = 3
"""Levels whose scores an FCN adds up."""


def _convs(n_in: int, n_out: int) -> nn.Sequential:
    """Return two convolutions."""
    layers: list[nn.Module] = []
    for before in (n_in, n_out):
        layers += [
            nn.Conv2d(before, n_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers)


def _twice(lower: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(lower, scale_factor=2.0)


class _Levels(nn.Module):
    """The way down, which all have."""

    def __init__(self, bands: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            _convs(before, after) for before, after in pairwise((bands, *channels))
        )

    def levels(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return what each level sees, full size first."""
        found = [self.down[0](images)]
        for level in self.down[1:]:
            found.append(level(functional.max_pool2d(found[-1], 2)))
        return found


class Unet(_Levels):
    """U-Net."""

    def __init__(self, bands: int, channels: Sequence[int], classes: int) -> None:
        """Make the layers with random weights."""
        super().__init__(bands, channels)
        self.up = nn.ModuleList(
            _convs(here + below, here) for here, below in pairwise(channels)
        )
        self.score = nn.Conv2d(channels[0], classes, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Score images."""
        *skips, lower = self.levels(images)
        for skip, join in zip(reversed(skips), reversed(self.up), strict=True):
            lower = join(torch.cat([skip, _twice(lower)], dim=1))
        scores: torch.Tensor = self.score(lower)
        return scores


class UnetPlusPlus(_Levels):
    """U-Net++: node (level, n) sees nodes 0 to n - 1 of its level, and node n - 1 of the one below."""

    def __init__(self, bands: int, channels: Sequence[int], classes: int) -> None:
        """Make the layers with random weights."""
        super().__init__(bands, channels)
        self.nodes = nn.ModuleList(
            nn.ModuleList(
                _convs(n * channels[level] + channels[level + 1], channels[level])
                for level in range(len(channels) - n)
            )
            for n in range(1, len(channels))
        )
        self.score = nn.Conv2d(channels[0], classes, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Score images."""
        rows = [[each] for each in self.levels(images)]
        for n, nodes in enumerate(self.nodes):
            assert isinstance(nodes, nn.ModuleList)
            for level, node in enumerate(nodes):
                seen = torch.cat([*rows[level], _twice(rows[level + 1][n])], dim=1)
                rows[level].append(node(seen))
        scores: torch.Tensor = self.score(rows[0][-1])
        return scores


class SegNet(_Levels):
    """SegNet."""

    def __init__(self, bands: int, channels: Sequence[int], classes: int) -> None:
        """Make the layers with random weights."""
        super().__init__(bands, channels)
        # What comes up has the channels of the level below, and must have those of the pooled one.
        self.narrow = nn.ModuleList(
            nn.Conv2d(below, here, 1) for here, below in pairwise(channels)
        )
        self.up = nn.ModuleList(_convs(here, here) for here in channels[:-1])
        self.score = nn.Conv2d(channels[0], classes, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Score images."""
        lower = self.down[0](images)
        places: list[torch.Tensor] = []
        for level in self.down[1:]:
            pooled, place = functional.max_pool2d(lower, 2, return_indices=True)
            places.append(place)
            lower = level(pooled)
        for place, narrow, join in zip(
            reversed(places), reversed(self.narrow), reversed(self.up), strict=True
        ):
            lower = join(_back(narrow(lower), place))
        scores: torch.Tensor = self.score(lower)
        return scores


def _back(values: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """Put values to where pooling took them from, zeros elsewhere; by scattering, which ONNX has, too."""
    n, channels, height, width = values.shape
    full = values.new_zeros(n, channels, 4 * height * width)
    full = full.scatter(2, place.flatten(2), values.flatten(2))
    return full.reshape(n, channels, 2 * height, 2 * width)


class Fcn(_Levels):
    """FCN."""

    def __init__(self, bands: int, channels: Sequence[int], classes: int) -> None:
        """Make the layers with random weights."""
        super().__init__(bands, channels)
        self.score = nn.ModuleList(
            nn.Conv2d(each, classes, 1) for each in channels[-SCORED_LEVELS:]
        )
        self.left = max(0, len(channels) - SCORED_LEVELS)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Score images."""
        seen = self.levels(images)[-len(self.score) :]
        *upper, scores = (score(each) for score, each in zip(self.score, seen, strict=True))
        for each in reversed(upper):
            scores = each + _enlarged(scores, 2)
        full: torch.Tensor = _enlarged(scores, 2**self.left) if self.left else scores
        return full


def _enlarged(scores: torch.Tensor, times: int) -> torch.Tensor:
    return functional.interpolate(
        scores, scale_factor=float(times), mode="bilinear", align_corners=False
    )


BODIES: Mapping[str, Callable[[int, Sequence[int], int], nn.Module]] = {
    "unet": Unet,
    "unet++": UnetPlusPlus,
    "segnet": SegNet,
    "fcn": Fcn,
}
"""Kind -> what makes it of the number of bands, channels and number of classes."""
