"""Networks trained by `cloudmask train`, loaded from their folders."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from safetensors.torch import save
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from pipeline.errors import ModelError
from pipeline.models.engine import fill_gaps
from pipeline.models.engine.choose import TorchModel, of_network
from pipeline.models.engine.normalise import ZeroGaps
from pipeline.models.networks.cpu.pointwise import replace_pointwise
from pipeline.models.networks.spectral_unet import STRIDE_PX, Fixed, SpectralUnet, Width
from pipeline.models.wavelengths import ROLE_UM
from pipeline.models.weights import files
from pipeline.models.weights.folder import FILES, WEIGHTS, FolderCard, read_card
from pipeline.models.weights.tensors import read_tensors
from pipeline.types import ModelCard


def load(card: ModelCard) -> TorchModel:
    """Load the network that a card describes.

    Raises
    ------
    ModelError
        The weights have another checksum than the card, or are those of another network.
    """
    folder = card.options["weights"]
    (content,) = files.read(
        card.name, files.given(card.name, FILES, folder), card.weights_sha256
    )
    net = filled(read_card(Path(folder)), content)
    fixed = fold(Fixed(net, [ROLE_UM[role] for role in card.roles]))
    replace_pointwise(fixed)
    fixed = fixed.to(memory_format=torch.channels_last)
    return of_network(card, fixed, ZeroGaps(), stride=STRIDE_PX, gaps=fill_gaps.mirrored)


def make(card: FolderCard) -> SpectralUnet:
    """Make the network of a folder's card, with random weights."""
    full, half, quarter, eighth, sixteenth = card.channels
    width = Width(channels=(full, half, quarter, eighth, sixteenth), spectral=card.spectral)
    return SpectralUnet(len(card.classes), width)


def filled(card: FolderCard, content: bytes) -> SpectralUnet:
    """Make the network of a folder's card and give it the weights of a file.

    Raises
    ------
    ModelError
        They are those of another network.
    """
    net = make(card)
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


def fold(fixed: Fixed) -> Fixed:
    """Fold every batch norm into the convolution before it; the `SpectralUnet` behind it is unchanged."""
    folded = copy.deepcopy(fixed).eval()
    enter = folded.body.enter
    first = enter[0]
    assert isinstance(first, nn.BatchNorm2d)
    folded.mix, enter[0] = fuse_conv_bn_eval(folded.mix, first), nn.Identity()
    for block in [each for each in folded.modules() if isinstance(each, nn.Sequential)]:
        for number in range(1, len(block)):
            before, norm = block[number - 1], block[number]
            if isinstance(before, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                block[number - 1], block[number] = (
                    fuse_conv_bn_eval(before, norm),
                    nn.Identity(),
                )
    return folded.requires_grad_(False)
