"""Arms that are judged without a training of their own: several views of a patch, several networks together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from pipeline.models.combined.tta import TURNS, is_noisy
from pipeline.models.networks.network import Network


class Together(Network):
    """The mean of the probabilities of several networks."""

    def __init__(self, nets: Sequence[Network]) -> None:
        super().__init__()
        self.nets = nn.ModuleList(nets)
        self.stride_px = max(each.stride_px for each in nets)

    def forward(self, images, bands_um, present):
        """Return probabilities; see `Network`."""
        found = [net(images, bands_um, present).softmax(dim=1) for net in self.nets]
        return torch.stack(found).mean(dim=0)


class Views(Network):
    """The mean of the probabilities of so many views of one image: quarter turns, then those of its mirror image.

    In the order of ``tta``, and with `while_noisy` by its rule: the next view is looked at only while the averaged classes
    have many isolated pixels.
    """

    def __init__(self, net: Network, most: int, *, while_noisy: bool) -> None:
        super().__init__()
        self.net, self.turns, self.while_noisy = net, TURNS[:most], while_noisy
        self.stride_px = net.stride_px

    def forward(self, images, bands_um, present):
        """Return probabilities; see `Network`. With `while_noisy`, of one image."""
        total = torch.zeros(())
        for number, turn in enumerate(self.turns, start=1):
            scores = self.net(_turned(images, turn), bands_um, present).softmax(dim=1)
            total = total + _back(scores, turn)
            if self.while_noisy and not _noisy(total[0] / number):
                break
        return total / number


def _turned(images: torch.Tensor, turn: tuple[int, bool]) -> torch.Tensor:
    quarters, mirrored = turn
    return torch.rot90(images.flip(-1) if mirrored else images, quarters, (-2, -1))


def _back(scores: torch.Tensor, turn: tuple[int, bool]) -> torch.Tensor:
    quarters, mirrored = turn
    turned = torch.rot90(scores, -quarters, (-2, -1))
    return turned.flip(-1) if mirrored else turned


def _noisy(scores: torch.Tensor) -> bool:
    found = scores.cpu().numpy()
    return is_noisy(found, np.zeros(found.shape[1:], bool))
