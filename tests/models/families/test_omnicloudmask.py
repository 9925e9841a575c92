"""OmniCloudMask: with the same random weights, the scores of its own package, no data included."""

import csv
from importlib import resources

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pipeline.errors import ModelError
from pipeline.models.engine.normalise import OwnStatistics
from pipeline.models.families import omnicloudmask
from pipeline.models.families.omnicloudmask import OmniCloudMask
from pipeline.models.networks import omnicloudmask as network
from pipeline.models.weights.omnicloudmask import NETWORKS
from pipeline.types import Code
from tests.models.machine import needs_bfloat16

ROLES = ("blue", "green", "red", "nir", "nir08")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Both networks with random weights, batch norms that do something, and logits that differ."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(4)
    for each in NETWORKS:
        net = network.architecture(each)
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                torch.nn.init.uniform_(module.weight, 0.7, 1.3)
                torch.nn.init.normal_(module.bias, std=0.2)
                torch.nn.init.normal_(module.running_mean, std=0.2)
                torch.nn.init.uniform_(module.running_var, 0.7, 1.3)
        torch.nn.init.normal_(net.segmentation_head[0].weight, std=0.2)
        save_file(net.state_dict(), folder / each.file.name)
    return folder


def card_of(folder, **options):
    return OmniCloudMask().resolve(
        "omnicloudmask", level="L2A", roles=ROLES, options={"weights": str(folder), **options}
    )


@pytest.fixture(scope="module")
def model(folder):
    return OmniCloudMask().load(card_of(folder))


