"""Reads the arrays of an HDF5 file that Keras saved: only data, only from that file, and within a size limit."""

from __future__ import annotations

import io
import math

import h5py
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ModelError
from pipeline.models.weights.files import MOST_BYTES, one_line

_MOST_NODES = 10_000
_GROUP = "model_weights"


def read_keras(content: bytes, model: str) -> dict[str, NDArray[np.float32]]:
    """Read the arrays of a file that Keras saved.

    Parameters
    ----------
    content
        The HDF5 file.
    model
        Its name, for messages.

    Returns
    -------
    ``layer/array`` -> values, as Keras lays them out.

    Raises
    ------
    ModelError
        It is no such file, links to other files, or declares more data than it can hold.
    """
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            return _Reading().arrays(file)
    # A damaged file makes HDF5 raise any of these classes.
    except Exception as error:
        raise ModelError(
            f"the weights of {model} are no Keras HDF5 file with a group {_GROUP}: {one_line(error)}"
        ) from error


class _Reading:
    def __init__(self) -> None:
        self._arrays: dict[str, NDArray[np.float32]] = {}
        self._nodes = self._bytes = 0

    def arrays(self, file: h5py.File) -> dict[str, NDArray[np.float32]]:
        # `visititems` follows hard links only; the group itself must be one, too.
        if not isinstance(file.get(_GROUP, getlink=True), h5py.HardLink):
            raise KeyError(f"{_GROUP} is not in it")
        file[_GROUP].visititems(self._visit)
        return self._arrays

    def _visit(self, path: str, node: object) -> None:
        self._nodes += 1
        if self._nodes > _MOST_NODES:
            raise ValueError(f"it has more than {_MOST_NODES} groups and arrays")
        if isinstance(node, h5py.Dataset):
            self._refuse(path, node)
            # upconv1/upconv1/kernel:0
            layer, *_, array = path.removesuffix(":0").split("/")
            self._arrays[f"{layer}/{array}"] = np.asarray(node[()], np.float32)

    def _refuse(self, path: str, node: h5py.Dataset) -> None:
        if node.external or node.is_virtual:
            raise ValueError(f"{path} lies in another file")
        if node.dtype.kind not in "fiu":
            raise ValueError(f"{path} holds no numbers")
        # A chunk is decompressed as a whole, and may be larger than the array.
        chunk = math.prod(node.chunks or ()) * node.dtype.itemsize
        self._bytes += math.prod(node.shape or ()) * node.dtype.itemsize + chunk
        if self._bytes > MOST_BYTES:
            raise ValueError(f"{path} of shape {node.shape} is larger than any weights are")
