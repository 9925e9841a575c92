"""The EfficientNet U-Net of ukis-csmask, made of the weights and paddings that an ONNX file holds.

::

    stem ½ ─ stage 2 ¼ ─ stage 3 ⅛ ─ stage 5 1/16 ─ stage 7 1/32
      └────────┴───────────┴───────────┴──── skips ── up, five levels ─▶ scores

The encoder is EfficientNet-B4 (Tan and Le 2019, https://arxiv.org/abs/1905.11946), the decoder that of a U-Net. Modules
bear the names that the file gives them. The libraries that it was trained with need seconds of start, because they
import torch's compiler and every other network that they know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from pipeline.errors import ModelError
from pipeline.models.networks.cpu import inplace
from pipeline.models.weights.onnx import PADDING_MODULE, OnnxWeights

STRIDE = 32
"""Edges of a window are multiples of this: the encoder halves its input five times."""
N_CLASSES = 3
N_BATCH_NORMS = 105
"""Batch norms of the network, as in the exported graph."""

STEM = 48
# Stages of the paper's table 1, widths x 1.4 (to multiples of 8), depths x 1.8 (rounded up): blocks, kernel, stride of
# the first block, expansion, channels.
STAGES = (
    (2, 3, 1, 1, 24),
    (4, 3, 2, 6, 32),
    (4, 5, 2, 6, 56),
    (6, 3, 2, 6, 112),
    (6, 5, 1, 6, 160),
    (8, 5, 2, 6, 272),
    (2, 3, 1, 6, 448),
)
SKIPS = (1, 2, 4)
"""Stages whose results the decoder sees beside the stem's: the last ones of their resolution."""
LEVELS = (256, 128, 64, 32, 16)
"""Channels of the decoder, the coarsest first."""
NORM_EPS = 1e-3
"""Of the encoder's batch norms, as of EfficientNet's authors."""

# Counts training steps; inference does not read it and ONNX does not export it.
COUNTER = "num_batches_tracked"


def build(weights: OnnxWeights) -> nn.Module:
    """Build the network, ready for inference on the CPU in float32.

    Parameters
    ----------
    weights
        What the ONNX file holds.

    Returns
    -------
    A module from (N, B, H, W) normalised reflectance to (N, 3, H, W) logits; H and W are multiples
    of `STRIDE`.

    Raises
    ------
    ModelError
        The file holds another network.
    """
    stem = weights.tensors.get("encoder._conv_stem.weight")
    if stem is None:
        raise ModelError(
            "the weights are not those of an EfficientNet U-Net: no encoder._conv_stem"
        )
    # Without memory and random numbers, since the file's tensors take their places.
    with torch.device("meta"):
        net = Unet(stem.shape[1])
    _fill(net, weights)
    _pad(net, weights.paddings)
    net.eval().requires_grad_(False)
    fold_batch_norms(net)
    inplace.fold_paddings(net)
    inplace.activate_in_place(net)
    return net.to(memory_format=torch.channels_last)


