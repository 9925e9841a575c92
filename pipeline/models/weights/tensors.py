"""Reads files of tensors, torch's own and safetensors: only data, and within a size limit."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import torch
from safetensors.torch import load as parse

from pipeline.errors import ModelError
from pipeline.models.weights.files import MOST_BYTES, one_line


def read_tensors(name: str, content: bytes) -> Mapping[str, torch.Tensor]:
    """Read tensors by name; nothing in the file is executed.

    Parameters
    ----------
    name
        The file's name: ``.safetensors``, or anything else for a file that torch saved.
    content
        Its bytes.

    Raises
    ------
    ModelError
        It holds anything but dense tensors of finite numbers, is damaged, or decompresses to more than the size
        limit.
    """
    try:
        state = parse(content) if name.endswith(".safetensors") else _torch(content)
        _require_numbers(state)
    # A reader of pickles may raise any error on a damaged file.
    except Exception as error:
        raise ModelError(
            f"{name} cannot be read as a file of weights alone: {one_line(error)}"
        ) from error
    return state


def _torch(content: bytes) -> Any:  # noqa: ANN401 -- whatever the file holds, checked by the caller
    # In files from before 1.6, torch reserves memory for lengths that the file declares.
    if not zipfile.is_zipfile(io.BytesIO(content)):
        raise ValueError("it is no zip file, as torch has saved weights since release 1.6")
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        size = sum(each.file_size for each in packed.infolist())
    if size > MOST_BYTES:
        raise ValueError(f"it unpacks to {size} bytes, more than any weights have")
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def _require_numbers(state: Any) -> None:  # noqa: ANN401
    if not isinstance(state, Mapping):
        raise TypeError(f"it holds a {type(state).__name__}, and no tensors by their names")
    for name, each in state.items():
        if not isinstance(name, str) or not isinstance(each, torch.Tensor):
            raise TypeError(f"{name!s:.60} is no tensor with a name")
        if each.layout != torch.strided or each.is_complex() or each.is_quantized:
            raise TypeError(f"{name} is no plain tensor")
        # A view with stride 0 repeats one number over any shape.
        if each.numel() * each.element_size() > each.untyped_storage().nbytes():
            raise ValueError(f"{name} of shape {tuple(each.shape)} has fewer numbers than that")
        if not torch.isfinite(each).all():
            raise ValueError(f"{name} holds numbers that are not finite")
