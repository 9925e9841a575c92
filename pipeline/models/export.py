"""Exports a model folder as ONNX, for use without this package."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import torch

from pipeline.errors import ModelError
from pipeline.models.networks.network import fold
from pipeline.models.networks.trained import filled
from pipeline.models.wavelengths import ROLE_UM
from pipeline.models.weights.folder import WEIGHTS, read_card

OPSET = 17


def export_onnx(folder: Path, roles: Sequence[str], target: Path) -> Path:
    """Write the network of a model folder for some bands as ONNX.

    Its input ``reflectance`` is (N, B, H, W) float32, without gaps, H and W multiples of the network's stride; its output
    ``scores`` (N, K, H, W) logits of the classes of the folder's card.

    Parameters
    ----------
    folder
        As `cloudmask train` wrote it.
    roles
        The bands, in their order.
    target
        File to write.

    Raises
    ------
    ModelError
        The folder holds no trained model, a role is not an optical band, or the network takes other bands.
    """
    unknown = [role for role in roles if role not in ROLE_UM]
    if unknown or not roles:
        raise ModelError(
            f"{', '.join(unknown) or 'nothing'} is no optical band; known are {', '.join(ROLE_UM)}"
        )
    card = read_card(folder)
    net = filled(card, (folder / WEIGHTS).read_bytes())
    fixed = fold(net.fixed([ROLE_UM[role] for role in roles]))
    edge = 4 * card.network.stride_px
    example = torch.zeros(1, len(roles), edge, edge)
    free = {0: "windows", 2: "height", 3: "width"}
    part = target.with_name(target.name + ".part")
    with warnings.catch_warnings():
        # The newer exporter needs another package.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            fixed,
            (example,),
            part,
            dynamo=False,
            opset_version=OPSET,
            input_names=["reflectance"],
            output_names=["scores"],
            dynamic_axes={"reflectance": free, "scores": free},
        )
    return part.replace(target)
