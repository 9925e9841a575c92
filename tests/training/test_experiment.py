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
        ("name: a\nsources: [{weight: 2}]\n", "one of `stream`, `regions` and `dataset`"),
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
