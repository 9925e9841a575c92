"""What the loop asks of a task: the network that is kept, and players that take turns in each step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from pipeline.errors import ModelError
from pipeline.models.networks.network import Network
from pipeline.models.networks.trained import filled
from pipeline.models.weights.folder import WEIGHTS, read_card
from pipeline.training.batches import Batch
from pipeline.training.experiment import Experiment


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tensors:
    """A batch on the device; see `pipeline.training.batches.Batch`."""

    images: Tensor
    """(N, B, Y, X) reflectance, float32."""
    bands_um: Tensor
    """(N, B, 2)."""
    present: Tensor
    """(N, B) booleans."""
    labels: Tensor
    """(N, Y, X) uint8 sets of codes as bits."""

    @classmethod
    def of(cls, batch: Batch, device: torch.device) -> Tensors:
        """Send a batch to a device."""
        images, bands_um, present, labels = (
            torch.from_numpy(each).to(device)
            for each in (batch.images, batch.bands_um, batch.present, batch.labels)
        )
        return cls(images=images, bands_um=bands_um, present=present, labels=labels)


@dataclass(slots=True, kw_only=True, eq=False)
class Player:
    """One who takes its turn in each step."""

    name: str
    """Of its loss, as a column of the curves."""
    module: nn.Module
    """Holds the weights that it moves; the loop puts it on its device."""
    loss: Callable[[nn.Module, Sequence[Tensors]], Tensor]
    """Takes `module` as Fabric has set it up, and a batch of each kind of images (`Experiment.domains`)."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Of Adam: how long gradients and their squares are remembered."""


class Task(Protocol):
    """What is trained; everything that a step depends on is in its weights, or follows from its number."""

    @property
    def net(self) -> Network:
        """What is judged and kept."""
        ...

    @property
    def weights(self) -> nn.Module:
        """All of the task's, for checkpoints."""
        ...

    @property
    def players(self) -> Sequence[Player]:
        """Those who take turns, in their order."""
        ...


def begin(experiment: Experiment) -> Network:
    """Make the network that an experiment begins with: random, or of another model folder.

    Raises
    ------
    ModelError
        That folder holds a network of another shape.
    """
    shape = experiment.network
    net = shape.network(len(shape.classes))
    if shape.init:
        folder = Path(shape.init).expanduser()
        card = read_card(folder)
        if card.network != shape.bare:
            raise ModelError(
                f"network.init: {folder} has {card.network!r}; the experiment {shape.bare!r}"
            )
        net.load_state_dict(filled(card, (folder / WEIGHTS).read_bytes()).state_dict())
        net.requires_grad_(True)
    return net.train()
