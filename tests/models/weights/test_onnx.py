"""Files that are not what they should be."""

import hashlib

import onnx
import pytest

from pipeline.errors import ModelError
from pipeline.models.families import ukis_csmask
from pipeline.models.weights import onnx as onnx_weights
from pipeline.models.weights import ukis_csmask as files_of_ukis


@pytest.fixture(scope="module")
def content():
    return files_of_ukis.FILES["4b", "L2A"].onnx.read_bytes()


def test_the_installed_files_are_the_released_ones(network):
    files = files_of_ukis.FILES[network]
    onnx_weights.read_verified(files.onnx, files.onnx_sha256)
    onnx_weights.read_verified(files.json, files.json_sha256)


def test_statistics_are_of_the_bands_of_the_card(network):
    content = files_of_ukis.FILES[network].json.read_bytes()
    mean, std = files_of_ukis.statistics(content, ukis_csmask.BANDS[network[0]])
    assert len(mean) == len(std) == len(ukis_csmask.BANDS[network[0]])
    assert all(0 < each < 0.5 for each in (*mean, *std))
    with pytest.raises(ModelError, match="was trained on"):
        files_of_ukis.statistics(content, ("red", "green", "blue", "nir"))


@pytest.mark.parametrize("damage", ["truncated", "one byte"])
def test_damage_is_found(tmp_path, content, damage):
    path = tmp_path / "model.onnx"
    broken = content[:-1] if damage == "truncated" else content[:-1] + b"\x00"
    path.write_bytes(broken)
    expected, found = (hashlib.sha256(each).hexdigest() for each in (content, broken))
    with pytest.raises(
        ModelError, match=rf"model\.onnx .*expected sha256 {expected}, found {found}"
    ):
        onnx_weights.read_verified(path, expected)


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"cannot read the model file .*gone\.onnx"):
        onnx_weights.read_verified(tmp_path / "gone.onnx", "0" * 64)


def test_what_is_not_onnx_is_refused(content):
    with pytest.raises(ModelError, match=r"x\.onnx is not an ONNX file"):
        onnx_weights.parse(content[:-1000], "x.onnx")


def test_reads_every_number_and_padding(content):
    weights = onnx_weights.parse(content, "x.onnx")
    assert len(weights.tensors) == 655
    assert sum(each.size for each in weights.tensors.values()) == pytest.approx(
        ukis_csmask.N_PARAMETERS, rel=0.02
    )
    assert len(weights.paddings) == 33
    assert weights.paddings["encoder._conv_stem.static_padding"] == (0, 1, 0, 1)


def test_a_computed_padding_is_refused(content):
    model = onnx.load_model_from_string(content)
    pad = next(node for node in model.graph.node if node.op_type == "Pad")
    pad.input[1] = "nowhere"
    with pytest.raises(ModelError, match=r"_conv_stem.static_padding of x is not a constant"):
        onnx_weights.parse(model.SerializeToString(), "x")