def window(size=128, seed=1):
    rng = np.random.default_rng(seed)
    fields = np.kron(rng.random((3, size // 16, size // 16)), np.ones((16, 16)))
    return (fields + rng.normal(0, 0.05, (3, size, size))).astype(np.float32)


def with_gaps(size=128, first=20):
    data = window(size, seed=2)
    data[:, :, :first] = np.nan
    data[1, 60:80, 50:70] = np.nan
    data[2, 100:, 100:] = 0.25
    return data


# -- against the package -----------------------------------------------------------------------

ocm = pytest.importorskip("omnicloudmask.model_utils", reason="omnicloudmask is not installed")


@pytest.fixture(scope="module")
def theirs(folder):
    return [
        ocm.load_model_from_weights(
            each.encoder, folder / each.file.name, "smp", torch.device("cpu")
        )
        for each in NETWORKS
    ]


@pytest.mark.parametrize(
    ("data", "first"),
    [(window(), 0), (with_gaps(), 0), (with_gaps(first=40), 32)],
    ids=["whole", "gaps", "border"],
)
def test_logits_equal_those_of_the_package(data, first, model, theirs):
    """The package, too, moves patches until their first column holds data."""
    ours = model.predict(data[np.newaxis])[0, ..., first:]
    seen = ocm.channel_norm(data, nodata_value=np.nan)[np.newaxis, ..., first:]
    expected = ocm.infer_batch(theirs, torch.from_numpy(seen.copy()))[0].numpy()
    assert np.ptp(expected) > 1
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-4)
    assert (ours.argmax(axis=0) == expected.argmax(axis=0)).mean() > 0.9999


@pytest.mark.parametrize("scale", [1.0, 1e4])
@pytest.mark.parametrize("data", [window(), with_gaps()], ids=["whole", "gaps"])
def test_normalises_as_the_package_does(data, scale):
    data = data * np.float32(scale)
    ours = OwnStatistics().here(data)
    np.testing.assert_allclose(ours, ocm.channel_norm(data, np.nan), rtol=0, atol=2e-5)
    theirs = ocm.channel_norm_torch(torch.from_numpy(data[np.newaxis]), nodata_value=np.nan)
    np.testing.assert_allclose(ours, theirs[0].numpy(), rtol=0, atol=2e-5)


@pytest.mark.parametrize("value", [0.5, np.nan])
def test_a_band_of_one_value_or_none_is_zero(value):
    data = np.full((3, 32, 32), value, np.float32)
    assert (OwnStatistics().here(data) == 0).all()
    assert (ocm.channel_norm(data, np.nan) == 0).all()


def test_classes_are_those_of_the_package():
    constants = pytest.importorskip("omnicloudmask.constants")
    names = [code.name for code in omnicloudmask.CLASSES]
    assert names == [constants.CLASS_NAMES[index] for index in range(4)]


def test_files_are_those_of_the_package():
    with (resources.files("omnicloudmask") / "model_download_links.csv").open() as opened:
        rows = [row for row in csv.DictReader(opened) if row["version"] == "4"]
    assert {(row["file_name"], row["timm_model_name"]) for row in rows} == {
        (each.file.name, each.encoder) for each in NETWORKS
    }


# -- windows -----------------------------------------------------------------------------------


def test_windows_beside_it_change_nothing(model):
    windows = np.stack([window(seed=seed) for seed in range(2)])
    together = model.predict(windows)
    for each, scores in zip(windows, together, strict=True):
        assert np.array_equal(model.predict(each[np.newaxis])[0], scores)


def test_gaps_are_finite_and_the_window_is_left_alone(model):
    windows = with_gaps()[np.newaxis]
    before = windows.copy()
    scores = model.predict(windows)
    assert scores.shape == (1, 4, 128, 128)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    assert np.array_equal(windows, before, equal_nan=True)


def test_a_window_without_data_is_never_run(model, monkeypatch):
    windows = np.stack([window(), np.full((3, 128, 128), np.nan, np.float32)])
    seen = []
    run = model._scores
    monkeypatch.setattr(model, "_scores", lambda part: seen.append(1) or run(part))
    scores = model.predict(windows)
    assert seen == [1]
    assert (scores[1] == 0).all()
    assert (scores[0] != 0).any()


def test_infinite_reflectance_is_an_error(model):
    data = window()
    data[0, 0, 0] = np.inf
    with pytest.raises(ModelError, match="1 infinite"):
        model.predict(data[np.newaxis])


@needs_bfloat16
def test_bfloat16_agrees(folder, model):
    short = OmniCloudMask().load(card_of(folder, precision="bfloat16"))
    data = window()[np.newaxis]
    same = model.predict(data).argmax(axis=1) == short.predict(data).argmax(axis=1)
    assert same.mean() > 0.97


def test_every_batch_norm_is_folded(model):
    left = [each for each in model._net.modules() if isinstance(each, torch.nn.BatchNorm2d)]
    assert left == []
    with pytest.raises(ModelError, match="0 batch norms to fold instead of 63"):
        network.fold(model._net.nets[0], NETWORKS[0])


# -- cards and mistakes ------------------------------------------------------------------------


def test_the_card(folder):
    card = card_of(folder)
    assert card.roles == ("red", "green", "nir08")
    assert card.classes[0] is Code.CLEAR
    assert card.lattice.window_px % omnicloudmask.STRIDE == 0
    assert card.weights_sha256 != card_of("").weights_sha256


def test_takes_the_one_near_infrared_there_is():
    card = OmniCloudMask().resolve(
        "omnicloudmask", level="L2A", roles=("red", "green", "nir"), options={}
    )
    assert card.roles == ("red", "green", "nir")


def test_the_window_is_an_option(folder):
    card = card_of(folder, core_px=256, halo_px=32)
    assert (card.lattice.core_px, card.lattice.halo_px, card.lattice.window_px) == (
        256,
        32,
        320,
    )
    assert card_of(folder, core_px=256, halo_px=0).lattice.blend_px == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"level": "L1T"}, "is for L1C or L2A items; these are 'L1T'"),
        ({"roles": ("red", "green")}, "red, green, nir; the items lack nir"),
        ({"options": {"core_px": 100}}, "from 32 to 4096 in steps of 32; got 100"),
        ({"options": {"core_px": "wide"}}, "got 'wide'"),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    asked = {"level": "L2A", "roles": ROLES, "options": {}, **change}
    with pytest.raises(ModelError, match=message):
        OmniCloudMask().resolve("omnicloudmask", **asked)


def test_the_other_networks_weights_are_refused(folder, tmp_path):
    first, second = (each.file.name for each in NETWORKS)
    (tmp_path / first).write_bytes((folder / second).read_bytes())
    (tmp_path / second).write_bytes((folder / first).read_bytes())
    with pytest.raises(ModelError, match="does not hold the tu-regnety_004 U-Net"):
        OmniCloudMask().load(card_of(tmp_path))


def test_what_is_no_safetensors_file_is_refused(tmp_path):
    for each in NETWORKS:
        (tmp_path / each.file.name).write_bytes(b"pickle?")
    with pytest.raises(
        ModelError, match="tu-regnety_004|regnety_004.*cannot be read as a file of weights"
    ):
        OmniCloudMask().load(card_of(tmp_path))
