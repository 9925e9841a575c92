"""The networks of OmniCloudMask's releases 1 to 3 in torch, loaded from the user's own files."""

from __future__ import annotations

import timm
import torch
from torch import nn

from pipeline.errors import ModelError
from pipeline.models.engine import fill_gaps
from pipeline.models.engine.choose import TorchModel, of_network
from pipeline.models.engine.normalise import OwnStatistics
from pipeline.models.networks import dynamic_unet
from pipeline.models.networks.omnicloudmask import Ensemble, fold
from pipeline.models.weights import files as weights
from pipeline.models.weights.omnicloudmask import CLASSES, ROLES, STRIDE
from pipeline.models.weights.omnicloudmask_earlier import RELEASES, Network, called, files
from pipeline.models.weights.tensors import read_tensors
from pipeline.types import ModelCard


def load(card: ModelCard) -> TorchModel:
    """Load the networks of a card.

    Raises
    ------
    ModelError
        A file is missing, has another checksum than the card, or holds another network.
    """
    release = called(card.version)
    found = weights.given(release, files(card.version), card.options["weights"])
    contents = weights.read(release, found, card.weights_sha256)
    nets = [
        fold(filled(network, content), network)
        for network, content in zip(RELEASES[card.version], contents, strict=True)
    ]
    return of_network(
        card, Ensemble(nets), OwnStatistics(), stride=STRIDE, gaps=fill_gaps.only_cut
    )


def filled(network: Network, content: bytes) -> nn.Module:
    """Build a network with the weights of a file, ready for inference.

    Raises
    ------
    ModelError
        The file holds anything but tensors, or those of another network.
    """
    # On the meta device: the file's tensors become the weights without a copy.
    with torch.device("meta"):
        net = dynamic_unet.build(network.encoder, len(ROLES), len(CLASSES))
    name = network.file.name
    state = read_tensors(name, content)
    try:
        net.load_state_dict(state, assign=True)
    except (RuntimeError, TypeError) as error:
        raise ModelError(
            f"{name} does not hold the {network.encoder} U-Net of fastai, its encoder by "
            f"timm {timm.__version__}: {weights.one_line(error)}"
        ) from error
    return net.float().eval().requires_grad_(False)
