"""s2cloudless: the masks of its own package, in pieces as in one."""

import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.models.families import s2cloudless
from pipeline.models.families.s2cloudless import S2cloudless
from pipeline.types import Code


def scene(height, width, seed=5):
    """Ten bands of meadows under clouds of all thicknesses: probabilities on both sides."""
    rng = np.random.default_rng(seed)
    ground = np.array([0.1, 0.08, 0.06, 0.1, 0.3, 0.32, 0.1, 0.002, 0.18, 0.1])
    cloud = np.array([0.5, 0.5, 0.5, 0.52, 0.55, 0.55, 0.2, 0.02, 0.4, 0.3])
    cover = np.kron(rng.random((height // 4, width // 4)) ** 2, np.ones((4, 4)))
    mixed = ground[:, None, None] + cover * (cloud - ground)[:, None, None]
    return (mixed * rng.normal(1, 0.05, mixed.shape)).clip(1e-3).astype(np.float32)


def card_of(**options):
    return S2cloudless().resolve(
        "s2cloudless", level="L1C", roles=s2cloudless.ROLES, options=options
    )


def masks_of(model, windows):
    scores = model.predict(windows)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
    return scores.argmax(axis=1)


def test_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(s2cloudless, "PACKAGE", "no_such_package")
    s2cloudless.trees_file.cache_clear()
    try:
        with pytest.raises(ModelError, match=r"pip install 'cloudmask\[s2cloudless\]'"):
            card_of()
    finally:
        s2cloudless.trees_file.cache_clear()


def test_level_and_bands_are_checked_first():
    provider = S2cloudless()
    with pytest.raises(ModelError, match="is for L1C items"):
        provider.resolve("s2cloudless", level="L2A", roles=s2cloudless.ROLES, options={})
    roles = set(s2cloudless.ROLES) - {"nir09", "cirrus"}
    with pytest.raises(ModelError, match="the items lack nir09, cirrus"):
        provider.resolve("s2cloudless", level="L1C", roles=roles, options={})


# -- against the package -----------------------------------------------------------------------

pytest.importorskip("lightgbm", reason="the extra s2cloudless is not installed")


@pytest.fixture(scope="module")
def detector():
    package = pytest.importorskip("s2cloudless", reason="the extra is not installed")
    return package.S2PixelCloudDetector


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"threshold": 0.6, "average_px": 0, "dilation_px": 0},
        {"threshold": 0.5, "average_px": 4, "dilation_px": 2},
    ],
)
def test_masks_are_those_of_the_package(options, detector):
    data = scene(96, 128)
    model = S2cloudless().load(card_of(**options))
    theirs = detector(
        threshold=float(model.card.options["threshold"]),
        average_over=int(model.card.options["average_px"]),
        dilation_size=int(model.card.options["dilation_px"]),
    )
    expected = theirs.get_cloud_masks(np.moveaxis(data, 0, -1)[np.newaxis])[0]
    assert 0.1 < expected.mean() < 0.9
    assert np.array_equal(masks_of(model, data[np.newaxis])[0], expected)


def test_disks_are_those_of_the_package():
    utils = pytest.importorskip("s2cloudless.utils")
    for radius in range(8):
        drawn = np.zeros((2 * radius + 1,) * 2, np.uint8)
        for y, x in s2cloudless.disk(radius):
            drawn[y + radius, x + radius] = 1
        assert np.array_equal(drawn, utils.cv2_disk(radius))


def test_bands_are_those_of_the_package():
    utils = pytest.importorskip("s2cloudless.utils")
    names = ["B01", "B02", "B04", "B05", "B08", "B8A", "B09", "B10", "B11", "B12"]
    assert names == utils.MODEL_BANDS
    assert len(s2cloudless.ROLES) == len(names)


@pytest.mark.parametrize("average_px", [1, 3])
def test_pieces_equal_the_whole_scene_bit_for_bit(average_px):
    model = S2cloudless().load(card_of(average_px=average_px, dilation_px=2))
    halo = model.card.lattice.halo_px
    assert halo == average_px + 2
    data = scene(64, 80)
    data[:, 20:40, 30:50] = np.nan
    data = np.pad(data, ((0, 0), (halo, halo), (halo, halo)), constant_values=np.nan)
    whole = model.predict(data[np.newaxis])[0, :, halo:-halo, halo:-halo]
    for core in (16, 20):
        for y in range(0, 64 - core + 1, core):
            for x in range(0, 80, core):
                window = data[:, y : y + core + 2 * halo, x : x + core + 2 * halo]
                piece = model.predict(window[np.newaxis])[0, :, halo:-halo, halo:-halo]
                assert np.array_equal(piece, whole[:, y : y + core, x : x + core])


def test_no_data_is_zero_and_finite(detector):
    data = scene(16, 16)
    data[3, 4:8] = np.nan
    data[:, 12:] = np.nan
    model = S2cloudless().load(card_of())
    filled = np.nan_to_num(data)
    assert np.array_equal(model.predict(data[np.newaxis]), model.predict(filled[np.newaxis]))
    expected = detector().get_cloud_masks(np.moveaxis(filled, 0, -1)[np.newaxis])[0]
    assert np.array_equal(masks_of(model, data[np.newaxis])[0], expected)


class Fixed:
    """Trees that give what they are told."""

    def __init__(self, values):
        self.values = values

    def predict(self, pixels, *, num_threads):
        return np.concatenate([[0.0], self.values])


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.4, 1 / 3, 0.9])
def test_scores_cut_where_the_threshold_does(threshold):
    t = np.float32(threshold)
    values = np.array([0, np.nextafter(t, 0), t, np.nextafter(t, 1), 1], np.float32)
    card = card_of(threshold=threshold, average_px=0, dilation_px=0)
    model = s2cloudless.S2cloudlessModel(card, Fixed(values))
    scores = model.predict(np.ones((1, 10, 1, len(values)), np.float32))[0, :, 0]
    assert scores.argmax(axis=0).tolist() == [0, 0, 0, 1, 1]
    assert scores[1].tolist() == sorted(scores[1])
    assert (scores[1, 0], scores[1, -1]) == (0, 1)


def test_other_trees_are_refused(monkeypatch, tmp_path):
    card = card_of()
    other = tmp_path / "trees.txt"
    other.write_text("tree")
    monkeypatch.setattr(s2cloudless, "trees_file", lambda: other)
    with pytest.raises(ModelError, match="have the checksum"):
        S2cloudless().load(card)


def test_the_card():
    card = card_of()
    assert card.lattice.halo_px == 2
    assert card.classes == (Code.CLEAR, Code.THICK_CLOUD)
    assert card.options == {"threshold": "0.4", "average_px": "1", "dilation_px": "1"}
    with pytest.raises(ModelError, match="between 0 and 1; got 1.5"):
        card_of(threshold=1.5)
