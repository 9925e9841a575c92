"""The network that the package has: found by its name, the same in every installation, with figures that hold."""

import numpy as np
import onnxruntime
import pytest
import torch

from pipeline.datasets import labels, reader_of
from pipeline.evaluate.labelled import by_model
from pipeline.evaluate.leaks import leak
from pipeline.models import check, load, names, resolve
from pipeline.models.export import export_onnx
from pipeline.models.networks.trained import filled
from pipeline.models.wavelengths import ROLE_UM
from pipeline.models.weights.folder import SHIPPED, SHIPPED_NAMES, read_card
from pipeline.simulate.patches import make_regional_patch
from pipeline.training.judging import judge
from pipeline.types import Code

NAME = "cloudmask-si"
CLASSES = [Code(each) for each in read_card(SHIPPED / NAME).classes]
MANY = ("coastal", "blue", "green", "red", "nir", "nir08", "swir16", "swir22")
SIX = ("blue", "green", "red", "nir", "swir16", "swir22")


def test_it_is_listed_and_needs_nothing_from_elsewhere():
    assert NAME in names()
    assert {each.name for each in SHIPPED.iterdir()} == set(SHIPPED_NAMES)
    card = resolve(NAME, level="L2A", roles=MANY)
    check(card)
    assert card.name == NAME
    assert resolve(card.name, level="L2A", roles=MANY, options=card.options) == card


def test_one_that_was_loaded_for_other_bands_is_another():
    cards = [
        resolve(NAME, level="L2A", roles=roles) for roles in (SIX, SIX[:4], (*SIX[:3], "nir08"))
    ]
    loaded = [load(card) for card in cards]
    assert [each.card.roles for each in loaded] == [card.roles for card in cards]
    assert load(cards[0]) is loaded[0]


def test_no_path_of_an_installation_is_in_its_fingerprint():
    card = resolve(NAME, level="L1C", roles=MANY)
    assert not card.options["weights"]
    assert str(SHIPPED) not in repr(card)


@pytest.mark.parametrize(
    ("offered", "taken"),
    [
        (MANY, SIX),
        (("red", "nir", "blue", "green"), SIX[:4]),
        (
            ("blue", "green", "red", "nir08", "swir16"),
            ("blue", "green", "red", "nir08", "swir16"),
        ),
        (("green", "red", "nir08"), ("green", "red", "nir08")),
    ],
)
def test_it_takes_what_bands_there_are(offered, taken):
    assert resolve(NAME, level="L2A", roles=offered).roles == taken


def test_its_card_says_what_it_has_learnt_from():
    card = resolve(NAME, level="L2A", roles=MANY)
    assert leak(card, "alberta").startswith("leak: cloudmask-si was trained on")
    assert leak(card, "sparcs").startswith("leak: none")
    assert "biome-patches: trained on all images" in read_card(SHIPPED / NAME).leaks


def test_it_is_small():
    assert (SHIPPED / NAME / "model.safetensors").stat().st_size < 10 * 2**20


def test_as_onnx_it_finds_the_same(tmp_path):
    path = export_onnx(SHIPPED / NAME, SIX, tmp_path / "net.onnx")
    windows = np.random.default_rng(1).random((1, 6, 64, 64), np.float32) * 0.4
    (scores,) = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(
        None, {"reflectance": windows}
    )
    net = filled(read_card(SHIPPED / NAME), (SHIPPED / NAME / "model.safetensors").read_bytes())
    bands = torch.tensor([[ROLE_UM[role] for role in SIX]])
    whole = net(torch.from_numpy(windows), bands, torch.ones(1, 6, dtype=torch.bool)).numpy()
    np.testing.assert_allclose(scores, whole, atol=2e-3, rtol=1e-3)


def test_on_regions_that_it_has_not_seen_it_finds_clouds_and_shadows():
    """Of another seed than those of its training and its checks; figures as in docs/training.md, less what eight patches vary."""
    net = filled(read_card(SHIPPED / NAME), (SHIPPED / NAME / "model.safetensors").read_bytes())
    patches = [make_regional_patch(90_001, index) for index in range(8)]
    found = judge(net, patches, torch.device("cpu"), CLASSES).measures
    assert found["cloud_f1"] > 0.94
    assert found["shadow_f1"] > 0.8
    assert found["thin_recall"] > 0.5
    assert found["clear_kept"] > 0.9


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_on_real_shadows_that_it_has_not_seen_it_is_seldom_wrong(shared_data):
    """Alberta, 27 June 2020, which its training left out: precision .94, recall .63."""
    reader = reader_of("alberta")
    masker = by_model(load(resolve(NAME, level="L2A", roles=reader.card.roles)), reader.card)
    folder = shared_data / "clouds" / "s2_shadow_alberta"
    (image,) = (
        each
        for each in reader.read(folder, reader.card.roles)
        if each.id.startswith("2020-06-27")
    )
    found = masker.predict(image) == Code.CLOUD_SHADOW
    shadow, clear = image.labels == labels.SHADOW, image.labels & labels.SHADOW == 0
    clear &= image.labels > labels.NO_DATA
    assert (found & shadow).sum() > 0.85 * (found & (shadow | clear)).sum()
    assert (found & shadow).sum() > 0.55 * shadow.sum()


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_windows_placed_elsewhere_change_next_to_nothing(shared_data):
    """A halo cut closer than the network sees changes few pixels, beside the window's edge."""
    card = resolve(NAME, level="L2A", roles=SIX[:4])
    halo, core = card.lattice.halo_px, 128
    images = list(reader_of("chips").read(shared_data / "labelled"))
    net = load(card)
    changed = []
    for image in images:
        whole = net.predict(image.pixels[np.newaxis])[0].argmax(axis=0)
        for top, left in ((128, 128), (192, 256), (256, 160)):
            window = (slice(y - halo, y + core + halo) for y in (top, left))
            cut = net.predict(np.ascontiguousarray(image.pixels[np.newaxis, :, *window]))[0]
            inner = (slice(halo, halo + core),) * 2
            there = whole[top : top + core, left : left + core]
            changed.append((cut.argmax(axis=0)[inner] != there).mean())
    assert np.mean(changed) < 0.003
