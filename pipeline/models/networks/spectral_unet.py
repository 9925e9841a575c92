"""A small U-Net for any optical bands: the first layer's weights are made from the bands' wavelengths.

::

    bands (centre, width) ─ encode ─ attention over the set ─▶ weights of a 1 x 1 convolution
    reflectance, its logarithm ─ that convolution ─▶ features, four pixels side by side as channels
                                      └ ½ ─ ¼ ─ ⅛ ─ 1/16, dilated ─ up, skips ─ ½ ─▶ scores of four pixels at once

All but the first layer and the last step work at half size and less, so that training and masking cost little; what
is finer is in the channels (as in Shi et al. 2016, https://doi.org/10.1109/CVPR.2016.207).

As in SEnSeI (Francis et al. 2022, https://doi.org/10.1109/TGRS.2022.3184404) and its second version (Francis
2024), a band is described by its wavelengths, so that bands may come in any order and number. Here the weights of
the first layer depend on the set of bands only, not on the image: for known bands it is an ordinary convolution
(`Fixed`). Nothing in the network depends on the window as a whole, and the receptive field is bounded (`REACH_PX`).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from pipeline.models.networks.network import Network

FEATURES = 2
"""Features made of a band's reflectance: see `features`."""

FREQUENCIES = 6
"""Frequencies of the encoding of a band's edge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Width:
    """Channels of a network."""

    channels: tuple[int, int, int, int, int] = (8, 32, 64, 112, 176)
    """At full size, 1/2, 1/4, 1/8 and 1/16."""
    spectral: int = 48
    """Size of a band's embedding; a multiple of 4."""


def features(reflectance: torch.Tensor) -> torch.Tensor:
    """Return the features of reflectance: (N, B, H, W) -> (N, 2·B, H, W), by a fixed rule.

    First the reflectance of all bands, then their logarithms. In the logarithm a shadow differs as much from its
    surroundings over dark ground as over bright ground.
    """
    plain = (reflectance.clamp(-0.1, 1.8) - 0.2) / 0.25
    dark = (torch.log(reflectance.clamp(-0.01, 1.8) + 0.03) + 1.8) / 0.8
    return torch.cat([plain, dark], dim=1)


def encode(bands: torch.Tensor) -> torch.Tensor:
    """Encode bands (…, 2), centre and width in µm, as (…, 4 · `FREQUENCIES` + 2) numbers.

    Both edges are encoded by sines and cosines of log10(nm - 300) - 2, SEnSeI's scale, which is finest where most
    bands lie.
    """
    centre, width = bands.unbind(-1)
    edges = torch.stack([centre - width / 2, centre + width / 2], dim=-1)
    place = torch.log10((1000 * edges - 300).clamp(min=10)) - 2
    turns = place[..., None] * (
        math.pi / 2 * 2 ** torch.arange(FREQUENCIES, device=bands.device, dtype=bands.dtype)
    )
    waves = torch.cat([turns.sin(), turns.cos()], dim=-1).flatten(-2)
    return torch.cat([place, waves], dim=-1)


