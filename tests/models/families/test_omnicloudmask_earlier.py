"""OmniCloudMask's releases 1 to 3: the scores of fastai's networks, from files that are data alone."""

import csv
import pickle
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save, save_file

from pipeline import models
from pipeline.errors import ModelError
from pipeline.models import download
from pipeline.models.engine.normalise import OwnStatistics
from pipeline.models.families.omnicloudmask import FILES, OmniCloudMask
from pipeline.models.networks import dynamic_unet
from pipeline.models.networks import omnicloudmask_earlier as network
from pipeline.models.weights.omnicloudmask_earlier import RELEASES
from tests.models import recipe
from tests.models.machine import needs_bfloat16

ROLES = ("red", "green", "nir08")
NETWORKS = {each.encoder: each for nets in RELEASES.values() for each in nets}

# What the networks of omnicloudmask's own package say, made by record_fastai.py.
FASTAI = Path(__file__).parent / "dynamic_unet_fastai.npz"


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """As models run."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def golden():
    with np.load(FASTAI) as held:
        return dict(held)


def layout(golden, encoder):
    """Shapes of a published file's arrays, by their names."""
    shapes = (tuple(map(int, each.split())) for each in golden[f"{encoder}/shapes"])
    return dict(zip(golden[f"{encoder}/names"].tolist(), shapes, strict=True))


@pytest.fixture(scope="module")
def states(golden):
    """Weights by the recipe, by encoder."""
    return {
        encoder: {
            name: torch.from_numpy(each)
            for name, each in recipe.state(layout(golden, encoder)).items()
        }
        for encoder in NETWORKS
    }


@pytest.fixture(scope="module")
def folder(states, tmp_path_factory):
    """Files of all releases by their published names."""
    folder = tmp_path_factory.mktemp("weights")
    for each in (each for nets in RELEASES.values() for each in nets):
        write = torch.save if each.file.name.endswith(".pth") else save_file
        write(states[each.encoder], folder / each.file.name)
    return folder


def card_of(folder, version, **options):
    return OmniCloudMask().resolve(
        "omnicloudmask",
        level="L2A",
        roles=ROLES,
        options={"weights": str(folder), "version": version, **options},
    )


# -- the same networks -------------------------------------------------------------------------


@pytest.mark.parametrize("encoder", NETWORKS)
def test_weights_have_the_names_and_shapes_of_fastai(encoder, golden):
    with torch.device("meta"):
        state = dynamic_unet.build(encoder, 3, 4).state_dict()
    expected = layout(golden, encoder)
    assert {name: tuple(each.shape) for name, each in state.items()} == expected


def assert_says(net, encoder, golden):
    for name, (size, step) in recipe.WINDOWS.items():
        seen = torch.from_numpy(OwnStatistics().here(recipe.window(*size))[np.newaxis])
        logits = net(seen)[0, :, ::step, ::step].numpy()
        expected = golden[f"{encoder}/{name}"]
        np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4)
        assert set(np.unique(expected.argmax(axis=0))) == {0, 1, 2, 3}


@pytest.mark.quick(1)
@pytest.mark.parametrize("encoder", NETWORKS)
def test_logits_equal_those_of_fastai(encoder, golden, states, monkeypatch):
    """As built, folded, and in many strips of rows."""
    net = dynamic_unet.build(encoder, 3, 4)
    net.load_state_dict(states[encoder])
    assert_says(net.eval().requires_grad_(False), encoder, golden)
    assert_says(network.fold(net, NETWORKS[encoder]), encoder, golden)
    monkeypatch.setattr(dynamic_unet, "ROWS", 8)
    assert_says(net, encoder, golden)


@pytest.mark.quick(1)
@pytest.mark.parametrize("version", RELEASES)
def test_a_release_says_the_mean_of_its_networks(version, golden, folder):
    size, step = recipe.WINDOWS["even"]
    model = OmniCloudMask().load(card_of(folder, version))
    scores = model.predict(recipe.window(*size)[np.newaxis])[0, :, ::step, ::step]
    expected = np.mean([golden[f"{each.encoder}/even"] for each in RELEASES[version]], axis=0)
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-4)


