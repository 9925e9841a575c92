"""SEnSeI-v2: bands of any number and order -> features, by what each band is and how bright it is in the window.

Francis 2024 ("Sensor independent cloud and shadow masking with partial labels and multimodal inputs"), written from the
paper's facts::

    band (both edges) ─ sines and cosines of log10(nm - 300) - 2 ─┐
    kind: optical, radar, height, thermal, several dates ─────────┼─ layers ─ attention over the set of bands
    percentiles 1, 10, 50, 90, 99 of its window ──────────────────┘        └─ gain a, frequency w, phase p
    features (x, y) = mean over bands of a · sin(w · reflectance (x, y) + p)

The code that the author published differs (it adds bands up, and its attention runs over images instead of bands); the
paper's words are followed here. A band is told by its wavelengths: beyond 3 µm it is thermal, beyond 1 mm radar, and without any
it is height.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

WAVES = 32
"""Numbers that encode an edge of a band."""

KINDS = 5
PERCENTILES = (0.01, 0.10, 0.50, 0.90, 0.99)
TOLD = 2 * WAVES + KINDS + len(PERCENTILES)
"""Numbers that a band is described by."""

THERMAL_UM, RADAR_UM = 3.0, 1000.0

LOWEST, HIGHEST, BINS = -0.1, 1.9, 500
"""Of the histogram that percentiles are read from: bins of .004 in reflectance."""

RECOVER_EACH_PX = 8
"""Pixels of which bands are recovered: every so many, along both axes."""


def encode(edges_um: torch.Tensor) -> torch.Tensor:
    """Encode wavelengths (…) in µm as (…, `WAVES`) sines, at odd places cosines, of log10(nm - 300) - 2."""
    place = torch.log10((1000 * edges_um - 300).clamp(min=10)) - 2
    number = torch.arange(1, WAVES + 1, device=edges_um.device, dtype=edges_um.dtype)
    turns = place[..., None] * 10000 ** (-2 * number / WAVES)
    return torch.where(number % 2 == 0, turns.sin(), turns.cos())


def kinds(centres_um: torch.Tensor) -> torch.Tensor:
    """Return flags (…, `KINDS`): optical, radar, height, thermal, several dates (never, here)."""
    height, radar = centres_um <= 0, centres_um >= RADAR_UM
    thermal = (centres_um >= THERMAL_UM) & ~radar
    optical = ~(height | radar | thermal)
    flags = [optical, radar, height, thermal, torch.zeros_like(optical)]
    return torch.stack(flags, dim=-1).to(centres_um.dtype)


def percentiles(images: torch.Tensor) -> torch.Tensor:
    """Return (N, B, 5) `PERCENTILES` of each band (N, B, H, W), to the middle of a bin of a histogram.

    A histogram takes one pass over a window of any size, and exact counts make it the same on any device.
    """
    step = (HIGHEST - LOWEST) / BINS
    values = images.detach().float().flatten(2)
    place = ((values - LOWEST) / step).long().clamp(0, BINS - 1)
    empty = values.new_zeros(*values.shape[:2], BINS)
    counts = empty.scatter_add(2, place, torch.ones_like(values)).cumsum(dim=2)
    wanted = values.new_tensor(PERCENTILES) * counts[..., -1:]
    below = (counts[..., None, :] < wanted[..., None]).to(values.dtype).sum(dim=-1)
    return LOWEST + (below + 0.5) * step


class Layer(nn.Module):
    """Norm, ReLU, linear, and a skip where sizes match."""

    def __init__(self, n_in: int, n_out: int) -> None:
        """Make a layer with random weights."""
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(n_in), nn.Linear(n_in, n_out)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Map (…, n_in) to (…, n_out)."""
        mapped: torch.Tensor = self.linear(torch.relu(self.norm(values)))
        return mapped + values if mapped.shape == values.shape else mapped


class Sensei2(nn.Module):
    """(N, B, H, W) reflectance and what `tell` says of its bands -> (N, features, H, W)."""

    def __init__(self, size: int, features: int) -> None:
        """Make the layers with random weights.

        Parameters
        ----------
        size
            Of a band's embedding; a multiple of 4.
        features
            Channels of the result.
        """
        super().__init__()
        self.enter = nn.Sequential(nn.Linear(TOLD, size), Layer(size, size))
        self.ask, self.answer = nn.Linear(size, 3 * size), nn.Linear(size, size)
        self.norm = nn.LayerNorm(size)
        self.think = nn.Sequential(Layer(size, size), Layer(size, size))
        self.waves = nn.Linear(size, 3 * features)
        self.back = nn.Sequential(
            nn.Linear(features + TOLD, 128), Layer(128, 128), Layer(128, 1)
        )

    def tell(self, images: torch.Tensor, bands_um: torch.Tensor) -> torch.Tensor:
        """Describe the bands of images: (N, B, H, W), (N, B, 2) centre and width in µm -> (N, B, `TOLD`)."""
        centre, width = bands_um.float().unbind(-1)
        edges = torch.stack([centre - width / 2, centre + width / 2], dim=-1)
        return torch.cat(
            [encode(edges).flatten(-2), kinds(centre), percentiles(images)], dim=-1
        )

    def vectors(self, told: torch.Tensor, present: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return gain, frequency and phase of each band, (N, B, features) each; gain is zero if it is absent."""
        tokens = self.enter(told)
        n, count, size = tokens.shape
        # N B (3 4 d) -> 3 N 4 B d
        asked = self.ask(self.norm(tokens)).reshape(n, count, 3, 4, size // 4)
        query, key, value = asked.permute(2, 0, 3, 1, 4)
        near = query @ key.transpose(-1, -2) / (size // 4) ** 0.5
        near = near.masked_fill(~present[:, None, None], -torch.inf).softmax(dim=-1)
        heard = (near @ value).transpose(1, 2).reshape(n, count, size)
        tokens = self.think(tokens + self.answer(heard))
        gain, frequency, phase = self.waves(tokens).chunk(3, dim=-1)
        return gain * present[..., None].to(gain.dtype), frequency, phase

    def forward(
        self, images: torch.Tensor, told: torch.Tensor, present: torch.Tensor
    ) -> torch.Tensor:
        """Make features; one band of each row of `present` (N, B) must be there."""
        seen = images.clamp(LOWEST, HIGHEST)
        total = sum(_each_band(seen, self.vectors(told, present)))
        assert isinstance(total, torch.Tensor)
        return total / present.sum(dim=1).to(total.dtype)[:, None, None, None]

    def recover(self, features: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        """Say from features what each band was: (N, F, H, W), (N, B, `TOLD`) -> (N, B, h, w), every eighth pixel."""
        some = features[..., ::RECOVER_EACH_PX, ::RECOVER_EACH_PX].permute(0, 2, 3, 1)
        h, w = some.shape[1:3]
        count = told.shape[1]
        pairs = torch.cat(
            [
                some[:, None].expand(-1, count, -1, -1, -1),
                told[:, :, None, None].expand(-1, -1, h, w, -1),
            ],
            dim=-1,
        )
        found: torch.Tensor = self.back(pairs)[..., 0]
        return found


def _each_band(
    images: torch.Tensor, vectors: tuple[torch.Tensor, ...]
) -> Iterator[torch.Tensor]:
    """Yield what each band adds, one at a time: all at once would take the memory of features times bands."""
    for band in range(images.shape[1]):
        gain, frequency, phase = (each[:, band, :, None, None] for each in vectors)
        yield gain * torch.sin(frequency * images[:, band, None] + phase)
