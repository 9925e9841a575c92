"""The network of DL-L8S2-UV in torch, loaded from the Keras file that its authors publish.

::

    1 x 1 affine ─ 32 32 ─────────────────── concat ─ 32 32 ─ 1 x 1 ─▶ logit of cloud
                       └ pool ─ 64 64 ── concat ─ 64 64 ─ up ┘
                                    └ pool ─ 128 128 ─ up ┘

Each number is the output channels of a separable 3 x 3 convolution with batch norm and ReLU; ``up`` is a transposed
2 x 2 convolution.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from pipeline.errors import ModelError
from pipeline.models.engine import fill_gaps
from pipeline.models.engine.choose import TorchModel, of_network
from pipeline.models.engine.normalise import ZeroGaps
from pipeline.models.networks.cpu.pointwise import Pointwise
from pipeline.models.weights import files
from pipeline.models.weights.dl_l8s2_uv import ALIGNMENT_PX, FILES
from pipeline.models.weights.keras import read_keras
from pipeline.types import ModelCard

EPSILON = 1e-3
"""Epsilon of every batch norm: the default of Keras, which the file's description of its layers confirms."""
LEVELS = {
    "input": 32,
    "pool1": 64,
    "pool2": 128,
    "up1": 64,
    "up2": 32,
}
"""Names of the file's levels and their channels."""

Tensors = Mapping[str, NDArray[np.float32]]
"""``input_conv_1/bias`` -> values."""


class Block(nn.Sequential):
    """One level: two separable convolutions with batch norm and ReLU."""

    def __init__(self, n_in: int, n_out: int, dilation: int = 1) -> None:
        """Make a level from (N, n_in, H, W) to (N, n_out, H, W)."""
        super().__init__(
            *_separable(n_in, n_out, dilation), *_separable(n_out, n_out, dilation)
        )


def _separable(n_in: int, n_out: int, dilation: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(n_in, n_in, 3, padding=dilation, dilation=dilation, groups=n_in, bias=False),
        Pointwise(n_in, n_out),
        nn.BatchNorm2d(n_out, eps=EPSILON),
        nn.ReLU(inplace=True),
    )


class Network(nn.Module):
    """(N, B, H, W) reflectance, 0 = no data -> (N, 2, H, W) logits of cloud and of clear."""

    def __init__(self, n_bands: int) -> None:
        """Make the network for the four or the six bands, without weights."""
        super().__init__()
        self.normalization = Pointwise(n_bands, n_bands)
        self.input = Block(n_bands, LEVELS["input"])
        self.pool1 = Block(LEVELS["input"], LEVELS["pool1"])
        self.pool2 = Block(LEVELS["pool1"], LEVELS["pool2"])
        self.upconv1 = nn.ConvTranspose2d(LEVELS["pool2"], LEVELS["up1"], 2, 2)
        self.up1 = Block(LEVELS["up1"] + LEVELS["pool1"], LEVELS["up1"])
        self.upconv2 = nn.ConvTranspose2d(LEVELS["up1"], LEVELS["up2"], 2, 2)
        self.up2 = Block(LEVELS["up2"] + LEVELS["input"], LEVELS["up2"])
        self.linear_model = Pointwise(LEVELS["up2"], 1)

    def features(self, windows: torch.Tensor) -> torch.Tensor:
        """Return what the last layer sees; H and W are multiples of 4."""
        full = self.input(self.normalization(windows))
        half = self.pool1(functional.max_pool2d(full, 2))
        quarter = self.pool2(functional.max_pool2d(half, 2))
        half = self.up1(torch.cat([self.upconv1(quarter), half], dim=1))
        found: torch.Tensor = self.up2(torch.cat([self.upconv2(half), full], dim=1))
        return found

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """Score windows; H and W are multiples of 4."""
        full = self.features(windows)
        # In float32, because this last sum decides between the classes.
        cloud = self.linear_model(full).float()
        # The softmax of the two equals the sigmoid of the original.
        return torch.cat([cloud, torch.zeros_like(cloud)], dim=1)


