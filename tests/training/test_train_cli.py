"""The commands: what goes wrong ends in a line, before anything is trained."""

import pytest
from typer.testing import CliRunner

from pipeline.cli import app


def called(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_a_mistake_in_an_experiment_is_a_line(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("name: a\ntrain: {stepps: 1}\n")
    found = called("train", path, "--out", tmp_path / "out")
    assert found.exit_code == 2
    assert "x.yaml:2: train.stepps: unknown key" in found.stderr
    assert not (tmp_path / "out").exists()


def test_a_set_value_is_checked_like_the_files(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("name: a\n")
    found = called("train", path, "--out", tmp_path / "out", "--set", "train.batch=0")
    assert found.exit_code == 2
    assert "train.batch: found 0, expected at least 1" in found.stderr


@pytest.mark.parametrize("command", ["show", "export"])
def test_a_folder_without_a_model_says_so(tmp_path, command):
    more = ["--out", tmp_path / "x.onnx"] if command == "export" else []
    found = called("models", command, tmp_path, *more)
    assert found.exit_code != 0
    assert "no model folder" in found.stderr