class PaddedConv(nn.Conv2d):
    """A convolution that pads by as much as the file says, which may be more at one end of an axis."""

    def __init__(self, *given: Any, **how: Any) -> None:  # noqa: ANN401
        """Make a convolution that does not pad yet."""
        super().__init__(*given, **how)
        self.static_padding: nn.Module = nn.Identity()

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Pad and convolve."""
        return super().forward(self.static_padding(input))


class Block(nn.Module):
    """A block of EfficientNet: expansion, depthwise convolution, squeeze-and-excitation, projection."""

    def __init__(self, n_in: int, stage: tuple[int, int, int, int, int], stride: int) -> None:
        """Make the layers of a block of one of `STAGES`."""
        super().__init__()
        _, kernel, _, expansion, n_out = stage
        wide = n_in * expansion
        self.adds = stride == 1 and n_in == n_out
        self._expand_conv: nn.Module = nn.Identity()
        self._bn0: nn.Module = nn.Identity()
        if expansion > 1:
            self._expand_conv = nn.Conv2d(n_in, wide, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(wide, NORM_EPS)
        self._depthwise_conv = PaddedConv(
            wide, wide, kernel, stride=stride, groups=wide, bias=False
        )
        self._bn1 = nn.BatchNorm2d(wide, NORM_EPS)
        self._se_reduce = nn.Conv2d(wide, n_in // 4, 1)
        self._se_expand = nn.Conv2d(n_in // 4, wide, 1)
        self._project_conv = nn.Conv2d(wide, n_out, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(n_out, NORM_EPS)
        self._swish = nn.SiLU()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Run the block on (N, C, H, W)."""
        x = inputs
        if not isinstance(self._expand_conv, nn.Identity):
            x = self._swish(self._bn0(self._expand_conv(x)))
        x = self._swish(self._bn1(self._depthwise_conv(x)))
        squeezed = self._swish(self._se_reduce(functional.adaptive_avg_pool2d(x, 1)))
        x = torch.sigmoid(self._se_expand(squeezed)) * x
        out: torch.Tensor = self._bn2(self._project_conv(x))
        return out + inputs if self.adds else out


class Encoder(nn.Module):
    """(N, B, H, W) -> features of 1/2, 1/4, 1/8, 1/16 and 1/32."""

    def __init__(self, bands: int) -> None:
        """Make the layers."""
        super().__init__()
        self.out_channels = (STEM, *(STAGES[each][-1] for each in SKIPS), STAGES[-1][-1])
        self._conv_stem = PaddedConv(bands, STEM, 3, stride=2, bias=False)
        self._bn0 = nn.BatchNorm2d(STEM, NORM_EPS)
        self._swish = nn.SiLU()
        self._blocks = nn.ModuleList()
        self._ends: list[int] = []
        n_in = STEM
        for stage in STAGES:
            count, _, first_stride, _, n_out = stage
            for stride in (first_stride, *[1] * (count - 1)):
                self._blocks.append(Block(n_in, stage, stride))
                n_in = n_out
            self._ends.append(len(self._blocks))

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the features, the finest first."""
        x = self._swish(self._bn0(self._conv_stem(x)))
        features, kept = [x], {self._ends[each] for each in SKIPS}
        for number, block in enumerate(self._blocks, 1):
            x = block(x)
            if number in kept:
                features.append(x)
        return [*features, x]


class Level(nn.Module):
    """A level of the decoder: upsample, concatenate the encoder's feature, convolve twice."""

    def __init__(self, n_below: int, n_skip: int, n_out: int) -> None:
        """Make the layers."""
        super().__init__()
        self.conv1, self.conv2 = (
            nn.Sequential(
                nn.Conv2d(n_in, n_out, 3, padding=1, bias=False),
                nn.BatchNorm2d(n_out),
                nn.ReLU(),
            )
            for n_in in (n_below + n_skip, n_out)
        )

    def forward(self, below: torch.Tensor, skip: torch.Tensor | None) -> torch.Tensor:
        """Run the level on (N, C, H, W) and a feature of twice the size."""
        x = functional.interpolate(below, scale_factor=2.0)
        if skip is not None:
            x = torch.cat([x, skip], dim=1)
        out: torch.Tensor = self.conv2(self.conv1(x))
        return out


class Decoder(nn.Module):
    """Features -> (N, 16, H, W)."""

    def __init__(self, skips: Sequence[int]) -> None:
        """Make the layers; `skips` are the channels of the encoder's features, the coarsest first."""
        super().__init__()
        below = pairwise((skips[0], *LEVELS))
        self.blocks = nn.ModuleList(
            Level(n_below, n_skip, n_out)
            for (n_below, n_out), n_skip in zip(below, (*skips[1:], 0), strict=True)
        )

    def forward(self, features: list[torch.Tensor]) -> torch.Tensor:
        """Run the levels."""
        *skips, x = features
        for level in self.blocks:
            x = level(x, skips.pop() if skips else None)
        return x


