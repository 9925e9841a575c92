"""SEnSeI, the first edition: bands of any number and order -> 64 features, in front of any network.

Francis, Mrziglod, Sidiropoulos, Muller 2022 (https://doi.org/10.1109/TGRS.2022.3184404)::

    band (least, centre, greatest wavelength) ─ describe ─▶ 64 numbers
    every two bands' numbers ─ compare, mean over the second ─▶ 64, beside its own 64
    those 128 ─ conclude ─▶ v, 64 numbers a band
    features (x, y) = mean over bands of v · (reflectance (x, y) + 0.5)

Written from the paper's facts; the three blocks have the numbers of parameters of its table VI. One thing differs: norms
are taken over the channels of one band, or pair of bands, alone, so that a band that is absent changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

DESCRIBE = (16, 16, 32, 16, 16, 64, 128, 64)
COMPARE = (128, 128, 128, 64)
CONCLUDE = (128, 256, 128, 96, 64, 128, 64)
"""Sizes of hidden layers."""

FEATURES = 64


class Layers(nn.Module):
    """(M, n_in) -> (M, `FEATURES`): hidden layers, each with a skip where sizes match, and a last linear one."""

    def __init__(self, n_in: int, hidden: Sequence[int]) -> None:
        """Make the layers with random weights."""
        super().__init__()
        sizes = (n_in, *hidden)
        self.hidden = nn.ModuleList(
            nn.Sequential(nn.Linear(before, after), nn.LeakyReLU(0.01), nn.GroupNorm(2, after))
            for before, after in zip(sizes, hidden, strict=False)
        )
        self.last = nn.Linear(hidden[-1], FEATURES)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Map each row by itself."""
        for layer in self.hidden:
            mapped = layer(values)
            values = mapped + values if mapped.shape == values.shape else mapped
        found: torch.Tensor = self.last(values)
        return found


def described(bands_um: torch.Tensor) -> torch.Tensor:
    """Describe bands (…, 2), centre and width in µm, as (…, 3): log10(nm - 300) - 2 of both ends and the centre."""
    centre, width = bands_um.float().unbind(-1)
    ends = torch.stack([centre - width / 2, centre, centre + width / 2], dim=-1)
    return torch.log10((1000 * ends - 300).clamp(min=1)) - 2


class Sensei(nn.Module):
    """(N, B, H, W) reflectance and descriptions of its bands -> (N, `FEATURES`, H, W)."""

    def __init__(self) -> None:
        """Make the layers with random weights."""
        super().__init__()
        self.describe = Layers(3, DESCRIBE)
        self.compare = Layers(2 * FEATURES, COMPARE)
        self.conclude = Layers(2 * FEATURES, CONCLUDE)

    def vectors(self, bands_um: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """Return v of each band: (N, B, 2) centre and width in µm, (N, B) booleans -> (N, B, 64); zero if absent."""
        return self.of(described(bands_um), present)

    def of(self, described: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """Return v of bands as `described` gives them, (N, B, 3); see `vectors`."""
        n, count, _ = described.shape
        own = self.describe(described.flatten(0, 1)).reshape(n, count, -1)
        pairs = torch.cat(
            [
                own[:, :, None].expand(-1, -1, count, -1),
                own[:, None].expand(-1, count, -1, -1),
            ],
            dim=-1,
        )
        compared = self.compare(pairs.flatten(0, 2)).reshape(n, count, count, -1)
        here = present.to(own.dtype)[..., None]
        among = (compared * here[:, None]).sum(dim=2) / here.sum(dim=1, keepdim=True)
        both = torch.cat([own, among], dim=-1).flatten(0, 1)
        concluded: torch.Tensor = self.conclude(both).reshape(n, count, -1)
        return here * concluded

    def forward(
        self, images: torch.Tensor, bands_um: torch.Tensor, present: torch.Tensor
    ) -> torch.Tensor:
        """Make features; see `vectors` for `bands_um` and `present`, one band of each row must be there."""
        share = self.vectors(bands_um, present) / present.sum(dim=1)[:, None, None]
        # N B 64, N B H W -> N 64 H W
        return torch.einsum("nbf,nbyx->nfyx", share, images + 0.5)
