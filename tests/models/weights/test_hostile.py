"""Weights that a user names: whatever they are, one line says so, and nothing else is read or run."""

import io
import os
import pickle
import resource
import struct
import zipfile
from pathlib import Path

import h5py
import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from safetensors.torch import save

from pipeline import models
from pipeline.errors import ModelError
from pipeline.models.families.dl_l8s2_uv import FOUR_BANDS, RGBI
from pipeline.models.weights import files, tensors
from pipeline.models.weights import onnx as onnx_weights
from pipeline.models.weights.keras import read_keras

SECRET = np.arange(4, dtype=np.float32)


def keras(make) -> bytes:
    held = io.BytesIO()
    with h5py.File(held, "w") as file:
        make(file)
    return held.getvalue()


def refused(read, *about: object) -> str:
    """Read, expect one line of a ModelError, and no more memory than files may have."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ModelError) as caught:
        read(*about)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 400 * 1024, "KiB"
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 600
    return text


# -- HDF5 --------------------------------------------------------------------------------------


def external_storage(file, path):
    path.write_bytes(SECRET.tobytes())
    group = file.create_group("model_weights/a")
    group.create_dataset("kernel:0", (4,), "f4", external=[(str(path), 0, 16)])


def external_link(file, path):
    with h5py.File(path, "w") as other:
        other.create_dataset("model_weights/a/kernel:0", data=SECRET)
    file["model_weights"] = h5py.ExternalLink(str(path), "/model_weights")


def virtual(file, path):
    with h5py.File(path, "w") as other:
        other["x"] = SECRET
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource(str(path), "x", (4,))
    file.create_group("model_weights/a").create_virtual_dataset("kernel:0", layout)


def terabytes(file, _):
    file.create_dataset("model_weights/a/kernel:0", (2**20, 2**20), "f8", chunks=(64, 64))


def chunk_bomb(file, _):
    chunk = (2**28 - 1,)
    file.create_dataset(
        "model_weights/a/kernel:0", (4,), "f4", maxshape=(None,), chunks=chunk, compression=9
    )


def words(file, _):
    file.create_dataset("model_weights/a/kernel:0", data=["a", "b"])


def many(file, _):
    for number in range(10_001):
        file.create_group(f"model_weights/{number}")


def bare(file, _):
    file.create_dataset("model_weights/kernel", data=SECRET)


def no_group(file, _):
    file.create_dataset("model_weights", data=SECRET)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (external_storage, "lies in another file"),
        (external_link, "is not in it"),
        (virtual, "lies in another file"),
        (terabytes, "larger than any weights"),
        (chunk_bomb, "larger than any weights"),
        (words, "holds no numbers"),
        (many, "more than 10000"),
        (bare, "no Keras HDF5 file"),
        (no_group, "no Keras HDF5 file"),
    ],
)
def test_hdf5_that_is_more_than_arrays(tmp_path, make, why):
    content = keras(lambda file: make(file, tmp_path / "other"))
    assert why in refused(read_keras, content, "m")


def test_hdf5_of_other_shapes_is_another_network(tmp_path):
    from pipeline.models.networks import dl_l8s2_uv as network  # noqa: PLC0415

    path = tmp_path / "w.hdf5"
    path.write_bytes(
        keras(lambda f: f.create_dataset("model_weights/normalization/kernel:0", data=SECRET))
    )
    arrays = read_keras(path.read_bytes(), "m")
    assert "those of another network" in refused(network.build, arrays, 4, "m")


# -- torch and safetensors ---------------------------------------------------------------------


class Opens:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def torch_saved(value) -> bytes:
    held = io.BytesIO()
    torch.save(value, held)
    return held.getvalue()


def bomb() -> bytes:
    held = io.BytesIO(torch_saved({"a": torch.zeros(4)}))
    with zipfile.ZipFile(held, "a", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("archive/data/9", b"\0" * (2**29 + 1))
    return held.getvalue()


def legacy() -> bytes:
    held = io.BytesIO()
    torch.save({"a": torch.zeros(4)}, held, _use_new_zipfile_serialization=False)
    return held.getvalue()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (lambda: torch_saved([torch.zeros(4)]), "it holds a list"),
        (lambda: torch_saved({"a": {"b": torch.zeros(4)}}), "a is no tensor"),
        (lambda: torch_saved({7: torch.zeros(4)}), "7 is no tensor with a name"),
        (lambda: torch_saved({"a": torch.zeros(1).expand(2**40)}), "fewer numbers than that"),
        (lambda: torch_saved({"a": torch.full((4,), torch.nan)}), "not finite"),
        (lambda: torch_saved({"a": torch.zeros(4, dtype=torch.complex64)}), "no plain tensor"),
        (lambda: torch_saved({"a": torch.zeros(4).to_sparse()}), "weights alone"),
        (lambda: torch_saved({"a": torch.zeros(4)})[:-40], "weights alone"),
        (bomb, "unpacks to"),
        (legacy, "no zip file"),
        (lambda: pickle.dumps({"a": 1}), "no zip file"),
        (lambda: b"", "no zip file"),
    ],
)
def test_files_that_torch_saved(content, why):
    assert why in refused(tensors.read_tensors, "x.pth", content())


def test_nothing_in_a_pickle_is_run(tmp_path):
    content = torch_saved({"a": Opens(tmp_path / "made")})
    refused(tensors.read_tensors, "x.pth", content)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<Q", 2**60) + b"{}",
        struct.pack("<Q", 99_999_999) + b"{",
        struct.pack("<Q", 62)
        + b'{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4]}}'[:62],
        save({"a": torch.zeros(4)})[:-1],
        save({"a": torch.full((4,), torch.inf)}),
        b"",
    ],
    ids=["header", "short", "shape", "cut", "infinite", "empty"],
)
def test_safetensors(content):
    assert "weights alone" in refused(tensors.read_tensors, "x.safetensors", content)


def test_tensors_are_read():
    given = {"a": torch.arange(4.0), "n": torch.tensor(3)}
    for name, content in (("x.pth", torch_saved(given)), ("x.safetensors", save(given))):
        found = tensors.read_tensors(name, content)
        assert found.keys() == given.keys()
        assert all(torch.equal(found[key], given[key]) for key in given)


# -- ONNX --------------------------------------------------------------------------------------


def test_onnx_numbers_in_other_files_are_not_read(tmp_path):
    (tmp_path / "other.bin").write_bytes(SECRET.tobytes())
    tensor = numpy_helper.from_array(SECRET, "a")
    onnx.external_data_helper.set_external_data(tensor, str(tmp_path / "other.bin"))
    tensor.ClearField("raw_data")
    graph = helper.make_graph([], "g", [], [], [tensor])
    content = helper.make_model(graph).SerializeToString()
    assert "another file" in refused(onnx_weights.parse, content, "x.onnx")


# -- files -------------------------------------------------------------------------------------


def resolved(path):
    return models.resolve(RGBI, level="L1C", roles=FOUR_BANDS, options={"weights": str(path)})


def test_what_is_no_file_of_a_size_is_refused_when_the_model_is_chosen(tmp_path):
    fifo, loop, absent = (tmp_path / each for each in ("fifo", "loop", "absent"))
    os.mkfifo(fifo)
    loop.symlink_to(loop)
    absent.symlink_to(tmp_path / "nowhere")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for path in (fifo, loop, absent, tmp_path / "zero", Path("/dev/zero"), tmp_path / "no"):
        assert "option weights" in refused(resolved, path)
    assert "lacks" in refused(resolved, tmp_path)
    long = "x" * 300
    assert "option weights" in refused(resolved, long)


def test_a_file_larger_than_any_weights_is_not_read(tmp_path):
    path = tmp_path / "w.hdf5"
    with path.open("wb") as file:
        file.truncate(2**40)
    assert f"no weights have more than {files.MOST_BYTES}" in refused(resolved, path)
