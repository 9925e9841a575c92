"""Networks trained by `cloudmask train`, loaded from their folders."""

from __future__ import annotations

import torch
from safetensors.torch import save
from torch import nn

from pipeline.errors import ModelError
from pipeline.models.engine import fill_gaps
from pipeline.models.engine.choose import TorchModel, of_network
from pipeline.models.engine.normalise import ZeroGaps
from pipeline.models.networks.cpu.pointwise import replace_pointwise
from pipeline.models.networks.network import Network, fold
from pipeline.models.wavelengths import ROLE_UM
from pipeline.models.weights import files
from pipeline.models.weights.folder import FILES, WEIGHTS, FolderCard, folder_of, read_card
from pipeline.models.weights.tensors import read_tensors
from pipeline.types import ModelCard


def load(card: ModelCard) -> TorchModel:
    """Load the network that a card describes.

    Raises
    ------
    ModelError
        The weights have another checksum than the card, or are those of another network.
    """
    folder = folder_of(card.name, card.options["weights"])
    (content,) = files.read(
        card.name, files.given(card.name, FILES, str(folder)), card.weights_sha256
    )
    trained = read_card(folder)
    net = filled(trained, content)
    fixed = fold(net.fixed([ROLE_UM[role] for role in card.roles]))
    replace_pointwise(fixed)
    fixed = fixed.to(memory_format=torch.channels_last)
    return of_network(
        card, fixed, ZeroGaps(), stride=trained.network.stride_px, gaps=fill_gaps.mirrored
    )


def filled(card: FolderCard, content: bytes) -> Network:
    """Make the network of a folder's card and give it the weights of a file.

    Raises
    ------
    ModelError
        They are those of another network.
    """
    net = card.network.network(len(card.classes))
    tensors = read_tensors(WEIGHTS, content)
    # The file has no counters of training steps.
    counters = {
        name: each for name, each in net.state_dict().items() if not each.is_floating_point()
    }
    try:
        net.load_state_dict(counters | {name: each.float() for name, each in tensors.items()})
    except RuntimeError as error:
        raise ModelError(
            f"the weights of {card.name} are those of another network: {files.one_line(error)}"
        ) from None
    return net.eval().requires_grad_(False)


def as_file(net: nn.Module) -> bytes:
    """Return the weights of a network as a file of safetensors."""
    state = {name: each.detach().cpu().contiguous() for name, each in net.state_dict().items()}
    # Counters of training steps are not weights.
    return save({name: each for name, each in state.items() if each.is_floating_point()})
