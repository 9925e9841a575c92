"""Experiment files: read as they are meant, and mistakes named with their lines."""

from pathlib import Path

import pytest

import pipeline.training
from pipeline.errors import ConfigError
from pipeline.training import read_experiment

COMMITTED = sorted(Path(pipeline.training.__file__).parent.glob("experiments/*.yaml"))


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_committed_recipes_are_sound(path):
    assert read_experiment(path).name == path.stem


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "name: a\ntrain:\n  stepps: 3\n",
            r"x.yaml:3: train.stepps: unknown key \(did you mean steps",
        ),
        ("name: a\ntrain: {steps: 0}\n", "x.yaml:2: train.steps: found 0, expected at least 1"),
        ("name: A b\n", "x.yaml:1: name"),
        ("name: a\nloss: {cross_entropy: 0}\n", "expected a weight above zero"),
        ("name: a\nloss: {class_weights: {fog: 2}}\n", "expected classes among clear"),
        (
            "name: a\nnetwork:\n  kind: unet\n  chanels: [8, 8]\n",
            r"x.yaml:4: network.chanels: unknown key \(did you mean channels",
        ),
        (
            "name: a\nnetwork: {kind: u-net}\n",
            "x.yaml:2: network: .*a kind among spectral-unet",
        ),
        ("name: a\nnetwork: {channels: [8]}\n", "x.yaml:2: network.channels"),
        (
            "name: a\nnetwork: {kind: unet, roles: [fog]}\n",
            "x.yaml:2: network.roles: found .*, expected optical bands",
        ),
        (
            "name: a\ntrain: {crop_px: 40}\n",
            r"train.crop_px: found 40, expected a multiple of",
        ),
        (
            "name: a\nnetwork: {kind: fcn, channels: [8, 8, 8, 8, 8, 8]}\ntrain: {crop_px: 48}\n",
            r"x.yaml:3: train.crop_px: found 48, expected a multiple of the network's stride \(32\)",
        ),
        (
            "name: a\nsources: [{weight: 2}]\n",
            "one of `stream`, `regions`, `dataset` and `archive`",
        ),
        ("name: a\nsources: [{stream: {sensors: [landsat-6]}}]\n", "there is no landsat-6"),
        ("name: a\nsources: [{dataset: {name: chip, path: x, sensor: venus}}]\n", "name"),
    ],
)
def test_mistakes_are_named(tmp_path, text, line):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=line):
        read_experiment(path)


def test_values_of_the_command_line_stand_above_the_file(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("name: a\ntrain: {steps: 7, lr: 0.1}\n")
    found = read_experiment(path, {"train.steps": 9})
    assert (found.train.steps, found.train.lr) == (9, 0.1)
