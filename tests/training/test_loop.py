"""Training: the same seed gives the same weights, killed or not, and a folder that a job can use."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pipeline.errors import TrainingError
from pipeline.models import bytes_needed, check, load, resolve
from pipeline.models.networks.spectral_unet import SpectralUnet
from pipeline.training import loop, output
from pipeline.training.tasks import supervised
from pipeline.types import Code


class Killed(BaseException):
    """What a kill looks like from inside: nothing catches it."""


def kill_after(checks):
    seen = []

    def tell(line):
        seen.append(line)
        if len(seen) == checks:
            raise Killed

    return tell


def curves(folder):
    return list(csv.DictReader((folder / "curves.csv").read_text().splitlines()))


@pytest.fixture(scope="module")
def whole(tiny, tmp_path_factory):
    """The folder of a training, made once: tests change copies of it."""
    return loop.train(tiny, tmp_path_factory.mktemp("whole"))


@pytest.fixture
def trained(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "whole")


def test_killed_and_started_again_it_ends_with_the_same_weights(tiny, tmp_path, trained):
    with pytest.raises(Killed):
        loop.train(tiny, tmp_path / "killed", kill_after(1))
    again = loop.train(tiny, tmp_path / "killed")
    whole = torch.load(trained / output.CHECKPOINT, weights_only=True)
    killed = torch.load(again / output.CHECKPOINT, weights_only=True)
    assert whole["progress"] == killed["progress"]
    for name, each in whole["net"].items():
        assert torch.equal(each, killed["net"][name]), name
    one, two = (load_file(each / "model.safetensors") for each in (trained, again))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_folder_has_weights_a_card_metrics_and_curves(trained):
    card = json.loads((trained / "card.json").read_text())
    assert card["name"] == "tiny"
    assert card["weights"] == "trained on the simulator's stream"
    assert set(json.loads((trained / "metrics.json").read_text())["simulated"]) >= {"cloud_f1"}
    rows = curves(trained)
    assert [float(row["step"]) for row in rows] == [2, 4, 6]
    assert not list(trained.glob("*.part"))


def test_a_job_can_use_a_folder(trained):
    card = resolve(str(trained), level="L2A", roles=("blue", "green", "red", "nir08"))
    assert card.roles == ("blue", "green", "red", "nir08")
    check(card)
    assert bytes_needed(card, windows=2) > bytes_needed(card, windows=1) > 0
    model = load(card)
    windows = np.random.default_rng(0).random((1, 4, 64, 64), np.float32)
    scores = model.predict(windows)
    assert scores.shape == (1, 6, 64, 64)
    assert np.isfinite(scores).all()
    assert set(card.classes) == set(Code) - {Code.NO_DATA}


def test_another_experiment_in_the_same_folder_is_refused(tiny, trained):
    other = tiny.model_copy(update={"seed": 4})
    with pytest.raises(TrainingError, match="another experiment"):
        loop.train(other, trained)


def test_a_loss_that_is_no_number_ends_in_words(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(
        supervised, "combined_loss", lambda *_: torch.tensor(float("nan"), requires_grad=True)
    )
    with pytest.raises(TrainingError, match="step 1: the loss is nan"):
        loop.train(tiny, tmp_path / "nan")


def test_a_full_disk_leaves_the_last_checkpoint(tiny, trained, monkeypatch):
    before = (trained / output.CHECKPOINT).read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(output.os, "fsync", full)
    with pytest.raises(TrainingError, match="No space left"):
        output.Folder(trained, tiny).save({"net": {}}, [])
    assert (trained / output.CHECKPOINT).read_bytes() == before
    assert not list(trained.glob("*.part"))


def test_a_checkpoint_of_before_there_were_several_optimizers_is_gone_on_from(tiny, trained):
    path = trained / output.CHECKPOINT
    state = torch.load(path, weights_only=True)
    (state["optimizer"],) = state.pop("optimizers")
    torch.save(state, path)
    seen = []
    loop.train(tiny, trained, seen.append)
    assert seen == ["going on from step 6"]


def test_a_damaged_checkpoint_is_named(tiny, trained):
    (trained / output.CHECKPOINT).write_bytes(b"PK\x03\x04")
    with pytest.raises(TrainingError, match="is damaged"):
        loop.train(tiny, trained)


def test_the_loss_falls(tiny, tmp_path):
    longer = tiny.model_copy(
        update={"train": tiny.train.model_copy(update={"steps": 30, "check_every": 15})}
    )
    folder = loop.train(longer, tmp_path / "longer")
    first, last = (float(row["loss"]) for row in curves(folder))
    assert last < first


def test_learning_rate_rises_in_a_line_and_falls_as_a_cosine(tiny):
    rates = [loop.learning_rate(tiny, step) for step in range(7)]
    assert rates[:2] == pytest.approx([0.005, 0.01])
    assert rates[4] == pytest.approx(0.01 * (0.01 + 0.99 / 2))
    assert rates[6] == pytest.approx(0.0001)


def test_in_short_precision_bands_and_images_stay_whole(tiny, tmp_path, monkeypatch):
    seen = []

    def forward(self, images, bands, present):
        seen.append((images.dtype, bands.dtype))
        scores = whole(self, images, bands, present)
        seen.append(scores.dtype)
        return scores

    whole = SpectralUnet.forward
    monkeypatch.setattr(SpectralUnet, "forward", forward)
    short = tiny.train.model_copy(
        update={"precision": "bf16-mixed", "steps": 1, "check_every": 1}
    )
    loop.train(tiny.model_copy(update={"train": short}), tmp_path / "short")
    assert seen[:2] == [(torch.float32, torch.float32), torch.bfloat16]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")
def test_compiled_it_learns_the_same(tiny, tmp_path, trained):
    if shutil.which("g++") is None:
        pytest.skip("no C++ compiler on this machine")
    how = tiny.train.model_copy(update={"compile": True})
    folder = loop.train(tiny.model_copy(update={"train": how}), tmp_path / "compiled")
    found, plain = (load_file(each / "model.safetensors") for each in (folder, trained))
    assert found.keys() == plain.keys()
    # Rounding differs, and grows with every step: losses agree, weights less and less.
    first, whole = curves(folder)[0], curves(trained)[0]
    assert float(first["loss"]) == pytest.approx(float(whole["loss"]), rel=1e-3)
