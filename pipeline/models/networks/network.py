"""What every network that can be trained has in common, and the way from any bands to named ones."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from pipeline.errors import ModelError
from pipeline.models.wavelengths import ROLE_UM

NEAR = 0.06
"""A band is the one that a role means if their centres differ by no more than this share: between blue of Sentinel-2
and of Proba-V it is .055, between red and the first red edge .063."""


class Network(nn.Module):
    """(N, B, H, W) reflectance, (N, B, 2) centre and width of its bands, (N, B) which are there -> (N, K, H, W)."""

    stride_px: int = 32
    """Edges of images are multiples of this, or of a divisor that the network's shape knows."""
    recovered: torch.Tensor | None = None
    """In training, what a network recovers of the reflectance of its last images, (N, B, h, w), for a loss of its own."""

    def fixed(self, bands_um: Sequence[tuple[float, float]]) -> nn.Module:
        """Return the network for certain bands: (N, B, H, W) reflectance -> (N, K, H, W) scores.

        Parameters
        ----------
        bands_um
            Centre and width of each band, in the order of the images, µm.

        Raises
        ------
        ModelError
            It does not take these bands.
        """
        raise NotImplementedError


MEAN, SPREAD = 0.2, 0.25
"""Of reflectance, about."""


def scaled(reflectance: torch.Tensor) -> torch.Tensor:
    """Scale reflectance by a fixed rule, so that most of it lies between -1 and 2."""
    return (reflectance.clamp(-0.1, 1.8) - MEAN) / SPREAD


class OfNamedBands(Network):
    """A network for named bands: of the bands of an image it takes those nearest to them.

    A band that an image lacks is given as one of average brightness; masking has them all.
    """

    centres: torch.Tensor

    def __init__(self, body: nn.Module, roles: Sequence[str]) -> None:
        """Take a network from (N, len(roles), H, W) scaled reflectance to scores."""
        super().__init__()
        self.body = body
        self.roles = tuple(roles)
        centres = torch.tensor([ROLE_UM[role][0] for role in roles])
        self.register_buffer("centres", centres, persistent=False)

    def forward(
        self, images: torch.Tensor, bands_um: torch.Tensor, present: torch.Tensor
    ) -> torch.Tensor:
        """Score images; see `Network`."""
        scores: torch.Tensor = self.body(self.take(images, bands_um, present))
        return scores

    def take(
        self, images: torch.Tensor, bands_um: torch.Tensor, present: torch.Tensor
    ) -> torch.Tensor:
        """Return what the body sees of images: (N, R, H, W) scaled reflectance of its roles; see `Network`."""
        # N B 2 -> N R B
        apart = (bands_um[:, None, :, 0] / self.centres[:, None] - 1).abs()
        distance, index = apart.masked_fill(~present[:, None], torch.inf).min(dim=2)
        found = distance <= NEAR
        height, width = images.shape[2:]
        chosen = images.gather(1, index[..., None, None].expand(-1, -1, height, width))
        return scaled(chosen) * found[..., None, None]

    def fixed(self, bands_um: Sequence[tuple[float, float]]) -> nn.Module:
        """Return the network for exactly its bands; see `Network.fixed`."""
        fits = len(bands_um) == len(self.roles) and all(
            abs(given / float(wanted) - 1) <= NEAR
            for (given, _), wanted in zip(bands_um, self.centres, strict=True)
        )
        if not fits:
            raise ModelError(f"this network takes {', '.join(self.roles)}, in this order")
        return _Scaled(copy.deepcopy(self.body).eval())


class _Scaled(nn.Module):
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        # In float32: dark ground would be coarse in bfloat16 before it is spread out.
        scores: torch.Tensor = self.body(scaled(images.float()).to(images.dtype))
        return scores


def fold(net: nn.Module) -> nn.Module:
    """Return a copy in which every batch norm is folded into the convolution that stands before it."""
    folded = copy.deepcopy(net).eval()
    for parent in list(folded.modules()):
        for (conv, one), (norm, other) in pairwise(list(parent.named_children())):
            if isinstance(one, nn.Conv2d) and isinstance(other, nn.BatchNorm2d):
                setattr(parent, conv, fuse_conv_bn_eval(one, other))
                setattr(parent, norm, nn.Identity())
    return folded.requires_grad_(False)
