"""Networks that can be trained: bands by name, folding, masks of any partition, folders, ONNX, parameters by hand."""

import dataclasses
import json

import numpy as np
import onnxruntime
import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from pipeline.errors import ModelError
from pipeline.models import bytes_needed, load, resolve
from pipeline.models.architectures import ARCHITECTURES, AnyShape
from pipeline.models.export import export_onnx
from pipeline.models.networks.network import OfNamedBands, fold
from pipeline.models.networks.trained import as_file
from pipeline.models.wavelengths import ROLE_UM
from pipeline.models.weights.folder import FolderCard, read_card
from pipeline.types import Lattice
from tests.models.worlds import box, masked

ROLES = ("blue", "green", "red", "nir")
TINY = {
    "spectral-unet": {"channels": [8, 8, 8, 8, 8], "spectral": 8},
    "unet": {"channels": [4, 8, 8]},
    "unet++": {"channels": [4, 8, 8]},
    "segnet": {"channels": [4, 8, 8]},
    "fcn": {"channels": [4, 8, 8, 8]},
    "dl-l8s2-uv": {},
    "deeplabv3+": {"encoder": "mobilenet_v2"},
    "segformer": {"encoder": "mit_b0"},
    "sensei": {"pretrain_steps": 2, "pretrain_batch": 4},
    "sensei-2": {"size": 8, "features": 8},
    "adapted": {"filters": 8},
    "gan-cdm": {"channels": [4, 8, 8]},
}


LARGE = ("deeplabv3+", "segformer")
"""Millions of weights; the networks of SEnSeI have one of them inside."""

KINDS = [
    pytest.param(kind, marks=pytest.mark.slow if kind in LARGE else ()) for kind in sorted(TINY)
]


def shape_of(kind):
    return TypeAdapter(AnyShape).validate_python({"kind": kind, **TINY[kind]})


def trained(net):
    """As after training: norms with numbers of their own."""
    for each in net.modules():
        if isinstance(each, torch.nn.BatchNorm2d):
            each.running_mean.normal_(0, 0.3)
            each.running_var.uniform_(0.3, 2)
    return net.eval().requires_grad_(False)


def there(count):
    return torch.ones(1, count, dtype=torch.bool)


def described(roles):
    return torch.tensor([[ROLE_UM[role] for role in roles]])


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def net(kind):
    torch.manual_seed(0)
    shape = shape_of(kind)
    return trained(shape.network(len(shape.classes)))


@pytest.fixture(scope="module")
def folder(kind, net, tmp_path_factory):
    path = tmp_path_factory.mktemp("folder")
    card = FolderCard(
        name="tiny",
        version="1",
        network=shape_of(kind),
        classes=tuple(shape_of(kind).classes),
        levels=("L1C", "L2A"),
        resolution_m=(10, 60),
        weights="none worth having",
        licence="Apache-2.0",
        leaks=(),
        accuracy="",
        caveats="",
    )
    (path / "card.json").write_text(card.model_dump_json())
    (path / "model.safetensors").write_bytes(as_file(net))
    return path


def test_every_architecture_is_tested():
    assert set(TINY) == set(ARCHITECTURES)


def test_fixed_and_folded_it_is_the_same_network(net, kind):
    image = torch.rand(2, 4, 64, 96)
    whole = net(image, described(ROLES).expand(2, -1, -1), there(4).expand(2, -1))
    fixed = fold(net.fixed([ROLE_UM[role] for role in ROLES]))
    assert whole.shape == (2, len(shape_of(kind).classes), 64, 96)
    torch.testing.assert_close(fixed(image), whole, atol=2e-3, rtol=1e-3)


def test_any_order_of_bands_and_more_of_them_give_the_same(net):
    image = torch.rand(1, 4, 64, 64)
    one = net(image, described(ROLES), there(4))
    turned = [2, 0, 3, 1]
    two = net(image[:, turned], described([ROLES[n] for n in turned]), there(4))
    torch.testing.assert_close(one, two, atol=1e-3, rtol=1e-3)
    more = torch.cat([image, torch.full((1, 1, 64, 64), 0.7)], dim=1)
    present = torch.tensor([[True] * 4 + [False]])
    three = net(more, described((*ROLES, "swir16")), present)
    torch.testing.assert_close(one, three, atol=1e-3, rtol=1e-3)


def test_the_engine_gives_the_networks_scores(folder, net):
    card = resolve(str(folder), level="L2A", roles=ROLES)
    image = np.random.default_rng(0).random((1, 4, 64, 64), np.float32)
    expected = net(torch.from_numpy(image), described(ROLES), there(4)).numpy()
    np.testing.assert_allclose(load(card).predict(image), expected, atol=2e-3, rtol=1e-3)
    assert bytes_needed(card, windows=2) > bytes_needed(card, windows=1) > 0


@pytest.mark.quick(5)
def test_any_partition_gives_the_same_mask(folder, kind, world):
    model = load(resolve(str(folder), level="L2A", roles=ROLES))
    small = Smaller(model, Lattice(core_px=64, halo_px=32))
    whole = masked(world, small, box(-100, -100, 200, 200), 200)
    for top, left, height, width, chunk in (
        (-100, -100, 87, 200, 70),
        (-13, 20, 113, 80, 200),
    ):
        part = masked(world, small, box(top, left, height, width), chunk)
        same = whole[:, top + 100 : top + 100 + height, left + 100 : left + 100 + width]
        np.testing.assert_array_equal(part, same)


