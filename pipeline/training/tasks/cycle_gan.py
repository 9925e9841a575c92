"""A generator makes images of one sensor look like another's, so that the other's segmenter can be used on them.

Mateo-García et al. 2021 (https://doi.org/10.1109/JSTARS.2020.3031741): a Cycle-GAN of unpaired images, without any label. The images
are `sources` (Proba-V's), what they should look like is `task.like` (Landsat 8 made like Proba-V, see
`pipeline.training.transfer`). Two generators, there and back, and a discriminator of each sensor. The generators' loss is, summed over both ways::

    cross-entropy with being real                       adversarial
    + 5 mean |made - image|                             identity: no colour is changed without need
    + 5 mean |there and back - image|                   cycle
    + 1 KL (cloud in the image, cloud in what was made) segmentation: clouds stay where they are

and the discriminators' cross-entropy + 10 R1. Differences of images are those of reflectance. What is kept is the generator of
`sources` before the segmenter, which stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from pipeline.errors import ModelError
from pipeline.models.architectures import AdaptedShape
from pipeline.models.networks.adversarial.adapted import Adapted, Generator
from pipeline.models.networks.network import SPREAD, OfNamedBands
from pipeline.models.networks.trained import filled
from pipeline.models.weights.folder import WEIGHTS, read_card
from pipeline.training.experiment import Experiment
from pipeline.training.tasks.adversarial import (
    divergence,
    fools,
    patch_discriminator,
    r1,
    tells,
)
from pipeline.training.tasks.sections import CycleGanSection
from pipeline.training.tasks.task import Player, Tensors, begin
from pipeline.types import CLOUD

BETAS = (0.5, 0.999)

Both = tuple[Tensor, Tensor]
"""Of the images, and of those that they shall look like."""


class CycleGan:
    """The task of `pipeline.training.tasks.sections.CycleGanSection`."""

    def __init__(self, experiment: Experiment) -> None:
        """Begin with generators that change nothing, and the segmenter of a folder.

        Raises
        ------
        ModelError
            The folder holds another kind of network, or one for other bands.
        """
        shape, section = experiment.network, experiment.task
        assert isinstance(shape, AdaptedShape)
        assert isinstance(section, CycleGanSection)
        net = begin(experiment)
        assert isinstance(net, OfNamedBands)
        assert isinstance(net.body, Adapted)
        self.net, self._body, self._section = net, net.body, section
        self._body.segmenter.load_state_dict(_segmenter_of(section, shape.roles))
        # Its norms are those of its own training.
        self._body.segmenter.requires_grad_(False).eval()
        bands = len(shape.roles)
        self._back = Generator(bands, shape.filters)
        self._judges = nn.ModuleList([patch_discriminator(bands) for _ in range(2)])
        self.weights = nn.ModuleList([net, self._back, self._judges])
        generators = nn.ModuleList([self._body.generator, self._back])
        self.players = (
            Player(name="loss", module=generators, loss=self._generators, betas=BETAS),
            Player(name="discriminators", module=self._judges, loss=self._judged, betas=BETAS),
        )
        self._classes = [n for n, code in enumerate(shape.classes) if code in CLOUD]
        self._seen: tuple[Both, Both] | None = None

    def _generators(self, _: nn.Module, batches: Sequence[Tensors]) -> Tensor:
        images, like = (
            self.net.take(each.images, each.bands_um, each.present) for each in batches
        )
        made = self._body.generator(images), self._back(like)
        again = self._back(made[0]), self._body.generator(made[1])
        section = self._section
        # What was made of one sensor's images is judged as the other's.
        loss = sum(
            (
                fools(self._said(judge, real, of)[1])
                for judge, real, of in self._rounds((images, like), made)
            ),
            torch.zeros((), device=images.device),
        )
        for image, other, back in zip((images, like), made, again, strict=True):
            loss = loss + section.identity * SPREAD * (other - image).abs().mean()
            loss = loss + section.cycle * SPREAD * (back - image).abs().mean()
            cloud = self._cloud(image).detach()
            loss = loss + section.segmentation * divergence(cloud, self._cloud(other))
        self._seen = (images, like), (made[0].detach(), made[1].detach())
        return loss

    def _judged(self, _: nn.Module, __: Sequence[Tensors]) -> Tensor:
        assert self._seen is not None
        loss = torch.zeros((), device=self._seen[0][0].device)
        for judge, real, of in self._rounds(*self._seen):
            loss = loss + tells(*self._said(judge, real, of))
            loss = loss + self._section.r1 * r1(judge, real)
        return loss

    def _rounds(self, images: Both, made: Both) -> Sequence[tuple[nn.Module, Tensor, Tensor]]:
        """Return each discriminator, real images of its sensor, and those made to look like them."""
        first, second = self._judges
        return (first, images[0], made[1]), (second, images[1], made[0])

    def _said(self, judge: nn.Module, real: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of real and of made images, which share one batch and its norms."""
        said = judge(torch.cat([real, made]))
        return said[: len(real)], said[len(real) :]

    def _cloud(self, images: Tensor) -> Tensor:
        shares = torch.softmax(self._body.segmenter(images), dim=1)
        return shares[:, self._classes].sum(dim=1)


def _segmenter_of(section: CycleGanSection, roles: tuple[str, ...]) -> dict[str, Tensor]:
    folder = Path(section.segmenter).expanduser()
    card = read_card(folder)
    found = card.network
    if found.kind != "dl-l8s2-uv" or found.wanted != roles:
        raise ModelError(
            f"task.segmenter: {folder} has {found!r}; expected a dl-l8s2-uv for {', '.join(roles)}"
        )
    net = filled(card, (folder / WEIGHTS).read_bytes())
    assert isinstance(net, OfNamedBands)
    return net.body.state_dict()
