"""Upsample-convolution: a 3 x 3 convolution of upsampled and skip channels, computed without upsampling.

A level of a U-Net's decoder upsamples by repeating every pixel along both axes, concatenates the encoder's feature
and convolves both. Under the kernel only four of the nine upsampled pixels then differ::

    doubled rows   a a b b c c        even row of b: a·k0 + b·(k1 + k2)
                       k0 k1 k2       odd row of b:  b·(k0 + k1) + c·k2

So each quarter of the result (even or odd row and column) is a 2 x 2 convolution of the pixels before upsampling:
four products per pixel and channel instead of nine, and neither the upsampled nor the concatenated tensor is ever
made. Sums of weights are rounded once, as weights are, so that results differ by rounding only.
"""

from __future__ import annotations

import torch
from torch import nn

_SUMS = torch.tensor([[[1.0, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]])
"""(even or odd row, tap of the 2-kernel, tap of the 3-kernel): 1 where the tap of three goes into that of two."""


def split(conv: nn.Conv2d, n_doubled: int) -> tuple[nn.Conv2d, nn.Conv2d | None]:
    """Split a convolution into one for the upsampled channels and one for the skip channels.

    Parameters
    ----------
    conv
        From C to K channels, 3 x 3, padded by one.
    n_doubled
        How many of its input channels, the first ones, are upsampled.

    Returns
    -------
    The first maps (N, n_doubled, H, W) to (N, 4 · K, H + 1, W + 1), for `interleaved`. The second convolves the
    skip channels at full size and has the bias; it is None without skip channels, and the first has the bias then.
    """
    assert (conv.kernel_size, conv.padding, conv.stride) == ((3, 3), (1, 1), (1, 1))
    weight = conv.weight.detach()
    quarters = torch.einsum("kcyx,aiy,bjx->abkcij", weight[:, :n_doubled], _SUMS, _SUMS)
    if n_doubled == conv.in_channels:
        bias = None if conv.bias is None else conv.bias.detach().repeat(4)
        return _conv(quarters.flatten(0, 2), bias), None
    bias = None if conv.bias is None else conv.bias.detach().clone()
    return _conv(quarters.flatten(0, 2), None), _conv(weight[:, n_doubled:], bias)


def _conv(weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Conv2d:
    """Return a convolution, padded by one, with some weights (K, C, h, w)."""
    n_out, n_in, *size = weight.shape
    conv = nn.Conv2d(n_in, n_out, (size[0], size[1]), padding=1, bias=bias is not None)
    conv.weight = nn.Parameter(
        weight.contiguous(memory_format=torch.channels_last), requires_grad=False
    )
    if bias is not None:
        conv.bias = nn.Parameter(bias, requires_grad=False)
    return conv.eval()


def interleaved(quarters: torch.Tensor) -> torch.Tensor:
    """Interleave the quarters of a result.

    Parameters
    ----------
    quarters
        (N, 4 · K, H + 1, W + 1), as the first convolution of `split` gives them.

    Returns
    -------
    (N, K, 2 · H, 2 · W).
    """
    n, n_quarters, height, width = quarters.shape
    k, height, width = n_quarters // 4, height - 1, width - 1
    whole = torch.empty(
        (n, k, 2 * height, 2 * width),
        dtype=quarters.dtype,
        device=quarters.device,
        memory_format=torch.channels_last,
    )
    for quarter in range(4):
        y, x = divmod(quarter, 2)
        whole[:, :, y::2, x::2] = quarters[
            :, quarter * k : (quarter + 1) * k, y : y + height, x : x + width
        ]
    return whole


def deepest(net: nn.Module) -> int:
    """Return the number of channels of the deepest feature of a U-Net, which its decoder upsamples first."""
    channels = net.get_submodule("encoder").out_channels
    n_deepest = list(channels)[-1]  # type: ignore[arg-type]
    assert isinstance(n_deepest, int)
    return n_deepest
