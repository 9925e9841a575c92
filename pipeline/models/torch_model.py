"""A network with its card, on the device that the card asks for."""

from __future__ import annotations

from torch import nn

from pipeline.models.entry import Entry
from pipeline.models.gpu_model import GpuModel
from pipeline.models.inference import SegmentationModel
from pipeline.models.no_data import Gaps
from pipeline.types import ModelCard

TorchModel = SegmentationModel | GpuModel


def of_network(
    card: ModelCard, net: nn.Module, entry: Entry, *, stride: int, gaps: Gaps
) -> TorchModel:
    """Make a model of a network.

    Parameters
    ----------
    card, net, entry, stride, gaps
        As of `pipeline.models.inference.SegmentationModel`; the card's option ``device`` says where it runs.

    Raises
    ------
    ModelError
        The card asks for a GPU and there is none.
    """
    kind = SegmentationModel if card.options["device"] == "cpu" else GpuModel
    return kind(card, net, entry, stride, gaps)
