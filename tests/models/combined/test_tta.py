"""`tta`: turns and their undoing, the stopping rule by hand, and one window's answer beside others."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from pipeline.errors import ModelError
from pipeline.models import registry
from pipeline.models.combined import tta
from pipeline.models.combined.tta import TURNS, Tta, TtaModel
from pipeline.models.families import provider as providers
from pipeline.models.families.product_masks import ProductMasks
from pipeline.models.families.ukis_csmask import UkisCsmask
from pipeline.testing.models import fake_card
from pipeline.types import Code, Lattice

SIZE = 64
CLASSES = (Code.CLEAR, Code.THICK_CLOUD)


@pytest.fixture(autouse=True)
def all_providers(monkeypatch):
    monkeypatch.setattr(providers, "OWN", (UkisCsmask(), ProductMasks(), Tta()))


class Counting:
    """Bright is cloud; a slope down the window makes the answer depend on how it is turned."""

    def __init__(self, slope=0.0, kind="probabilities"):
        card = fake_card("counting", Lattice(core_px=SIZE, halo_px=0), ("blue",))
        self.card = replace(card, classes=CLASSES, scores=kind)
        self.slope = slope
        self.asked = 0

    def predict(self, windows):
        self.asked += len(windows)
        ramp = np.linspace(-self.slope, self.slope, windows.shape[-2], dtype=np.float32)
        cloud = np.clip(np.nan_to_num(windows[:, 0]) + ramp[:, np.newaxis], 0.01, 0.99)
        scores = np.stack([1 - cloud, cloud], axis=1)
        return np.log(scores) if self.card.scores == "logits" else scores


def wrapped(model, depth=7):
    options = {"model": "counting", "options": "{}", "depth": str(depth)}
    card = replace(model.card, name="tta", scores="probabilities", options=options)
    return TtaModel(card, model)


def calm():
    window = np.full((1, SIZE, SIZE), 0.2, np.float32)
    window[:, 20:40, 20:40] = 0.8
    return window


def specked(n=5):
    """Lone bright pixels: with 64 x 64 px more than 0.156 of them is restless."""
    window = calm()
    for index in range(n):
        window[0, 3 + 5 * index, 50] = 0.8
    return window


@given(st.sampled_from(TURNS), st.integers(2, 6))
def test_every_turn_is_undone(turn, size):
    windows = np.arange(2 * 3 * size * size, dtype=np.float32).reshape(2, 3, size, size)
    assert np.array_equal(tta.turn_back(tta.turn_by(windows, turn), turn), windows)


def test_the_turns_are_eight_and_all_different():
    window = np.arange(9).reshape(1, 3, 3)
    turned = {tta.turn_by(window, turn).tobytes() for turn in TURNS}
    assert len(turned) == 8
    assert TURNS[:5] == ((0, False), (1, False), (2, False), (3, False), (0, True))
    assert tta.turn_by(window, (1, False))[0].tolist() == [[2, 5, 8], [1, 4, 7], [0, 3, 6]]
    assert tta.turn_by(window, (1, True))[0].tolist() == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]


def test_calm_windows_are_asked_once():
    model = Counting()
    scores = wrapped(model).predict(calm()[np.newaxis])
    assert model.asked == 1
    assert np.array_equal(scores, Counting().predict(calm()[np.newaxis]))


@pytest.mark.parametrize("depth", range(8))
def test_restless_windows_are_asked_as_often_as_allowed(depth):
    model = Counting()
    wrapped(model, depth).predict(specked()[np.newaxis])
    assert model.asked == depth + 1


def test_the_answer_is_the_mean_over_turns():
    slope = 0.05
    scores = wrapped(Counting(slope), depth=3).predict(specked()[np.newaxis])[0]
    expected = np.mean(
        [
            tta.turn_back(
                Counting(slope).predict(tta.turn_by(specked(), turn)[np.newaxis]), turn
            )
            for turn in TURNS[:4]
        ],
        axis=0,
    )[0]
    np.testing.assert_allclose(scores, expected, atol=1e-6)
    # Four quarters of a ramp cancel out.
    np.testing.assert_allclose(scores[1], specked()[0], atol=1e-6)


def test_logits_become_probabilities_before_they_are_averaged():
    one = wrapped(Counting(0.3, "probabilities")).predict(specked()[np.newaxis])
    other = wrapped(Counting(0.3, "logits")).predict(specked()[np.newaxis])
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_windows_beside_it_change_nothing():
    windows = np.stack([calm(), specked(), calm() * 0.5, specked(9)])
    model = Counting(0.05)
    together = wrapped(model).predict(windows)
    assert model.asked == 2 * 1 + 2 * 8
    for window, scores in zip(windows, together, strict=True):
        assert np.array_equal(wrapped(Counting(0.05)).predict(window[np.newaxis])[0], scores)


def test_it_stops_as_soon_as_the_answer_is_calm():
    class Settling(Counting):
        """Sees specks at its first look only."""

        def predict(self, windows):
            return super().predict(windows if self.asked == 0 else np.full_like(windows, 0.1))

    model = Settling()
    wrapped(model).predict(np.clip(specked(), 0, 0.55)[np.newaxis])
    assert model.asked == 2


# -- isolated pixels ---------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1), st.integers(2, 4))
def test_isolated_pixels_are_those_alone_among_their_neighbours(seed, n_classes):
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, n_classes, (9, 11))
    missing = rng.random((9, 11)) < 0.1
    around = np.ones((3, 3))
    around[1, 1] = 0
    expected = 0
    for number in range(n_classes):
        here = classes == number
        # Beyond the edge is class 0.
        near = ndimage.convolve(
            here.astype(float), around, mode="constant", cval=float(number == 0)
        )
        expected += np.count_nonzero(here & (near == 0) & ~missing)
    assert tta.n_isolated(classes, missing) == expected


def test_the_threshold_is_ten_in_512():
    scores = np.zeros((2, 512, 512), np.float32)
    for index in range(10):
        scores[1, 4 * index + 2, 9] = 1
    missing = np.zeros((512, 512), bool)
    assert not tta.is_noisy(scores, missing)
    scores[1, 300, 9] = 1
    assert tta.is_noisy(scores, missing)
    missing[300, 9] = True
    assert not tta.is_noisy(scores, missing)


def test_what_stands_in_a_gap_keeps_nobody_company():
    """Whatever a model says there: eleven pixels, each beside one without data that says the same."""
    scores = np.zeros((2, 512, 512), np.float32)
    missing = np.zeros((512, 512), bool)
    for index in range(11):
        scores[1, 4 * index + 2, 9:11] = 1
        missing[4 * index + 2, 10] = True
    assert tta.is_noisy(scores, missing)
    assert not tta.is_noisy(scores, np.zeros_like(missing))


# -- resolving ---------------------------------------------------------------------------------

ROLES = ("blue", "green", "red", "nir", "scl")


def resolve(**options):
    return Tta().resolve("tta", level="L2A", roles=ROLES, options=options)


def test_the_card_is_the_models_with_its_own_name():
    card = resolve(model="ukis-csmask", depth=3)
    inner = registry.resolve("ukis-csmask", level="L2A", roles=ROLES)
    assert (card.name, card.scores) == ("tta", "probabilities")
    for field in ("roles", "lattice", "classes", "weights_sha256", "licence", "batch"):
        assert getattr(card, field) == getattr(inner, field)
    assert card.options["model"] == "ukis-csmask-4b-l2a"
    assert json.loads(card.options["options"]) == dict(inner.options)
    again = Tta().resolve("tta", level="L2A", roles=card.roles, options=card.options)
    assert again == card


def test_loads_and_runs_the_model_inside():
    card = resolve(model="scl")
    scores = Tta().load(card).predict(np.full((1, 1, 16, 16), 9, np.float32))
    assert card.classes[scores[0, :, 0, 0].argmax()] is Code.THICK_CLOUD
    assert Tta().bytes_needed(card, windows=1) > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "tta needs its option model"),
        ({"model": "nonesuch"}, "there is no model 'nonesuch'"),
        ({"model": "scl", "depth": 8}, "a whole number from 0 to 7; got 8"),
        ({"model": "scl", "times": 8}, "no option 'times'; it has model, options, depth"),
        ({"model": "scl", "options": {"size": 3}}, "scl has no option 'size'"),
        ({"model": 3}, "a member of tta is a name or"),
    ],
)
def test_what_is_wrong_is_named(options, message):
    with pytest.raises(ModelError, match=message):
        resolve(**options)
