"""Every architecture trains: its loss falls, a killed training ends with the same weights, and a job uses its folder."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pipeline.models import load, resolve
from pipeline.models.networks.sensei import Sensei
from pipeline.training import Experiment, loop
from pipeline.training.batches import batches
from pipeline.training.pretraining import pretrain
from pipeline.training.tasks.supervised import combined_loss
from pipeline.training.tasks.task import begin
from tests.models.networks.test_architectures import KINDS, TINY
from tests.training.test_loop import Killed, kill_after

OTHERS = [each for each in KINDS if each.values != ("spectral-unet",)]
KILLED = [
    # One of each way to begin: with an embedding, around another network, with nothing. The loop is the same for all.
    each
    if each.values[0] in ("sensei", "adapted", "unet")
    else pytest.param(*each.values, marks=pytest.mark.slow)
    for each in OTHERS
]


def experiment_of(kind, **train):
    return Experiment.model_validate(
        {
            "name": "tiny",
            "seed": 3,
            "network": {"kind": kind, **TINY[kind]},
            "sources": [
                {
                    "stream": {
                        "grounds": {"forest": 1},
                        "skies": {"cumulus": 1},
                        "bands": [4, 4],
                        "main_bands": 1,
                    }
                }
            ],
            "train": {
                "steps": 4,
                "batch": 2,
                "crop_px": 32,
                "lr": 0.01,
                "warm_up": 2,
                "check_every": 2,
                "check_patches": 1,
                "workers": 0,
                "accelerator": "cpu",
            }
            | train,
        }
    )


@pytest.mark.parametrize("kind", KILLED)
def test_killed_it_ends_with_the_same_weights_in_a_folder_that_a_job_uses(kind, tmp_path):
    tiny = experiment_of(kind)
    whole = loop.train(tiny, tmp_path / "whole")
    with pytest.raises(Killed):
        loop.train(tiny, tmp_path / "killed", kill_after(1))
    again = loop.train(tiny, tmp_path / "killed")
    one, two = (
        torch.load(each / "checkpoint.pt", weights_only=True) for each in (whole, again)
    )
    for name, each in one["net"].items():
        assert torch.equal(each, two["net"][name]), name
    one, two = (load_file(each / "model.safetensors") for each in (whole, again))
    assert all(torch.equal(one[name], two[name]) for name in one)
    card = resolve(str(whole), level="L2A", roles=("blue", "green", "red", "nir"))
    scores = load(card).predict(np.random.default_rng(0).random((1, 4, 64, 64), np.float32))
    assert scores.shape == (1, len(tiny.network.classes), 64, 64)
    assert np.isfinite(scores).all()


@pytest.mark.quick(3)
@pytest.mark.parametrize("kind", OTHERS)
def test_the_loss_falls(kind):
    tiny = experiment_of(kind)
    torch.manual_seed(0)
    net = begin(tiny)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
    made = next(batches(tiny, 0))
    images, bands, present, labels = (
        torch.from_numpy(each)
        for each in (made.images, made.bands_um, made.present, made.labels)
    )
    lost = []
    for _ in range(8):
        loss = combined_loss(
            tiny.loss, net(images, bands, present), labels, tiny.network.classes
        )
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        lost.append(float(loss.detach()))
    assert lost[-1] < 0.9 * lost[0]


def test_an_embedding_learns_from_random_bands_the_same_each_time():
    def once():
        torch.manual_seed(0)
        bands = Sensei()
        lost = list(pretrain(bands, 40, 16, seed=5))
        return lost, bands.state_dict()

    (lost, one), (_, two) = once(), once()
    assert sum(lost[-10:]) < 0.9 * sum(lost[:10])
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_what_is_recovered_counts(tmp_path):
    """The head that recovers bands gets a gradient from its own loss alone."""
    tiny = experiment_of("sensei-2", steps=1, check_every=1)
    torch.manual_seed(0)
    folder = loop.train(tiny, tmp_path / "one")
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    names = list(begin(tiny).state_dict())
    assert any(name.startswith("bands.back") for name in names)
    steps = state["optimizers"][0]["state"]
    moved = [name for name, _ in begin(tiny).named_parameters()]
    assert any(moved[number].startswith("bands.back") for number in steps)
