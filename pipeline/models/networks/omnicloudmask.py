"""OmniCloudMask in torch: the mean of the logits of two U-Nets."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import segmentation_models_pytorch as smp
import timm
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from pipeline.errors import ModelError
from pipeline.models.engine import fill_gaps
from pipeline.models.engine.choose import TorchModel, of_network
from pipeline.models.engine.normalise import OwnStatistics
from pipeline.models.networks.cpu.encoders_in_strips import lean
from pipeline.models.networks.cpu.pointwise import replace_pointwise
from pipeline.models.weights import files
from pipeline.models.weights import omnicloudmask_earlier as earlier
from pipeline.models.weights.omnicloudmask import (
    CLASSES,
    FILES,
    NAME,
    NETWORKS,
    ROLES,
    STRIDE,
    Network,
)
from pipeline.models.weights.tensors import read_tensors
from pipeline.types import ModelCard


def load(card: ModelCard) -> TorchModel:
    """Load the networks of a card.

    Raises
    ------
    ModelError
        A file is missing, has another checksum than the card, or holds another network.
    """
    found = files.given(NAME, FILES, card.options["weights"])
    contents = files.read(NAME, found, card.weights_sha256)
    nets = [
        fold(_filled(network, content), network)
        for network, content in zip(NETWORKS, contents, strict=True)
    ]
    net = Ensemble(nets) if card.options["device"] == "cuda" else LeanEnsemble(nets)
    # Patches of OmniCloudMask's own engine do not reach beyond the data of a scene either.
    return of_network(card, net, OwnStatistics(), stride=STRIDE, gaps=fill_gaps.only_cut)


class Ensemble(nn.Module):
    """(N, B, H, W) normalised reflectance -> (N, 4, H, W), the mean of several networks' logits."""

    def __init__(self, nets: list[nn.Module]) -> None:
        """Join networks that take the same windows and give logits of the same classes."""
        super().__init__()
        self.nets = nn.ModuleList(nets).to(memory_format=torch.channels_last)

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """Score windows; H and W are multiples of `STRIDE`."""
        # In float32: the mean of two rounded logits would be rounded again.
        return torch.stack([net(windows).float() for net in self.nets]).mean(dim=0)


class LeanEnsemble(nn.Module):
    """`Ensemble` with less memory, equal but for rounding: each network adds to the same logits."""

    def __init__(self, nets: list[nn.Module]) -> None:
        """Take over the weights of networks of `NETWORKS`."""
        super().__init__()
        nets = [lean(net, network.encoder) for net, network in zip(nets, NETWORKS, strict=True)]
        self.nets = nn.ModuleList(nets).to(memory_format=torch.channels_last)

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """Score windows; H and W are multiples of `STRIDE`."""
        logits: torch.Tensor | None = None
        # The network with more features runs first, while there are no logits to keep yet.
        for net in reversed(self.nets):
            logits = net(windows, logits)
        assert logits is not None
        return logits.div_(len(self.nets))


def architecture(network: Network) -> nn.Module:
    """Build a network without weights; nothing is downloaded."""
    net: nn.Module = smp.Unet(
        network.encoder, encoder_weights=None, in_channels=len(ROLES), classes=len(CLASSES)
    )
    return net


def _filled(network: Network, content: bytes) -> nn.Module:
    net = architecture(network)
    state = read_tensors(network.file.name, content)
    try:
        # torch's own method, because smp's only warns when it drops weights of another shape.
        nn.Module.load_state_dict(net, state)
    except RuntimeError as error:
        raise ModelError(
            f"{network.file.name} does not hold the {network.encoder} U-Net that "
            f"segmentation_models_pytorch {smp.__version__} builds: {files.one_line(error)}"
        ) from error
    return net.eval().requires_grad_(False)


def fold(net: nn.Module, network: Network | earlier.Network) -> nn.Module:
    """Make a network of any release faster, in place, and return it; its logits change by rounding only.

    Batch norms are folded into the convolutions before them, and 1 x 1 convolutions become matrix products.

    Raises
    ------
    ModelError
        The number of batch norms differs from that of the published network.
    """
    pairs = list(_conv_norm_pairs(net))
    for parent, conv, norm in pairs:
        folded = fuse_conv_bn_eval(getattr(parent, conv), getattr(parent, norm))
        setattr(parent, norm, _rest(getattr(parent, norm)))
        setattr(parent, conv, folded)
    if len(pairs) != network.n_batch_norms:
        raise ModelError(
            f"the {network.encoder} U-Net by timm {timm.__version__} and segmentation_models_pytorch "
            f"{smp.__version__} has {len(pairs)} batch norms to fold instead of {network.n_batch_norms}"
        )
    replace_pointwise(net)
    return net


def _conv_norm_pairs(net: nn.Module) -> Iterator[tuple[nn.Module, str, str]]:
    for parent in net.modules():
        children = list(parent.named_children())
        for (conv_name, conv), (norm_name, norm) in pairwise(children):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                yield parent, conv_name, norm_name


def _rest(norm: nn.BatchNorm2d) -> nn.Module:
    # timm's batch norms include the activation; those of smp do not.
    activation = getattr(norm, "act", None)
    return activation if isinstance(activation, nn.Module) else nn.Identity()