class Smaller:
    """A model with smaller windows, so that a small scene has many."""

    def __init__(self, model, lattice):
        self.card = dataclasses.replace(model.card, lattice=lattice)
        self.predict = model.predict


@pytest.fixture(scope="module")
def world():
    rng = np.random.default_rng(1)
    bands = {role: rng.random((640, 640), np.float32) for role in ROLES}
    y, x = np.indices((640, 640))
    for pixels in bands.values():
        # A slanted edge of the swath and a gap.
        pixels[(x + y / 3 > 460) | ((abs(y - 310) < 12) & (abs(x - 330) < 30))] = np.nan
    return bands


@pytest.mark.quick(5)
def test_as_onnx_it_gives_the_same_scores(net, folder):
    path = export_onnx(folder, ROLES, folder / "model.onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    # Other sizes than those of the example that it was exported with.
    image = torch.rand(2, 4, 96, 128)
    (scores,) = session.run(None, {"reflectance": image.numpy()})
    whole = net(image, described(ROLES).expand(2, -1, -1), there(4).expand(2, -1)).numpy()
    np.testing.assert_allclose(scores, whole, atol=2e-3, rtol=1e-3)


# -- bands by name ------------------------------------------------------------------------------


def test_bands_by_name_are_those_nearest_in_wavelength():
    net = OfNamedBands(torch.nn.Identity(), ("nir", "blue", "red"))
    # Red, the first red edge, Landsat's near infrared, coastal aerosol.
    bands = torch.tensor([[[0.655, 0.037], [0.704, 0.015], [0.865, 0.03], [0.443, 0.02]]])
    image = torch.arange(4.0).reshape(1, 4, 1, 1) / 10
    found = net(image, bands, there(4)) * 0.25 + 0.2
    # There is no blue: it looks like one of average brightness.
    torch.testing.assert_close(found.flatten(), torch.tensor([0.2, 0.2, 0.0]))


@pytest.mark.parametrize("roles", [("blue", "green", "red"), ("nir", "red", "green", "blue")])
def test_other_bands_are_refused(roles):
    net = shape_of("unet").network(6)
    with pytest.raises(ModelError, match="takes blue, green, red, nir, in this order"):
        net.fixed([ROLE_UM[role] for role in roles])


def named(tmp_path):
    torch.manual_seed(0)
    net = trained(shape_of("unet").network(2))
    card = {
        "format": 2,
        "name": "x",
        "version": "1",
        "network": {"kind": "unet", "channels": [4, 8, 8]},
        "classes": [1, 3],
        "levels": ["L2A"],
        "resolution_m": [10, 60],
        "weights": "",
        "licence": "",
        "leaks": [],
        "accuracy": "",
        "caveats": "",
    }
    (tmp_path / "card.json").write_text(json.dumps(card))
    (tmp_path / "model.safetensors").write_bytes(as_file(net))
    return str(tmp_path)


def test_a_job_gives_a_network_its_own_bands(tmp_path):
    folder = named(tmp_path)
    offered = ("red", "nir08", "green", "blue", "swir16")
    card = resolve(folder, level="L2A", roles=offered)
    assert card.roles == ("blue", "green", "red", "nir08")
    assert load(card).predict(np.zeros((1, 4, 8, 8), np.float32)).shape == (1, 2, 8, 8)
    with pytest.raises(ModelError, match="the items lack blue"):
        resolve(folder, level="L2A", roles=("red", "nir", "green"))
    with pytest.raises(ModelError, match="takes no others"):
        resolve(folder, level="L2A", roles=offered, options={"roles": "blue,green,red"})


# -- cards --------------------------------------------------------------------------------------


def test_cards_of_the_first_format_are_read(tmp_path):
    named(tmp_path)
    card = json.loads((tmp_path / "card.json").read_text())
    card |= {
        "format": 1,
        "network": "spectral-unet",
        "channels": [8, 8, 8, 8, 8],
        "spectral": 16,
    }
    (tmp_path / "card.json").write_text(json.dumps(card))
    found = read_card(tmp_path).network
    assert (found.kind, found.channels, found.spectral) == ("spectral-unet", (8,) * 5, 16)


@pytest.mark.parametrize(
    "network",
    [{"kind": "u-net"}, {"kind": "unet", "spectral": 8}, {"kind": "fcn", "roles": []}],
)
def test_shapes_that_there_are_not_are_refused(network):
    with pytest.raises(ValidationError):
        TypeAdapter(AnyShape).validate_python(network)


# -- parameters ---------------------------------------------------------------------------------


def parameters(net):
    return sum(each.numel() for each in net.parameters())


def convs(n_in, n_out):
    """Two convolutions without bias, each with a norm of two numbers a channel."""
    return 9 * n_in * n_out + 9 * n_out * n_out + 4 * n_out


def test_parameters_of_levels_by_hand():
    a, b, c = 4, 8, 8
    down = convs(4, a) + convs(a, b) + convs(b, c)
    by_hand = {
        "unet": down + convs(a + b, a) + convs(b + c, b) + 6 * a + 6,
        "unet++": down + convs(a + b, a) + convs(b + c, b) + convs(2 * a + b, a) + 6 * a + 6,
        "segnet": down + (b + 1) * a + (c + 1) * b + convs(a, a) + convs(b, b) + 6 * a + 6,
    }
    for kind, count in by_hand.items():
        assert parameters(shape_of(kind).network(6)) == count, kind
    # Four levels, of which three are scored.
    assert parameters(shape_of("fcn").network(6)) == down + convs(8, 8) + 3 * (6 * 8 + 6)
