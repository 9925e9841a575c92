"""The network for any bands: laws of bands, folding, reach, ONNX."""

import numpy as np
import onnxruntime
import pytest
import torch

from pipeline.errors import ModelError
from pipeline.models import resolve
from pipeline.models.architectures import SpectralUnetShape
from pipeline.models.export import export_onnx
from pipeline.models.networks.network import fold
from pipeline.models.networks.spectral_unet import (
    REACH_PX,
    Fixed,
    SpectralUnet,
    Width,
)
from pipeline.models.networks.trained import as_file
from pipeline.models.wavelengths import ROLE_UM
from pipeline.models.weights.folder import FolderCard

ROLES = ("blue", "green", "red", "nir")
NARROW = Width(channels=(8, 8, 8, 8, 8), spectral=16)


def network(width=NARROW):
    torch.manual_seed(0)
    net = SpectralUnet(6, width)
    # As after training: norms with numbers of their own.
    for each in net.modules():
        if isinstance(each, torch.nn.BatchNorm2d):
            each.running_mean.normal_(0, 0.3)
            each.running_var.uniform_(0.3, 2)
    return net.eval().requires_grad_(False)


def described(roles):
    return torch.tensor([[ROLE_UM[role] for role in roles]])


def there(count):
    return torch.ones(1, count, dtype=torch.bool)


@pytest.fixture(scope="module")
def net():
    return network()


@pytest.fixture(scope="module")
def image():
    return torch.rand(1, 4, 64, 64)


def test_the_order_of_bands_does_not_matter(net, image):
    turned = [2, 0, 3, 1]
    one = net(image, described(ROLES), there(4))
    two = net(image[:, turned], described([ROLES[n] for n in turned]), there(4))
    torch.testing.assert_close(one, two, atol=1e-4, rtol=1e-4)


def test_a_band_that_is_absent_changes_nothing(net, image):
    more = torch.cat([image, torch.full((1, 2, 64, 64), 0.7)], dim=1)
    bands = described((*ROLES, "swir16", "swir22"))
    present = torch.tensor([[True] * 4 + [False] * 2])
    torch.testing.assert_close(
        net(more, bands, present), net(image, bands[:, :4], there(4)), atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize("roles", [("red",), ("nir", "green", "swir22"), tuple(ROLE_UM)])
def test_any_bands_give_scores(net, roles):
    scores = net(torch.rand(1, len(roles), 32, 32), described(roles), there(len(roles)))
    assert scores.shape == (1, 6, 32, 32)
    assert torch.isfinite(scores).all()


def test_fixed_and_folded_it_is_the_same_network(net, image):
    whole = net(image, described(ROLES), there(4))
    fixed = fold(Fixed(net, [ROLE_UM[role] for role in ROLES]))
    torch.testing.assert_close(fixed(image), whole, atol=1e-3, rtol=1e-3)
    assert not [m for m in fixed.modules() if isinstance(m, torch.nn.BatchNorm2d)]


def test_nothing_reaches_beyond_what_is_said(net):
    size = 2 * REACH_PX + 100
    size += -size % 16
    fixed = fold(Fixed(net, [ROLE_UM[role] for role in ROLES]))
    image = torch.rand(1, 4, size, size)
    other = image.clone()
    other[..., 0] += 0.5
    differs = (fixed(image) != fixed(other)).any(dim=1)[0].any(dim=0)
    assert differs[0]
    assert not differs[REACH_PX + 1 :].any()


def test_it_is_small():
    count = sum(each.numel() for each in SpectralUnet(6).parameters())
    assert count < 1_000_000


@pytest.fixture
def folder(net, tmp_path):
    card = FolderCard(
        name="tiny",
        version="1",
        network=SpectralUnetShape(channels=NARROW.channels, spectral=NARROW.spectral),
        classes=(1, 2, 3, 4, 5, 6),
        levels=("L1C", "L2A"),
        resolution_m=(10, 60),
        weights="none worth having",
        licence="Apache-2.0",
        leaks=(),
        accuracy="",
        caveats="",
    )
    (tmp_path / "card.json").write_text(card.model_dump_json())
    (tmp_path / "model.safetensors").write_bytes(as_file(net))
    return tmp_path


def test_as_onnx_it_gives_the_same_scores(net, folder, image):
    path = export_onnx(folder, ROLES, folder / "model.onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (scores,) = session.run(None, {"reflectance": image.numpy()})
    whole = net(image, described(ROLES), there(4)).numpy()
    np.testing.assert_allclose(scores, whole, atol=1e-3, rtol=1e-3)


def test_a_folder_is_found_by_its_path_and_again_by_its_card(folder):
    card = resolve(str(folder), level="L1C", roles=ROLES)
    assert card.name == "trained-tiny"
    again = resolve(card.name, level="L1C", roles=ROLES, options=card.options)
    assert again == card


@pytest.mark.parametrize(
    ("roles", "options", "words"),
    [
        (("red", "nir"), {}, "needs 3 bands"),
        (ROLES, {"roles": "blue,green,swir16"}, "lack swir16"),
        (ROLES, {"roles": "fog,red,nir"}, "fog is no optical band"),
    ],
)
def test_bands_that_do_not_do_are_named(folder, roles, options, words):
    with pytest.raises(ModelError, match=words):
        resolve(str(folder), level="L1C", roles=roles, options=options)


def test_what_is_no_model_folder_says_so(tmp_path):
    with pytest.raises(ModelError, match="no model folder"):
        resolve(str(tmp_path), level="L1C", roles=ROLES)
    (tmp_path / "card.json").write_text('{"name": "x"}')
    with pytest.raises(ModelError, match=r"card.json: version"):
        resolve(str(tmp_path), level="L1C", roles=ROLES)


def test_filters_of_any_bands_are_of_length_one(net):
    """Else sets of bands differ in brightness, and the norm behind sees little else."""
    for count in (1, 3, 4):
        weights, bias = net.bands(described(ROLES[:count]), there(count))
        np.testing.assert_allclose(weights.square().sum(dim=2), 1, rtol=1e-5)
        assert bias.abs().max() <= 1
