"""Reads the weights and paddings of a network from an ONNX file; torch will run it.

Nothing of the graph is executed, and a file is parsed only after its checksum was verified.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx.external_data_helper import uses_external_data

from pipeline.errors import ModelError

PADDING_MODULE = "static_padding"
"""Name of the padding modules of the trained EfficientNet, part of the paths of exported nodes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxWeights:
    """The weights and paddings of an exported network, by the names of the torch modules they came from."""

    tensors: Mapping[str, NDArray[np.float32]]
    """``encoder._conv_stem.weight`` -> values; stored as float16, given as float32."""
    paddings: Mapping[str, tuple[int, ...]]
    """``encoder._conv_stem.static_padding`` -> pixels added (left, right, top, bottom)."""


def read_verified(path: Path, sha256: str) -> bytes:
    """Read a file that must have a known checksum.

    Raises
    ------
    ModelError
        The file cannot be read, or differs from the released one.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read the model file {path}: {error}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ModelError(
            f"the model file {path} ({len(content)} bytes) is damaged or of another release: "
            f"expected sha256 {sha256}, found {found}; reinstall the package it belongs to"
        )
    return content


def parse(content: bytes, name: str) -> OnnxWeights:
    """Take weights and paddings out of an ONNX file.

    Parameters
    ----------
    content
        The file's bytes.
    name
        The file's name, for messages.

    Raises
    ------
    ModelError
        It is not an ONNX file, or a padding is not a constant.
    """
    try:
        graph = onnx.load_model_from_string(content).graph
    # protobuf's error class has another module in other releases.
    except Exception as error:
        raise ModelError(f"{name} is not an ONNX file: {error}") from error
    # External tensors would be read from any path that the file names.
    elsewhere = [each.name for each in graph.initializer if uses_external_data(each)]
    if elsewhere:
        raise ModelError(f"{name} keeps {elsewhere[0]} in another file, which is not read")
    tensors = {
        _module_path(each.name): onnx.numpy_helper.to_array(each).astype(np.float32)
        for each in graph.initializer
    }
    return OnnxWeights(tensors=tensors, paddings=dict(_paddings(graph, name)))


def _module_path(name: str) -> str:
    return name.removeprefix("model.")


def _paddings(graph: onnx.GraphProto, name: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    producers = {output: node for node in graph.node for output in node.output}
    for node in graph.node:
        if node.op_type != "Pad":
            continue
        # "/model/encoder/_conv_stem/static_padding/Pad" is a method call on the module of that path.
        module = _module_path(node.name.strip("/").removesuffix("/Pad").replace("/", "."))
        yield module, _constant_behind(node.input[1], producers, f"{module} of {name}")


def _constant_behind(
    tensor: str, producers: Mapping[str, onnx.NodeProto], name: str
) -> tuple[int, ...]:
    # torch exports ``F.pad(x, (left, right, top, bottom))`` as some twenty nodes that turn the four
    # numbers into ONNX's order; the four stand at their end as the only constant of that length.
    todo, seen = [tensor], set()
    while todo:
        current = todo.pop()
        if current in seen or current not in producers:
            continue
        seen.add(current)
        node = producers[current]
        if node.op_type == "Constant":
            value = onnx.numpy_helper.to_array(node.attribute[0].t)
            if value.shape == (4,):
                return tuple(int(each) for each in value)
        todo.extend(node.input)
    raise ModelError(f"the padding {name} is not a constant of four numbers")
