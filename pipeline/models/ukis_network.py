"""Loads a network of ukis-csmask into torch: its files checked, its input and classes translated."""

from __future__ import annotations

import numpy as np

from pipeline.models import fused, no_data, onnx_weights, unet
from pipeline.models.entry import Normalisation
from pipeline.models.torch_model import TorchModel, of_network
from pipeline.models.ukis_csmask import FILES, KEYS, statistics
from pipeline.types import ModelCard


def load(card: ModelCard) -> TorchModel:
    """Load the network that a card describes.

    Raises
    ------
    ModelError
        A file is missing or has another checksum than the card, or the installed
        segmentation_models_pytorch builds another network.
    """
    files = FILES[KEYS[card.name]]
    content = onnx_weights.read_verified(files.onnx, card.weights_sha256)
    mean, std = statistics(
        onnx_weights.read_verified(files.json, files.json_sha256), card.roles
    )
    net = unet.build(onnx_weights.parse(content, str(files.onnx)))
    if card.options["device"] == "cpu":
        fused.fuse(net)
    normal = Normalisation(mean=np.array(mean, np.float32), std=np.array(std, np.float32))
    return of_network(card, net, normal, stride=unet.STRIDE, gaps=no_data.mirrored)
