"""Networks for any bands: an embedding of the bands (SEnSeI, either edition) in front of a segmenter."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from pipeline.models.networks.network import Network
from pipeline.models.networks.sensei import Sensei
from pipeline.models.networks.sensei_2 import Sensei2


class SenseiNetwork(Network):
    """SEnSeI's first edition and a segmenter."""

    def __init__(self, segmenter: nn.Module) -> None:
        """Take a segmenter from (N, 64, H, W) to scores."""
        super().__init__()
        self.bands = Sensei()
        self.segmenter = segmenter

    def forward(
        self, images: torch.Tensor, bands_um: torch.Tensor, present: torch.Tensor
    ) -> torch.Tensor:
        """Score images; see `Network`."""
        # In full precision: it costs next to nothing, and wavelengths differ by little.
        with torch.autocast(images.device.type, enabled=False):
            seen = self.bands(images.clamp(-0.1, 1.8), bands_um, present)
        # As the first operation of the original's DeepLabv3+.
        scores: torch.Tensor = self.segmenter(2 * seen - 1)
        return scores

    def fixed(self, bands_um: Sequence[tuple[float, float]]) -> nn.Module:
        """Return the network for certain bands, whose embedding is a 1 x 1 convolution; see `Network.fixed`."""
        described, present = _described(bands_um)
        with torch.no_grad():
            share = self.bands.eval().vectors(described, present)[0] / len(bands_um)
        mix = nn.Conv2d(share.shape[0], share.shape[1], 1)
        # 2 · mean of v · (r + ½) - 1
        mix.weight.data = 2 * share.T[:, :, None, None].contiguous()
        assert mix.bias is not None
        mix.bias.data = share.sum(dim=0) - 1
        return _Mixed(mix, self.segmenter)


class _Mixed(nn.Module):
    def __init__(self, mix: nn.Conv2d, segmenter: nn.Module) -> None:
        super().__init__()
        self.mix, self.segmenter = mix, segmenter

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.segmenter(self.mix(images.clamp(-0.1, 1.8)))
        return scores


class Sensei2Network(Network):
    """SEnSeI-v2 and a segmenter."""

    def __init__(self, bands: Sensei2, segmenter: nn.Module) -> None:
        """Take an embedding, and a segmenter from its features to scores."""
        super().__init__()
        self.bands = bands
        self.segmenter = segmenter

    def forward(
        self, images: torch.Tensor, bands_um: torch.Tensor, present: torch.Tensor
    ) -> torch.Tensor:
        """Score images; see `Network`. In training, `recovered` is what the features tell of the bands."""
        with torch.autocast(images.device.type, enabled=False):
            told = self.bands.tell(images, bands_um)
            seen = self.bands(images, told, present)
            self.recovered = self.bands.recover(seen, told) if self.training else None
        scores: torch.Tensor = self.segmenter(seen)
        return scores

    def fixed(self, bands_um: Sequence[tuple[float, float]]) -> nn.Module:
        """Return the network for certain bands; see `Network.fixed`."""
        return _Told(self, bands_um)


class _Told(nn.Module):
    described: torch.Tensor

    def __init__(self, net: Sensei2Network, bands_um: Sequence[tuple[float, float]]) -> None:
        super().__init__()
        self.net = net.eval()
        # It hangs on the graph of its last step, which nothing can copy.
        net.recovered = None
        self.register_buffer("described", _described(bands_um)[0], persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        described = self.described.expand(images.shape[0], -1, -1)
        present = torch.ones_like(described[..., 0], dtype=torch.bool)
        told = self.net.bands.tell(images, described)
        scores: torch.Tensor = self.net.segmenter(self.net.bands(images, told, present))
        return scores


def _described(bands_um: Sequence[tuple[float, float]]) -> tuple[torch.Tensor, torch.Tensor]:
    described = torch.tensor([bands_um], dtype=torch.float32)
    return described, torch.ones(1, len(bands_um), dtype=torch.bool)