class Trainable(Network):
    """The same with a score for each class, to be trained here."""

    def __init__(self, n_bands: int, classes: int) -> None:
        """Make the network with random weights, the affine map of the bands as identity."""
        super().__init__(n_bands)
        self.linear_model = Pointwise(LEVELS["up2"], classes)
        with torch.no_grad():
            self.normalization.weight.copy_(torch.eye(n_bands)[:, :, None, None])
            self.normalization.bias.zero_()  # type: ignore[union-attr]

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """Score windows; H and W are multiples of 4."""
        scores: torch.Tensor = self.linear_model(self.features(windows))
        return scores


def load(card: ModelCard) -> TorchModel:
    """Load the network that a card describes.

    Raises
    ------
    ModelError
        The file is missing, has another checksum than the card, or holds another network.
    """
    (content,) = files.read(
        card.name,
        files.given(card.name, (FILES[card.name],), card.options["weights"]),
        card.weights_sha256,
    )
    net = build(read_keras(content, card.name), len(card.roles), card.name)
    net = fold(net).to(memory_format=torch.channels_last)
    # As the original does: 0 where there is no data.
    return of_network(card, net, ZeroGaps(), stride=ALIGNMENT_PX, gaps=fill_gaps.as_it_is)


def build(arrays: Tensors, n_bands: int, model: str) -> Network:
    """Build the network from the arrays of its file, every one of them used.

    Raises
    ------
    ModelError
        An array is missing, left over, or of another shape.
    """
    net = Network(n_bands)
    try:
        state = _state(dict(arrays))
        found = net.load_state_dict(state, strict=False)
    # Arrays of another number of dimensions are a ValueError.
    except (KeyError, RuntimeError, ValueError) as error:
        raise ModelError(
            f"the weights of {model} are those of another network: {files.one_line(error)}"
        ) from error
    # Keras has no counters of training steps.
    missing = [key for key in found.missing_keys if not key.endswith("num_batches_tracked")]
    if missing or found.unexpected_keys:
        raise ModelError(
            f"the weights of {model} are those of another network: {missing[:3]} have none, "
            f"{found.unexpected_keys[:3]} have no place"
        )
    return net.eval().requires_grad_(False)


def _state(arrays: dict[str, NDArray[np.float32]]) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = {}
    for layer in ("normalization", "linear_model"):
        # Keras: y x in out; torch: out in y x. The same for the transposed ones, where Keras has
        # y x out in and torch in out y x.
        state[f"{layer}.weight"] = _turned(arrays.pop(f"{layer}/kernel"))
        state[f"{layer}.bias"] = torch.from_numpy(arrays.pop(f"{layer}/bias"))
    for layer in ("upconv1", "upconv2"):
        state[f"{layer}.weight"] = _turned(arrays.pop(f"{layer}/kernel"))
        state[f"{layer}.bias"] = torch.from_numpy(arrays.pop(f"{layer}/bias"))
    for level in LEVELS:
        for number in (1, 2):
            conv, norm = f"{level}_conv_{number}", f"{level}_bn_{number}"
            # Position in the block: depthwise, pointwise, norm, ReLU.
            first = 4 * (number - 1)
            # y x in 1 -> in 1 y x.
            depthwise = arrays.pop(f"{conv}/depthwise_kernel").transpose(2, 3, 0, 1)
            state[f"{level}.{first}.weight"] = torch.from_numpy(depthwise.copy())
            state[f"{level}.{first + 1}.weight"] = _turned(
                arrays.pop(f"{conv}/pointwise_kernel")
            )
            state[f"{level}.{first + 1}.bias"] = torch.from_numpy(arrays.pop(f"{conv}/bias"))
            for ours, theirs in _NORM.items():
                state[f"{level}.{first + 2}.{ours}"] = torch.from_numpy(
                    arrays.pop(f"{norm}/{theirs}")
                )
    if arrays:
        raise KeyError(f"{sorted(arrays)[:3]} have no place")
    return state


_NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


def _turned(kernel: NDArray[np.float32]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)))


def fold(net: Network) -> Network:
    """Multiply every batch norm into the convolution before it, in place, and return the network."""
    for level in LEVELS:
        block = getattr(net, level)
        for conv, norm in ((1, 2), (5, 6)):
            block[conv] = torch.nn.utils.fusion.fuse_conv_bn_eval(block[conv], block[norm])
            block[norm] = nn.Identity()
    return net
