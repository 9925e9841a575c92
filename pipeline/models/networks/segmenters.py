"""Segmenters of segmentation_models_pytorch behind an embedding of bands, or behind the bands themselves.

DeepLabv3+ (Chen et al. 2018) and SegFormer (Xie et al. 2021), without the weights of ImageNet: nothing is downloaded. Both look at
the window as a whole in places (the pooled branch of DeepLabv3+, attention of SegFormer), so that their windows are as large as
the patches of their papers, on a fixed lattice.
"""

from __future__ import annotations

import segmentation_models_pytorch as smp
from torch import nn

STRIDE_PX = 32


def deeplab(n_in: int, encoder: str, classes: int) -> nn.Module:
    """Make DeepLabv3+ from (N, n_in, H, W) to (N, classes, H, W)."""
    net: nn.Module = smp.DeepLabV3Plus(
        encoder,
        encoder_weights=None,
        encoder_output_stride=8,
        in_channels=n_in,
        classes=classes,
    )
    return net


def segformer(n_in: int, encoder: str, classes: int) -> nn.Module:
    """Make SegFormer from (N, n_in, H, W) to (N, classes, H, W)."""
    net: nn.Module = smp.Segformer(
        encoder, encoder_weights=None, in_channels=n_in, classes=classes
    )
    return net
