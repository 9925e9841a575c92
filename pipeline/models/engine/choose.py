"""A network with its card, on the device that the card asks for."""

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
    """Make a model of a network.

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