class BandWeights(nn.Module):
    """Bands -> the weights of a 1 x 1 convolution from their features to `n_out` channels."""

    def __init__(self, n_out: int, spectral: int) -> None:
        """Make the layers with random weights."""
        super().__init__()
        self.n_out = n_out
        self.heads = 4
        self.embed = nn.Sequential(
            nn.Linear(4 * FREQUENCIES + 2, spectral), nn.ReLU(), nn.Linear(spectral, spectral)
        )
        self.norm = nn.LayerNorm(spectral)
        self.ask = nn.Linear(spectral, 3 * spectral)
        self.answer = nn.Linear(spectral, spectral)
        self.think = nn.Sequential(
            nn.LayerNorm(spectral),
            nn.Linear(spectral, 2 * spectral),
            nn.ReLU(),
            nn.Linear(2 * spectral, spectral),
        )
        self.weight = nn.Linear(spectral, FEATURES * n_out)
        self.bias = nn.Linear(spectral, n_out)

    def forward(
        self, bands: torch.Tensor, present: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Make weights.

        Parameters
        ----------
        bands
            (N, B, 2) centre and width, µm; anything finite where a band is absent.
        present
            (N, B) booleans, one at least in every row.

        Returns
        -------
        (N, n_out, 2·B), zero for bands that are absent, and (N, n_out).
        """
        n, count, _ = bands.shape
        tokens = self.embed(encode(bands.float()))
        # N B (3 heads d) -> 3 N heads B d
        asked = self.ask(self.norm(tokens)).reshape(n, count, 3, self.heads, -1)
        query, key, value = asked.permute(2, 0, 3, 1, 4)
        heard = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=present[:, None, None, :]
        )
        tokens = tokens + self.answer(heard.transpose(1, 2).reshape(n, count, -1))
        tokens = tokens + self.think(tokens)
        here = present[..., None].to(tokens.dtype)
        share = here / here.sum(dim=1, keepdim=True)
        bias = torch.tanh((self.bias(tokens) * share).sum(dim=1))
        weights = self.weight(tokens).reshape(n, count, self.n_out, FEATURES)
        weights = weights * here[..., None]
        # Of length one, or sets of bands would differ in brightness, and the norm behind would see little else.
        length = torch.linalg.vector_norm(weights, dim=(1, 3), keepdim=True)
        weights = weights / length.clamp(min=1e-6)
        # N B C F -> N C (F B), as `features` orders them
        return weights.permute(0, 2, 3, 1).flatten(2), bias


def _conv(n_in: int, n_out: int, *, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Return a separable convolution: 3 x 3 for each channel, then 1 x 1, each normed."""
    return nn.Sequential(
        nn.Conv2d(
            n_in,
            n_in,
            3,
            stride=stride,
            padding=dilation,
            dilation=dilation,
            groups=n_in,
            bias=False,
        ),
        nn.BatchNorm2d(n_in),
        nn.Conv2d(n_in, n_out, 1, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU(),
    )


class Body(nn.Module):
    """(N, C, H, W) features at full size -> (N, K, H, W) scores; H and W are multiples of 16."""

    def __init__(self, channels: Sequence[int], classes: int) -> None:
        """Make the layers with random weights."""
        super().__init__()
        full, half, quarter, eighth, sixteenth = channels
        self.enter = nn.Sequential(nn.BatchNorm2d(full), nn.ReLU())
        self.level_2 = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * full, half, 3, padding=1, bias=False),
            nn.BatchNorm2d(half),
            nn.ReLU(),
            _conv(half, half),
        )
        self.level_4 = nn.Sequential(_conv(half, quarter, stride=2), _conv(quarter, quarter))
        self.level_8 = nn.Sequential(_conv(quarter, eighth, stride=2), _conv(eighth, eighth))
        self.level_16 = nn.Sequential(
            _conv(eighth, sixteenth, stride=2),
            *(_conv(sixteenth, sixteenth, dilation=d) for d in (1, 2, 4)),
        )
        self.lift = nn.ModuleList(
            nn.Conv2d(below, here, 1)
            for below, here in (
                (sixteenth, eighth),
                (eighth, quarter),
                (quarter, half),
            )
        )
        self.join = nn.ModuleList(_conv(here, here) for here in (eighth, quarter, half))
        self.score = nn.Sequential(nn.Conv2d(half, 4 * classes, 1), nn.PixelShuffle(2))

    def forward(self, full: torch.Tensor) -> torch.Tensor:
        """Score windows."""
        half = self.level_2(self.enter(full))
        quarter = self.level_4(half)
        eighth = self.level_8(quarter)
        below = self.level_16(eighth)
        for skip, lift, join in zip((eighth, quarter, half), self.lift, self.join, strict=True):
            below = join(skip + functional.interpolate(lift(below), scale_factor=2.0))
        scores: torch.Tensor = self.score(below)
        return scores


REACH_PX = 16 * (1 + 1 + 2 + 4) + 8 * 3 + 4 * 3 + 2 * 3 + 15
"""Radius of the receptive field: convolutions level by level, and up to 15 px because a pixel of the lowest level
covers sixteen."""


class SpectralUnet(Network):
    """(N, B, H, W) reflectance and descriptions of its bands -> (N, K, H, W) scores."""

    stride_px = 16

    def __init__(self, classes: int, width: Width | None = None) -> None:
        """Make a network with random weights."""
        super().__init__()
        width = width or Width()
        self.bands = BandWeights(width.channels[0], width.spectral)
        self.body = Body(width.channels, classes)

    def forward(
        self, images: torch.Tensor, bands: torch.Tensor, present: torch.Tensor
    ) -> torch.Tensor:
        """Score images; see `BandWeights.forward` for `bands` and `present`."""
        n, _, height, width = images.shape
        # In full precision: it costs next to nothing, and wavelengths differ by little.
        with torch.autocast(images.device.type, enabled=False):
            weight, bias = self.bands(bands, present)
        seen = features(images).flatten(2)
        mixed = torch.baddbmm(bias[..., None], weight, seen)
        scores: torch.Tensor = self.body(mixed.reshape(n, -1, height, width))
        return scores

    def fixed(self, bands_um: Sequence[tuple[float, float]]) -> Fixed:
        """Return the network for certain bands; see `Network.fixed`."""
        return Fixed(self, bands_um)


class Fixed(nn.Module):
    """A network for fixed bands: (N, B, H, W) reflectance -> (N, K, H, W) scores, by convolutions alone."""

    def __init__(self, net: SpectralUnet, bands_um: Sequence[tuple[float, float]]) -> None:
        """Fix the bands of a trained network.

        Parameters
        ----------
        net
            A network; it is set to evaluation mode and otherwise unchanged.
        bands_um
            Centre and width of each band, in the order of the images, µm.
        """
        super().__init__()
        net.eval()
        described = torch.tensor([bands_um], dtype=torch.float32)
        with torch.no_grad():
            weight, bias = net.bands(described, torch.ones(1, len(bands_um), dtype=torch.bool))
        self.mix = nn.Conv2d(weight.shape[2], weight.shape[1], 1)
        self.mix.weight.data, self.mix.bias.data = weight[0, :, :, None, None], bias[0]  # type: ignore[union-attr]
        self.body = copy.deepcopy(net.body)
        first = self.body.enter[0]
        assert isinstance(first, nn.BatchNorm2d)
        self.mix, self.body.enter[0] = fuse_conv_bn_eval(self.mix.eval(), first), nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Score images."""
        # In float32: in bfloat16, logarithms could not tell dark ground from darker.
        seen = features(images.float()).to(images.dtype)
        scores: torch.Tensor = self.body(self.mix(seen))
        return scores
