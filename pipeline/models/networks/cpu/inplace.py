"""Fewer passes over activations, for a CPU; logits change by rounding only.

`pipeline.models.networks.cpu.onednn_fusion` does the rest.
"""

from __future__ import annotations

from torch import nn


def fold_paddings(net: nn.Module) -> int:
    """Let convolutions do their own padding where it is the same on all sides, in place.

    A padding that is a module of its own copies the activations.

    Returns
    -------
    How many were folded.
    """
    folded = 0
    for module in net.modules():
        padding = getattr(module, "static_padding", None)
        if (
            isinstance(module, nn.Conv2d)
            and isinstance(padding, nn.ZeroPad2d)
            and len(set(padding.padding)) == 1
        ):
            module.padding = (padding.padding[0],) * 2
            module.static_padding = nn.Identity()
            folded += 1
    return folded


def activate_in_place(net: nn.Module) -> None:
    """Make SiLU and ReLU overwrite their input.

    Only for inference, and only where no other layer reads that input: here each follows a convolution whose
    result nothing else uses.
    """
    for module in net.modules():
        if isinstance(module, nn.SiLU | nn.ReLU):
            module.inplace = True