@needs_bfloat16
def test_bfloat16_agrees(folder):
    windows = recipe.window(64, 96)[np.newaxis]
    long, short = (
        OmniCloudMask().load(card_of(folder, "3", precision=each)).predict(windows)
        for each in ("float32", "bfloat16")
    )
    assert (long.argmax(axis=1) == short.argmax(axis=1)).mean() > 0.97


def test_windows_beside_it_change_nothing(folder):
    model = OmniCloudMask().load(card_of(folder, "2"))
    windows = np.stack([recipe.window(64, 96), recipe.window(64, 96)[:, ::-1, ::-1]])
    together = model.predict(windows)
    for each, scores in zip(windows, together, strict=True):
        assert np.array_equal(model.predict(each[np.newaxis])[0], scores)


def test_another_number_of_batch_norms_is_an_error():
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4))
    with pytest.raises(ModelError, match="has 1 batch norms to fold instead of 53"):
        network.fold(net.eval(), NETWORKS["regnety_004"])


# -- cards and files ---------------------------------------------------------------------------


def test_files_are_those_of_the_package():
    package = pytest.importorskip("omnicloudmask", reason="omnicloudmask is not installed")
    with (resources.files(package) / "model_download_links.csv").open() as opened:
        rows = [row for row in csv.DictReader(opened) if row["model_library"] == "fastai"]
    assert {(row["version"], row["file_name"], row["timm_model_name"]) for row in rows} == {
        (version, each.file.name, each.encoder)
        for version, nets in RELEASES.items()
        for each in nets
    }


@pytest.mark.parametrize("version", [1, "2", 3])
def test_the_card(version, folder):
    card = card_of(folder, version, core_px=256, halo_px=32)
    latest = models.resolve("omnicloudmask", level="L2A", roles=ROLES)
    assert (card.name, card.version) == ("omnicloudmask", str(version))
    assert card.options["version"] == str(version)
    assert (card.roles, card.classes) == (latest.roles, latest.classes)
    assert card.normalisation == latest.normalisation
    assert card.lattice.window_px == 320
    assert card.weights == "the user's own files"
    assert "not published" in card.accuracy
    assert OmniCloudMask().resolve(
        card.name, level="L2A", roles=ROLES, options=card.options
    ) == card  # fmt: skip


def test_releases_are_told_apart_by_more_than_their_weights(folder, tmp_path):
    """Releases 2 and 3 have the same networks."""
    for version in "23":
        for each in RELEASES[version]:
            (tmp_path / each.file.name).write_bytes(b"the same")
    second, third = (card_of(tmp_path, version) for version in "23")
    assert second.weights_sha256 == third.weights_sha256
    assert (second.version, second.options) != (third.version, third.options)


def test_release_4_is_the_default_and_says_no_more_than_before():
    options = {
        "precision": "float32",
        "device": "cpu",
        "weights": "",
        "core_px": "1024",
        "halo_px": "64",
    }
    for given in ({}, {"version": "4"}, {"version": 4}):
        card = models.resolve("omnicloudmask", level="L2A", roles=ROLES, options=given)
        assert card.version == "4"
        assert card.options == options
    assert download.files("omnicloudmask") == FILES


@pytest.mark.parametrize("version", [0, 5, "3.5", "latest", None])
def test_there_are_four_releases(version):
    with pytest.raises(ModelError, match="option version .* whole number from 1 to 4"):
        card_of("", version)


@pytest.mark.parametrize("version", RELEASES)
def test_weights_are_the_users_own(version):
    first, second = (each.file.name for each in RELEASES[version])
    message = (
        f"omnicloudmask's release {version} are published on Google Drive without checksums.*"
        f"set option weights to a folder that holds {first}, {second}"
    )
    with pytest.raises(ModelError, match=message):
        card_of("", version)


