"""The torch twin of DL-L8S2-UV: against Keras' own numbers, against plain numpy, and in pieces."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.models.families import dl_l8s2_uv
from pipeline.models.families.dl_l8s2_uv import FILES, RGBI, RGBISWIR, DlL8s2Uv
from pipeline.models.networks import dl_l8s2_uv as network
from pipeline.types import Code
from tests.models.machine import PRECISIONS
from tests.models.oracle import read_reference

SIX = dl_l8s2_uv.BANDS[RGBISWIR]
NETWORKS = (RGBI, RGBISWIR)

# Sigmoid of `golden_window` by Keras 3.15 with torch as its backend, layers built from the files' own
# description of them.
KERAS = Path(__file__).parent / "dl_l8s2_uv_keras.npz"


@pytest.fixture(scope="module")
def folder(shared_data):
    return shared_data / "weights"


def card_of(name, folder, **options):
    return DlL8s2Uv().resolve(
        name, level="L1C", roles=SIX, options={"weights": str(folder), **options}
    )


VEGETATION = (0.08, 0.08, 0.06, 0.30, 0.18, 0.10)


def scene(n_bands, height, width, seed=3):
    """Meadows under white clouds of all thicknesses, with texture."""
    rng = np.random.default_rng(seed)
    cover = np.kron(rng.random((height // 16, width // 16)) ** 2, np.ones((16, 16)))
    ground = np.array(VEGETATION[:n_bands])[:, np.newaxis, np.newaxis]
    texture = rng.normal(0, 0.01, (n_bands, height, width))
    return (ground + cover * (0.8 - ground) + texture).astype(np.float32)


def golden_window(n_bands):
    return scene(n_bands, 48, 64, seed=7)


# -- the same network --------------------------------------------------------------------------


def conv(x, kernel, bias=0.0, *, depthwise=False):
    """A convolution of x (y, x, in) with a Keras kernel, zeros beyond the edge."""
    ky, kx = kernel.shape[:2]
    padded = np.pad(x, ((ky // 2,) * 2, (kx // 2,) * 2, (0, 0)))
    out = 0.0
    for i in range(ky):
        for j in range(kx):
            piece = padded[i : i + x.shape[0], j : j + x.shape[1]]
            out = out + (
                piece * kernel[i, j, :, 0]
                if depthwise
                else np.tensordot(piece, kernel[i, j], 1)
            )
    return out + bias


def norm(x, a, name):
    scale = a[f"{name}/gamma"] / np.sqrt(a[f"{name}/moving_variance"] + 1e-3)
    return (x - a[f"{name}/moving_mean"]) * scale + a[f"{name}/beta"]


def level(x, a, name):
    for number in (1, 2):
        at = f"{name}_conv_{number}"
        x = conv(x, a[f"{at}/depthwise_kernel"], depthwise=True)
        x = conv(x, a[f"{at}/pointwise_kernel"], a[f"{at}/bias"])
        x = np.maximum(norm(x, a, f"{name}_bn_{number}"), 0)
    return x


def pool(x):
    return x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2, -1).max(axis=(1, 3))


def up(x, a, name):
    kernel = a[f"{name}/kernel"]
    out = np.einsum("yxi,uvoi->yuxvo", x, kernel)
    return out.reshape(2 * x.shape[0], 2 * x.shape[1], -1) + a[f"{name}/bias"]


def numpy_logit(window, arrays):
    """The network as its publication draws it, in float64."""
    a = {name: values.astype(np.float64) for name, values in arrays.items()}
    x = conv(
        np.moveaxis(window.astype(np.float64), 0, -1),
        a["normalization/kernel"],
        a["normalization/bias"],
    )
    full = level(x, a, "input")
    half = level(pool(full), a, "pool1")
    quarter = level(pool(half), a, "pool2")
    half = level(np.concatenate([up(quarter, a, "upconv1"), half], -1), a, "up1")
    full = level(np.concatenate([up(half, a, "upconv2"), full], -1), a, "up2")
    return conv(full, a["linear_model/kernel"], a["linear_model/bias"])[..., 0]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("name", NETWORKS)
def test_equals_keras(name, folder):
    card = card_of(name, folder)
    window = golden_window(len(card.roles))
    scores = DlL8s2Uv().load(card).predict(window[np.newaxis])[0]
    ours = sigmoid(scores[0].astype(np.float64) - scores[1])
    with np.load(KERAS) as golden:
        np.testing.assert_allclose(ours, golden[name], rtol=0, atol=2e-5)
        assert ((ours >= 0.5) == (golden[name] >= 0.5)).all()
        assert 0.1 < (golden[name] >= 0.5).mean() < 0.9


@pytest.mark.parametrize("name", NETWORKS)
def test_equals_the_layers_written_out_in_numpy(name, folder):
    card = card_of(name, folder)
    window = golden_window(len(card.roles))
    arrays = network.read_keras((folder / FILES[name].name).read_bytes(), name)
    scores = DlL8s2Uv().load(card).predict(window[np.newaxis])[0]
    np.testing.assert_allclose(scores[0], numpy_logit(window, arrays), rtol=1e-4, atol=1e-3)
    assert (scores[1] == 0).all()


@pytest.mark.parametrize(("name", "n_parameters"), [(RGBI, 97_049), (RGBISWIR, 97_153)])
def test_has_the_parameters_of_the_file(name, n_parameters, folder):
    arrays = network.read_keras((folder / FILES[name].name).read_bytes(), name)
    net = network.build(arrays, 6 if name == RGBISWIR else 4, name)
    state = {key: each for key, each in net.state_dict().items() if "num_batches" not in key}
    assert sum(each.numel() for each in state.values()) == n_parameters


# -- any partition -----------------------------------------------------------------------------


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("core", [(64, 64), (128, 32), (100, 100)])
def test_pieces_equal_the_whole_scene_bit_for_bit(core, precision, folder):
    model = DlL8s2Uv().load(card_of(RGBISWIR, folder, precision=precision))
    halo = model.card.lattice.halo_px
    height, width = 304, 256
    data = scene(6, height, width)
    data[:, 90:120, 40:200] = np.nan
    data = np.pad(data, ((0, 0), (halo, halo), (halo, halo)), constant_values=np.nan)
    whole = model.predict(data[np.newaxis])[0, :, halo:-halo, halo:-halo]
    for y in range(0, height, core[0]):
        for x in range(0, width, core[1]):
            window = data[:, y : y + core[0] + 2 * halo, x : x + core[1] + 2 * halo]
            piece = model.predict(window[np.newaxis])[0, :, halo:-halo, halo:-halo]
            there = whole[:, y : y + core[0], x : x + core[1]]
            assert np.array_equal(piece[:, : there.shape[1], : there.shape[2]], there)


def test_sees_as_far_as_it_says(folder):
    model = DlL8s2Uv().load(card_of(RGBI, folder))
    plain = np.full((1, 4, 96, 96), 0.3, np.float32)
    touched = plain.copy()
    # The first pixel of a group of four: the farthest that poolings carry it.
    touched[:, :, 48, 48] = 0.9
    changed = np.argwhere((model.predict(plain) != model.predict(touched)).any(axis=(0, 1)))
    reach = np.abs(changed - 48).max()
    assert 20 <= reach <= dl_l8s2_uv.REACH_PX <= model.card.lattice.halo_px


def test_windows_beside_it_change_nothing(folder):
    model = DlL8s2Uv().load(card_of(RGBI, folder))
    windows = np.stack([scene(4, 64, 64, seed) for seed in range(3)])
    together = model.predict(windows)
    for window, scores in zip(windows, together, strict=True):
        assert np.array_equal(model.predict(window[np.newaxis])[0], scores)


def test_lattice_starts_windows_where_poolings_agree():
    lattice = dl_l8s2_uv.LATTICE
    for px in (lattice.core_px, lattice.halo_px, lattice.shift_px):
        assert px % dl_l8s2_uv.ALIGNMENT_PX == 0


# -- cards and mistakes ------------------------------------------------------------------------


def test_a_tie_is_cloud(folder):
    card = card_of(RGBI, folder)
    assert card.classes[np.argmax([0.0, 0.0])] is Code.THICK_CLOUD


def test_the_family_takes_the_most_bands_there_are():
    provider = DlL8s2Uv()
    for roles, name in ((SIX, RGBISWIR), (SIX[:4], RGBI)):
        card = provider.resolve("dl-l8s2-uv", level="L1C", roles=roles, options={})
        assert card.name == name
        assert card.roles == dl_l8s2_uv.BANDS[name]
        assert card.weights_sha256 == FILES[name].sha256


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"level": "L2A"}, r"is for L1C items; these are 'L2A'"),
        ({"roles": SIX[:3]}, "the items lack nir"),
        ({"options": {"core": 3}}, "no option 'core'; it has precision, device, weights"),
        (
            {"options": {"precision": "float8"}},
            "one of float32, bfloat16, float16, auto; got 'float8'",
        ),
        (
            {"options": {"weights": "nowhere.hdf5"}},
            "nowhere.hdf5 is neither a file nor a folder",
        ),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    asked = {"level": "L1C", "roles": SIX, "options": {}, **change}
    with pytest.raises(ModelError, match=message):
        DlL8s2Uv().resolve("dl-l8s2-uv", **asked)


def test_the_published_checksum_is_that_of_the_file(folder):
    card = card_of(RGBISWIR, folder)
    assert card.weights_sha256 == FILES[RGBISWIR].sha256
    assert (folder / FILES[RGBISWIR].name).stat().st_size == FILES[RGBISWIR].size_bytes


def test_another_networks_file_is_refused(folder):
    card = card_of(RGBI, folder / FILES[RGBISWIR].name)
    with pytest.raises(ModelError, match="dl-l8s2-uv-rgbi are those of another network"):
        DlL8s2Uv().load(card)


def test_what_is_no_keras_file_is_refused(tmp_path):
    path = tmp_path / "weights.hdf5"
    path.write_bytes(b"no HDF5")
    with pytest.raises(ModelError, match="no Keras HDF5 file"):
        DlL8s2Uv().load(card_of(RGBI, path))


def test_a_file_that_changed_meanwhile_is_refused(folder, tmp_path):
    path = tmp_path / "weights.hdf5"
    path.write_bytes((folder / FILES[RGBI].name).read_bytes())
    card = card_of(RGBI, path)
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(ModelError, match="changed since the model was chosen"):
        DlL8s2Uv().load(card)


@pytest.mark.parametrize("shape", [(1, 4, 62, 64), (1, 3, 64, 64), (4, 64, 64)])
def test_windows_of_another_shape_are_refused(shape, folder):
    model = DlL8s2Uv().load(card_of(RGBI, folder))
    with pytest.raises(ModelError, match=r"takes float32 windows \(N, 4, H, W\)"):
        model.predict(np.zeros(shape, np.float32))


# -- real images -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sensor", "name", "overall_accuracy", "f1"),
    [
        ("sentinel2", RGBISWIR, 0.964, 0.908),
        ("sentinel2", RGBI, 0.916, 0.768),
        ("landsat7", RGBISWIR, 0.867, 0.776),
        ("landsat7", RGBI, 0.837, 0.708),
    ],
)
def test_scores_on_real_images(sensor, name, overall_accuracy, f1, shared_data, folder):
    window, classes = read_reference(shared_data, sensor)
    model = DlL8s2Uv().load(card_of(name, folder))
    scores = model.predict(window[np.newaxis, : len(model.card.roles)])[0]
    cloud, truth = scores[0] >= scores[1], classes == 1
    found = 2 * np.count_nonzero(cloud & truth) / (cloud.sum() + truth.sum())
    assert (cloud == truth).mean() == pytest.approx(overall_accuracy, abs=2e-3)
    assert found == pytest.approx(f1, abs=2e-3)
