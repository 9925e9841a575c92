"""Cycle-GAN and GAN-CDM train: killed or not to the same weights, and to a folder that the engine runs."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import pipeline.training
from pipeline.errors import ConfigError, ModelError
from pipeline.models import load, resolve
from pipeline.models.weights.folder import read_card
from pipeline.training import Experiment, loop, read_experiment
from pipeline.training.batches import batches
from pipeline.training.tasks.task import Tensors
from pipeline.types import Code
from tests.training.test_loop import Killed, kill_after

BANDS = ("blue", "red", "nir", "swir16")
TRAIN = {
    "steps": 4,
    "batch": 2,
    "crop_px": 32,
    "lr": 0.001,
    "warm_up": 0,
    "check_every": 2,
    "check_patches": 1,
    "workers": 0,
    "accelerator": "cpu",
}
WORLD = {"grounds": {"forest": 1}, "skies": {"cumulus": 1, "clear": 1}}
LANDSAT = WORLD | {"sensors": ["landsat-8"], "pixels_m": [30, 30], "bands": [7, 7]}
AS_PROBA_V = {"seen_as": "proba-v", "stream": LANDSAT}
PROBA_V = WORLD | {"sensors": ["proba-v"], "pixels_m": [90, 100], "bands": [4, 4]}


def experiment(**parts):
    return Experiment.model_validate({"name": "tiny", "seed": 3, "train": TRAIN} | parts)


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory):
    """A network that has learnt from Landsat 8 made like Proba-V."""
    landsat = experiment(
        network={"kind": "dl-l8s2-uv", "roles": BANDS},
        sources=[AS_PROBA_V],
        train=TRAIN | {"steps": 2},
    )
    return loop.train(landsat, tmp_path_factory.mktemp("landsat"))


@pytest.fixture(scope="module")
def cycle_gan(segmenter):
    return experiment(
        network={"kind": "adapted", "roles": BANDS, "filters": 8},
        task={"kind": "cycle-gan", "segmenter": str(segmenter), "like": [AS_PROBA_V]},
        sources=[{"stream": PROBA_V}],
    )


@pytest.fixture(scope="module")
def gan_cdm():
    stream = WORLD | {"sensors": ["landsat-8"], "bands": [4, 4], "main_bands": 1}
    return experiment(
        network={"kind": "gan-cdm", "channels": [4, 8, 8, 8]},
        task={"kind": "gan-cdm"},
        sources=[{"stream": stream}],
        train=TRAIN | {"batch": 4},
    )


@pytest.fixture(scope="module", params=["cycle_gan", "gan_cdm"])
def tiny(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def adapted(cycle_gan, tmp_path_factory):
    """The folder of a Cycle-GAN."""
    return loop.train(cycle_gan, tmp_path_factory.mktemp("adapted"))


@pytest.fixture(scope="module")
def blocks(gan_cdm, tmp_path_factory):
    """The folder of a GAN-CDM."""
    return loop.train(gan_cdm, tmp_path_factory.mktemp("blocks"))


def rows(folder):
    return list(csv.DictReader((folder / "curves.csv").read_text().splitlines()))


def test_killed_it_ends_with_the_same_weights_in_a_folder_that_a_job_uses(
    tiny, request, tmp_path
):
    whole = request.getfixturevalue(
        {"cycle-gan": "adapted", "gan-cdm": "blocks"}[tiny.task.kind]
    )
    with pytest.raises(Killed):
        loop.train(tiny, tmp_path / "killed", kill_after(1))
    again = loop.train(tiny, tmp_path / "killed")
    one, two = (
        torch.load(each / "checkpoint.pt", weights_only=True) for each in (whole, again)
    )
    for name, each in one["net"].items():
        assert torch.equal(each, two["net"][name]), name
    assert len(one["optimizers"]) == 2
    one, two = (load_file(each / "model.safetensors") for each in (whole, again))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert all(np.isfinite(float(value)) for row in rows(whole) for value in row.values())
    assert {"loss"} < set(rows(whole)[0])
    wanted = tiny.network.wanted
    card = resolve(str(whole), level="L1C", roles=wanted)
    image = np.random.default_rng(0).random((1, len(wanted), 64, 64), np.float32)
    scores = load(card).predict(image)
    assert scores.shape == (1, len(tiny.network.classes), 64, 64)
    assert np.isfinite(scores).all()


@pytest.fixture(scope="module")
def drawn():
    """The first batch of each domain of an experiment, made once."""
    made = {}

    def of(tiny):
        if tiny.task.kind not in made:
            made[tiny.task.kind] = [
                Tensors.of(next(batches(each, 0)), torch.device("cpu")) for each in tiny.domains
            ]
        return made[tiny.task.kind]

    return of


def task_of(tiny, **changes):
    section = tiny.task.model_copy(update=changes)
    torch.manual_seed(0)
    return loop.TASKS[tiny.task.kind](tiny.model_copy(update={"task": section}))


def lost(player, tensors):
    torch.manual_seed(0)
    return player.loss(player.module, tensors)


def descended(player, tensors, steps=12):
    optimizer = torch.optim.Adam(player.module.parameters(), lr=2e-3)
    seen = []
    for _ in range(steps):
        loss = lost(player, tensors)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(float(loss.detach()))
    return seen


def test_each_player_lowers_its_loss(tiny, drawn):
    task = task_of(tiny)
    for name, each in task.players[0].module.named_parameters():
        if name.endswith("last.bias"):
            # Generators begin as good as can be for most of their loss.
            each.data.fill_(0.5)
    for player in task.players:
        seen = descended(player, drawn(tiny))
        assert seen[-1] < seen[0], player.name


NOTHING = {"identity": 0, "cycle": 0, "segmentation": 0}


def test_generators_begin_as_if_there_were_none(cycle_gan, drawn):
    task, tensors = task_of(cycle_gan), drawn(cycle_gan)
    seen = task.net.take(tensors[0].images, tensors[0].bands_um, tensors[0].present)
    torch.testing.assert_close(task.net.body.generator(seen), seen)
    # Nothing is changed: identity, cycle and segmentation are zero, and two discriminators remain.
    plain = task_of(cycle_gan, **NOTHING)
    torch.testing.assert_close(lost(plain.players[0], tensors), lost(task.players[0], tensors))


def test_identity_cycle_and_segmentation_are_differences_of_reflectance(cycle_gan, drawn):
    def loss_of(**weights):
        task = task_of(cycle_gan, **NOTHING | weights)
        # One generator brightens by .2 of scaled reflectance, .05 of reflectance; the other changes nothing.
        task.net.body.generator.last.bias.data.fill_(0.2)
        return float(lost(task.players[0], drawn(cycle_gan)).detach())

    adversarial = loss_of()
    assert loss_of(identity=3) - adversarial == pytest.approx(3 * 0.05, rel=1e-3)
    # There and back brightens the images of both sensors.
    assert loss_of(cycle=3) - adversarial == pytest.approx(3 * 2 * 0.05, rel=1e-3)
    assert loss_of(segmentation=1) > adversarial


def test_the_segmenter_stays_as_it_was_and_the_generator_does_not(
    cycle_gan, segmenter, adapted
):
    state = torch.load(adapted / "checkpoint.pt", weights_only=True)["net"]
    for name, each in load_file(segmenter / "model.safetensors").items():
        found = state["0." + name.replace("body.", "body.segmenter.")]
        assert torch.equal(found, each), name
    first = task_of(cycle_gan).weights.state_dict()
    moved = {name for name, each in first.items() if not torch.equal(each, state[name])}
    assert {"0.body.generator.last.weight", "1.last.weight", "2.0.0.weight"} < moved


def test_a_generators_images_are_scored_by_the_segmenter(adapted, segmenter):
    one, other = (
        load(resolve(str(folder), level="L1C", roles=BANDS)) for folder in (adapted, segmenter)
    )
    image = np.random.default_rng(0).random((1, 4, 64, 64), np.float32)
    assert one.card.classes == other.card.classes
    assert not np.array_equal(one.predict(image), other.predict(image))


def test_gan_cdm_tells_cloud_from_clear_by_what_is_reflected(gan_cdm, blocks, drawn):
    card = read_card(blocks)
    assert card.classes == (Code.CLEAR, Code.THICK_CLOUD)
    assert "shadow" not in card.accuracy
    best = max(float(row["cloud_f1"]) for row in rows(blocks))
    progress = torch.load(blocks / "checkpoint.pt", weights_only=True)["progress"]
    assert progress["best"] == pytest.approx(best)
    (batch,) = drawn(gan_cdm)
    net = task_of(gan_cdm).net
    seen = net.take(batch.images, batch.bands_um, batch.present)
    reflected = torch.softmax(net.body.parts(seen), dim=1)[:, 0]
    found = net.body(seen).argmax(dim=1) == 1
    assert torch.equal(found, reflected > gan_cdm.network.threshold)


@pytest.mark.parametrize("network", [{"kind": "unet", "roles": BANDS}, {"kind": "dl-l8s2-uv"}])
def test_another_segmenter_is_refused(cycle_gan, segmenter, tmp_path, network):
    card = read_card(segmenter).model_dump(mode="json") | {"network": network}
    (tmp_path / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="a dl-l8s2-uv for blue, red, nir, swir16"):
        task_of(cycle_gan, segmenter=str(tmp_path))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"network": {"kind": "unet"}}, "network.kind: found 'unet', expected gan-cdm"),
        ({"train": {"precision": "bf16-mixed"}}, "train.precision"),
        ({"train": {"compile": True}}, "train.compile"),
        ({"train": {"crop_px": 64}}, "train.crop_px: found 64, expected at least 128"),
        (
            {"loss": {"class_weights": {"snow": 2}}},
            "found 'snow', expected classes among clear, t",
        ),
        ({"task": {"kind": "gan"}}, "task"),
        ({"task": {"kind": "cycle-gan"}}, "task.*like"),
    ],
)
def test_mistakes_are_named(tmp_path, change, words):
    text = (Path(pipeline.training.__file__).parent / "experiments/gan-cdm.yaml").read_text()
    path = tmp_path / "x.yaml"
    path.write_text(text)
    changes = {
        f"{section}.{key}": value
        for section, each in change.items()
        for key, value in each.items()
    }
    with pytest.raises(ConfigError, match=words):
        read_experiment(path, changes)