def test_what_the_folder_lacks_is_named(folder, tmp_path):
    first, second = (each.file.name for each in RELEASES["3"])
    (tmp_path / first).touch()
    with pytest.raises(ModelError, match=f"release 3: the folder .* lacks {second}"):
        card_of(tmp_path, "3")


def test_a_run_is_told_of_files_that_are_gone(tmp_path):
    for each in RELEASES["1"]:
        (tmp_path / each.file.name).touch()
    card = card_of(tmp_path, "1")
    models.check(card)
    (tmp_path / RELEASES["1"][0].file.name).unlink()
    with pytest.raises(ModelError, match="lacks PM_model_2.2.10_RG_NIR_509_regnety_004"):
        models.check(card)


# -- what is in a file -------------------------------------------------------------------------


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def in_torch(path, content):
    torch.save(content, path)
    return path.read_bytes()


@pytest.mark.parametrize("how", ["zip", "old", "plain"])
def test_nothing_in_a_file_is_executed(how, tmp_path):
    trace, path = tmp_path / "trace", tmp_path / "file"
    content = {"layers.1.weight": Bomb(trace)}
    if how == "plain":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=how == "zip")
    first = RELEASES["1"][0]
    with pytest.raises(ModelError, match="cannot be read as a file of weights alone"):
        network.filled(first, path.read_bytes())
    assert not trace.exists()
    torch.load(path, weights_only=False) if how != "plain" else pickle.loads(path.read_bytes())
    assert trace.exists()


def test_a_whole_network_is_refused(tmp_path):
    first = RELEASES["1"][0]
    content = in_torch(tmp_path / "net.pth", torch.nn.Conv2d(3, 4, 1))
    with pytest.raises(ModelError, match="cannot be read as a file of weights alone"):
        network.filled(first, content)


@pytest.mark.parametrize("version", ["1", "3"])
def test_what_is_no_file_of_weights_is_refused(version):
    first = RELEASES[version][0]
    for content in (b"", b"no weights", b"\x80\x04.", b"PK\x03\x04" + bytes(60)):
        with pytest.raises(ModelError, match=f"{first.file.name} cannot be read"):
            network.filled(first, content)


@pytest.mark.parametrize("content", [[torch.zeros(3)], torch.zeros(3), {"a": 1}, {}])
def test_what_is_no_network_is_refused(content, tmp_path):
    first = RELEASES["1"][0]
    # What are no tensors by their names is told before a network is asked.
    with pytest.raises(ModelError, match="does not hold the regnety_004 U-Net|weights alone"):
        network.filled(first, in_torch(tmp_path / "file.pth", content))


@pytest.mark.parametrize("version", ["1", "2"])
def test_the_other_networks_weights_are_refused(version, folder):
    first, second = RELEASES[version]
    content = (folder / second.file.name).read_bytes()
    with pytest.raises(ModelError, match=f"{first.file.name} does not hold the regnety_004"):
        network.filled(first, content)


def test_one_weight_too_few_or_too_many_is_refused(states):
    third = RELEASES["3"][1]
    state = states["edgenext_small"]
    few = {name: each for name, each in state.items() if name != "layers.1.weight"}
    for wrong in (few, {**state, "layers.99.weight": torch.zeros(1)}):
        with pytest.raises(ModelError, match="does not hold the edgenext_small U-Net"):
            network.filled(third, save(wrong))


def test_a_file_that_changed_meanwhile_is_refused(tmp_path):
    for each in RELEASES["3"]:
        (tmp_path / each.file.name).write_bytes(b"one")
    card = card_of(tmp_path, "3")
    (tmp_path / RELEASES["3"][1].file.name).write_bytes(b"two")
    with pytest.raises(ModelError, match="release 3 .*changed since the model was chosen"):
        OmniCloudMask().load(card)
