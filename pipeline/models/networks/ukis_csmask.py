"""Loads a network of ukis-csmask into torch: verifies its files, sets up its normalisation and classes."""

from __future__ import annotations

import numpy as np

from pipeline.models.engine import fill_gaps
from pipeline.models.engine.choose import TorchModel, of_network
from pipeline.models.engine.normalise import Normalisation
from pipeline.models.networks import efficientnet_unet
from pipeline.models.networks.cpu import onednn_fusion
from pipeline.models.weights import onnx
from pipeline.models.weights.ukis_csmask import FILES, KEYS, statistics
from pipeline.types import ModelCard


def load(card: ModelCard) -> TorchModel:
    """Load the network that a card describes.

    Raises
    ------
    ModelError
        A file is missing or has another checksum than the card.
    """
    files = FILES[KEYS[card.name]]
    content = onnx.read_verified(files.onnx, card.weights_sha256)
    mean, std = statistics(onnx.read_verified(files.json, files.json_sha256), card.roles)
    net = efficientnet_unet.build(onnx.parse(content, str(files.onnx)))
    if card.options["device"] == "cpu":
        onednn_fusion.fuse(net)
    normal = Normalisation(mean=np.array(mean, np.float32), std=np.array(std, np.float32))
    return of_network(
        card, net, normal, stride=efficientnet_unet.STRIDE, gaps=fill_gaps.mirrored
    )