class Unet(nn.Module):
    """The network, without weights."""

    def __init__(self, bands: int) -> None:
        """Make the layers."""
        super().__init__()
        self.encoder = Encoder(bands)
        self.decoder = Decoder(self.encoder.out_channels[::-1])
        self.segmentation_head = nn.Sequential(nn.Conv2d(LEVELS[-1], N_CLASSES, 3, padding=1))

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """Score windows."""
        scores: torch.Tensor = self.segmentation_head(self.decoder(self.encoder(windows)))
        return scores


def _fill(net: nn.Module, weights: OnnxWeights) -> None:
    state = {name: torch.from_numpy(array) for name, array in weights.tensors.items()}
    try:
        found = net.load_state_dict(state, strict=False, assign=True)
    except RuntimeError as error:
        raise ModelError(f"the weights do not fit the network: {error}") from error
    missing = [key for key in found.missing_keys if not key.endswith(COUNTER)]
    if missing or found.unexpected_keys:
        raise ModelError(
            f"the file holds another network: {len(missing)} places without weights {missing[:3]}, "
            f"{len(found.unexpected_keys)} weights without a place {found.unexpected_keys[:3]}"
        )


def _pad(net: nn.Module, paddings: Mapping[str, tuple[int, ...]]) -> None:
    """Let convolutions pad as the exported ones did; no other check would notice a padding that is missing or wrong."""
    convs = {
        f"{path}.{PADDING_MODULE}": each
        for path, each in net.named_modules()
        if isinstance(each, PaddedConv)
    }
    for path in sorted({*convs, *paddings}):
        conv, padding = convs.get(path), paddings.get(path, ())
        if conv is None or not _keeps_size(conv, padding):
            raise ModelError(f"the file pads {path} by {padding}, as this network is not")
        left, right, top, bottom = padding
        conv.static_padding = nn.ZeroPad2d((left, right, top, bottom))


def _keeps_size(conv: nn.Conv2d, padding: Sequence[int]) -> bool:
    """Say whether (left, right, top, bottom) keep an image's edges, even or odd, or halve them."""
    kernel, stride = conv.kernel_size[0], conv.stride[0]
    along = {sum(padding[:2]), sum(padding[2:])}
    return len(padding) == 4 and along in ({kernel - stride}, {kernel - 1})


def fold_batch_norms(net: nn.Module) -> None:
    """Multiply every batch norm into the convolution before it, in place.

    Saves an eighth of the time on a CPU. Logits change by rounding only (3.5e-5 at most on real windows).
    """
    pairs = list(_conv_norm_pairs(net))
    for parent, (conv_name, conv), (norm_name, norm) in pairs:
        setattr(parent, conv_name, fuse_conv_bn_eval(conv, norm))
        setattr(parent, norm_name, nn.Identity())
    if len(pairs) != N_BATCH_NORMS:
        raise ModelError(f"{len(pairs)} batch norms folded instead of {N_BATCH_NORMS}")


# Attribute names of a convolution and the norm after it: encoder stem and blocks, decoder blocks.
_PAIRS = (
    ("_conv_stem", "_bn0"),
    ("_expand_conv", "_bn0"),
    ("_depthwise_conv", "_bn1"),
    ("_project_conv", "_bn2"),
    ("0", "1"),
)


def _conv_norm_pairs(
    net: nn.Module,
) -> Iterator[tuple[nn.Module, tuple[str, nn.Conv2d], tuple[str, nn.BatchNorm2d]]]:
    for parent in net.modules():
        children = dict(parent.named_children())
        for conv_name, norm_name in _PAIRS:
            conv, norm = children.get(conv_name), children.get(norm_name)
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                yield parent, (conv_name, conv), (norm_name, norm)
