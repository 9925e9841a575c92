"""GAN-CDM: pixels are told from blocks of images that somebody has called cloudy or clear.

Li et al. 2022 (https://doi.org/10.1016/j.rse.2022.113197). Of each pixel of an image x the network says how much light clouds reflect (r),
let through (t) and absorb (a), and a generator G what the ground would look like without them. In a cloudy block the two must explain the
image, x' = G(x) · t + r, and G(x) must pass for a clear block::

    (D(G(x)) - 1)²                            adversarial, least squares
    + 10 mean |x - x'|                        reconstruction
    + exclusion(r, G(x)) + exclusion(t, G(x)) edges of the ground are not those of clouds
    + cross-entropy of a clear block          with r and a of .001 at most

Labels of pixels are read only to call a block cloudy or clear (`cloudy`), as a person would who looks at it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.datasets.labels import CLOUD, IGNORED, NO_DATA
from pipeline.models.architectures import GanCdmShape
from pipeline.models.networks.adversarial.gan_cdm import CloudParts, InstanceUnet
from pipeline.models.networks.network import MEAN, SPREAD, OfNamedBands
from pipeline.training.experiment import Experiment
from pipeline.training.tasks.adversarial import (
    exclusion,
    instance_discriminator,
    mean_of,
    squared,
)
from pipeline.training.tasks.sections import BlocksSection
from pipeline.training.tasks.task import Player, Tensors, begin

BETAS = (0.5, 0.999)
MOST = 1e-3
"""Light that is reflected or absorbed over a clear block."""


class Blocks:
    """The task of `pipeline.training.tasks.sections.BlocksSection`."""

    def __init__(self, experiment: Experiment) -> None:
        """Begin with an experiment's network and a generator as large."""
        shape, section = experiment.network, experiment.task
        assert isinstance(shape, GanCdmShape)
        assert isinstance(section, BlocksSection)
        net = begin(experiment)
        assert isinstance(net, OfNamedBands)
        assert isinstance(net.body, CloudParts)
        self.net, self._parts, self._section = net, net.body.parts, section
        bands = len(shape.roles)
        self._ground = InstanceUnet(bands, shape.channels, bands)
        self._judge = instance_discriminator(bands, _judge_channels(shape))
        self.weights = nn.ModuleList([net, self._ground, self._judge])
        learning = nn.ModuleList([net, self._ground])
        self.players = (
            Player(name="loss", module=learning, loss=self._explained, betas=BETAS),
            Player(name="discriminator", module=self._judge, loss=self._judged, betas=BETAS),
        )
        self._seen: tuple[Tensor, Tensor, Tensor, Tensor] | None = None

    def _explained(self, _: nn.Module, batches: Sequence[Tensors]) -> Tensor:
        (batch,) = batches
        seen = self.net.take(batch.images, batch.bands_um, batch.present)
        image = (SPREAD * seen + MEAN).clamp(0, 1)
        cloudy, clear = called(batch.labels, self._section.cloudy)
        parts = self._parts(seen)
        shares = torch.softmax(parts, dim=1)
        reflected, through = shares[:, :1], shares[:, 1:2]
        ground = torch.sigmoid(self._ground(seen))
        self._seen = image, ground.detach(), cloudy, clear
        lost = (image - (ground * through + reflected)).abs().mean(dim=(1, 2, 3))
        apart = exclusion(reflected, ground) + exclusion(through, ground)
        return (
            squared(self._judge(ground), 1, cloudy)
            + self._section.reconstruction * mean_of(lost, cloudy)
            + self._section.exclusion * mean_of(apart, cloudy)
            + mean_of(_clear_loss(parts), clear)
        )

    def _judged(self, _: nn.Module, __: Sequence[Tensors]) -> Tensor:
        assert self._seen is not None
        image, ground, cloudy, clear = self._seen
        real = squared(self._judge(image), 1, clear)
        return (real + squared(self._judge(ground), 0, cloudy)) / 2


def called(labels: Tensor, cloudy: float) -> tuple[Tensor, Tensor]:
    """Call blocks cloudy and clear.

    Parameters
    ----------
    labels
        (N, H, W) uint8 sets of codes as bits.
    cloudy
        Least share of known pixels that must be cloud.

    Returns
    -------
    (N,) 1 for each cloudy block, and (N,) 1 for each in which no pixel can be cloud; both 0: it is neither.
    """
    known = (labels != IGNORED) & (labels != NO_DATA)
    sure = known & ((labels & ~CLOUD & 0xFF) == 0)
    share = sure.sum(dim=(1, 2)) / known.sum(dim=(1, 2)).clamp(min=1)
    # What nobody has labelled might be cloud.
    never = ((labels & CLOUD) == 0) & (labels != IGNORED)
    clear = never.flatten(1).all(dim=1) & known.flatten(1).any(dim=1)
    return (share >= cloudy).float(), clear.float()


def _clear_loss(parts: Tensor) -> Tensor:
    """Return the cross-entropy of (N, 3, H, W) logits with next to nothing reflected and absorbed, (N,)."""
    reflected, absorbed = torch.rand(2, device=parts.device) * MOST
    absorbed = absorbed * (1 - reflected / MOST)
    wanted = torch.stack([reflected, 1 - reflected - absorbed, absorbed])
    lost = -(wanted[:, None, None] * functional.log_softmax(parts, dim=1)).sum(dim=1)
    return lost.mean(dim=(1, 2))


def _judge_channels(shape: GanCdmShape) -> tuple[int, ...]:
    """Return the discriminator's channels: those of the network's first four levels."""
    return shape.channels[:4]
