"""Puts a network on the device that its card names."""

from __future__ import annotations

from torch import nn

from pipeline.models.engine.cpu import SegmentationModel
from pipeline.models.engine.fill_gaps import Gaps
from pipeline.models.engine.gpu import GpuModel
from pipeline.models.engine.normalise import Entry
from pipeline.types import ModelCard

TorchModel = SegmentationModel | GpuModel


def of_network(
    card: ModelCard, net: nn.Module, entry: Entry, *, stride: int, gaps: Gaps
) -> TorchModel:
    """Return a model that runs a network on the card's device.

    Parameters
    ----------
    card, net, entry, stride, gaps
        As of `pipeline.models.engine.cpu.SegmentationModel`; the card's option ``device`` says where it runs.

    Raises
    ------
    ModelError
        The card asks for a GPU and there is none.
    """
    kind = SegmentationModel if card.options["device"] == "cpu" else GpuModel
    return kind(card, net, entry, stride, gaps)
