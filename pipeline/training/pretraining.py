"""SEnSeI's pre-training: its embedding learns to tell bands and brightness apart, before it sees an image.

Random bands with random values are embedded. From the embedding and the description of one band, an estimator must say the
value that the band had, and a discriminator whether the band was there at all (Francis et al. 2022, section III-D).
Both are thrown away.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from pipeline.models.architectures import SenseiShape
from pipeline.models.networks.network import Network
from pipeline.models.networks.sensei import FEATURES, Sensei
from pipeline.training.experiment import Experiment

BANDS = (3, 14)
"""Fewest and most bands of a draw."""

Draw = tuple[torch.Tensor, torch.Tensor]
"""Descriptions (N, C, 3), as of `pipeline.models.networks.sensei.described`, and values (N, C)."""


def drawn(rng: torch.Generator, batch: int, count: int) -> Draw:
    """Draw bands at random places, from narrow to broad, with random values."""
    places = 2.5 * torch.rand(batch, count, generator=rng)
    steps = 0.02 + 0.05 * torch.randn(batch, count, 2, generator=rng).abs()
    described = torch.stack(
        [places, places + steps[..., 0], places + steps.sum(dim=-1)], dim=-1
    )
    return described, 1.7 * torch.rand(batch, count, generator=rng)


class Judges(nn.Module):
    """The estimator and the discriminator."""

    def __init__(self) -> None:
        """Make both with random weights."""
        super().__init__()
        self.estimate, self.discriminate = _judge(), _judge()

    def forward(self, bands: Sensei, draw: Draw, others: torch.Tensor) -> torch.Tensor:
        """Return the loss: mean squares of values that are estimated, and of bands taken for true or false."""
        described, values = draw
        present = torch.ones(values.shape, dtype=torch.bool)
        vectors = bands.of(described, present)
        embedded = ((values + 0.5)[..., None] * vectors).mean(dim=1)
        true, false = (
            _beside(embedded, bands.describe(each.flatten(0, 1)), each.shape[1])
            for each in (described, others)
        )
        lost = (self.estimate(true)[..., 0] - values).square().mean()
        lost = lost + (self.discriminate(true) - 1).square().mean()
        whole: torch.Tensor = lost + self.discriminate(false).square().mean()
        return whole


def pretrain(bands: Sensei, steps: int, batch: int, seed: int) -> Iterator[float]:
    """Train an embedding in place, and yield the loss of each step."""
    rng = torch.Generator().manual_seed(seed)
    judges = Judges()
    optimizer = torch.optim.Adam([*bands.parameters(), *judges.parameters()], lr=1e-3)
    for _ in range(steps):
        count = int(torch.randint(BANDS[0], BANDS[1] + 1, (), generator=rng))
        draw, (others, _) = drawn(rng, batch, count), drawn(rng, batch, count)
        loss = judges(bands, draw, others)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield float(loss.detach())


def pretrained(experiment: Experiment, net: Network) -> Iterator[str]:
    """Pre-train what an experiment asks to be pre-trained, in place, and yield lines on how it went."""
    shape = experiment.network
    if not isinstance(shape, SenseiShape) or not shape.pretrain_steps:
        return
    bands = net.bands
    assert isinstance(bands, Sensei)
    lost = list(pretrain(bands, shape.pretrain_steps, shape.pretrain_batch, experiment.seed))
    yield f"pre-trained for {len(lost)} steps, loss {lost[0]:.3g} to {lost[-1]:.3g}"


def _judge() -> nn.Module:
    return nn.Sequential(
        nn.Linear(2 * FEATURES, 128),
        nn.LeakyReLU(0.01),
        nn.Linear(128, 128),
        nn.LeakyReLU(0.01),
        nn.Linear(128, 1),
    )


def _beside(embedded: torch.Tensor, described: torch.Tensor, count: int) -> torch.Tensor:
    """Put the embedding beside the description of each of `count` bands: (N, 64), (N · C, 64) -> (N, C, 128)."""
    each = described.reshape(len(embedded), count, -1)
    return torch.cat([embedded[:, None].expand_as(each), each], dim=-1)
