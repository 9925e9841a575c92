"""A network learns from labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import nn

from pipeline.training import losses
from pipeline.training.experiment import Experiment, LossSection
from pipeline.training.tasks.task import Player, Tensors, begin
from pipeline.types import Code

BFLOAT16 = "bf16-mixed"


class Supervised:
    """The task of `pipeline.training.tasks.sections.SupervisedSection`."""

    def __init__(self, experiment: Experiment) -> None:
        """Begin with an experiment's network; see `begin`."""
        self.net = self.weights = begin(experiment)
        self.players = (Player(name="loss", module=self.net, loss=self._loss),)
        self._experiment = experiment
        self._combined = combined_loss
        if experiment.train.compile:
            # In place: what is saved keeps the names of its tensors.
            self.net.compile()
            self._combined = torch.compile(combined_loss)

    def _loss(self, net: nn.Module, batches: Sequence[Tensors]) -> torch.Tensor:
        experiment, (batch,) = self._experiment, batches
        images = batch.images
        short = experiment.train.precision == BFLOAT16
        # Fabric's own would give the network wavelengths and dark ground of 8 bits.
        with torch.autocast(images.device.type, torch.bfloat16, enabled=short):
            scores = net(images, batch.bands_um, batch.present)
        classes = experiment.network.classes
        loss = self._combined(experiment.loss, scores.float(), batch.labels, classes)
        recovered = self.net.recovered
        if recovered is not None:
            each = images.shape[-1] // recovered.shape[-1]
            lost = losses.recovery(recovered, images[..., ::each, ::each], batch.present)
            loss = loss + experiment.network.own_loss * lost
        return loss


def combined_loss(
    section: LossSection,
    scores: torch.Tensor,
    labels: torch.Tensor,
    classes: Mapping[Code, Sequence[Code]],
) -> torch.Tensor:
    """Return the losses of a section, weighted and added up.

    Parameters
    ----------
    section
        Which, and how much each counts.
    scores
        (N, K, H, W) logits.
    labels
        (N, H, W) uint8 sets of codes as bits.
    classes
        Each class of the scores, and the codes that it stands for.
    """
    allowed = losses.allowed_classes(labels, list(classes.values()))
    weights = torch.tensor(
        [section.class_weights.get(code.name.lower(), 1.0) for code in classes],
        device=scores.device,
    )
    return sum(
        _losses(section, scores, allowed, weights), torch.zeros((), device=scores.device)
    )


def _losses(
    section: LossSection, scores: torch.Tensor, allowed: torch.Tensor, weights: torch.Tensor
) -> Iterator[torch.Tensor]:
    if section.cross_entropy:
        yield section.cross_entropy * losses.ambiguous_cross_entropy(scores, allowed, weights)
    if section.square:
        yield section.square * losses.ambiguous_square(scores, allowed, weights)
    if section.tversky:
        yield section.tversky * losses.tversky(scores, allowed, weights=weights)
    if section.lovasz:
        yield section.lovasz * losses.lovasz(scores, allowed)
