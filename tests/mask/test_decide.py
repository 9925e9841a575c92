"""The decision kernel: an oracle that decides pixel by pixel, in numpy and torch, one window and a batch."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.mask.decide import choose, decide
from pipeline.mask.lattice import support, window_weights
from pipeline.testing import WindowMeanModel
from pipeline.types import Code, Lattice

LATTICES = [
    Lattice(core_px=6, halo_px=2),
    Lattice(core_px=6, halo_px=2, blend_px=2),
    Lattice(core_px=6, halo_px=3, blend_px=6),
]
CLASSES = [
    (Code.CLEAR, Code.THICK_CLOUD, Code.CLOUD_SHADOW),
    # Two classes of one code share its probability.
    (Code.CLEAR, Code.CLEAR, Code.THICK_CLOUD, Code.THICK_CLOUD),
]
LIBRARIES = [np.asarray, torch.from_numpy]


def card_of(lattice, classes, kind):
    return replace(WindowMeanModel(lattice).card, classes=classes, scores=kind)


def random_scores(card, n, rng):
    """Scores with ties, as models of few levels have them."""
    edge = card.lattice.window_px
    scores = rng.integers(0, 6, (n, len(card.classes), edge, edge)) / np.float32(5)
    return (scores * rng.choice([1, 9])).astype(np.float32)


def chosen(card, pixel):
    """Code and probability in per cent of one pixel's scores, by dictionaries and float64."""
    shares = np.exp(pixel.astype(float)) if card.scores == "logits" else pixel.astype(float)
    if card.scores == "logits":
        shares /= shares.sum()
    by_code = {}
    for code, share in zip(card.classes, shares, strict=True):
        by_code[code] = by_code.get(code, 0) + share
    best = max(by_code.values())
    # Sums that are equal but for rounding: the first.
    code = next(code for code, share in by_code.items() if share > best - 1e-6)
    return code, 100 * min(best, 1)


@given(
    classes=st.sampled_from(CLASSES),
    kind=st.sampled_from(["logits", "probabilities"]),
    seed=st.integers(0, 2**32 - 1),
    library=st.sampled_from(LIBRARIES),
)
def test_each_pixel_gets_its_most_probable_code(classes, kind, seed, library):
    rng = np.random.default_rng(seed)
    card = card_of(LATTICES[0], classes, kind)
    scores = random_scores(card, 1, rng)[0]
    # No ties but exact ones, which rounding cannot turn.
    scores = np.round(scores * 8) / np.float32(8)
    missing = rng.random(scores.shape[1:]) < 0.2
    found = np.asarray(choose(card, library(scores), library(missing), confidence=True))
    for y, x in np.ndindex(missing.shape):
        code, per_cent = (0, 0) if missing[y, x] else chosen(card, scores[:, y, x])
        assert found[0, y, x] == code
        assert abs(float(found[1, y, x]) - per_cent) < 0.51


@given(
    lattice=st.sampled_from(LATTICES),
    classes=st.sampled_from(CLASSES),
    kind=st.sampled_from(["logits", "probabilities"]),
    confidence=st.booleans(),
    n=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
    library=st.sampled_from(LIBRARIES),
)
def test_a_batch_is_decided_as_its_windows_are(
    lattice, classes, kind, confidence, n, seed, library
):
    """In any library, to the bit; but for exponentials, by which a per cent may be rounded to its neighbour."""
    rng = np.random.default_rng(seed)
    card = card_of(lattice, classes, kind)
    scores = random_scores(card, n, rng)
    edge = lattice.core_px + lattice.blend_px
    missing = rng.random((n, edge, edge)) < rng.choice([0, 0.3])
    made = decide(card, library(scores), library(missing), confidence=confidence)
    assert not np.asarray(made[0]).any()
    for index in range(n):
        expected = decide(card, scores[index], missing[index], confidence=confidence)
        for place, (all_found, each) in enumerate(zip(made[1:], expected[1:], strict=True)):
            found = np.asarray(all_found[index])
            assert found.dtype == each.dtype
            if place == 0:
                np.testing.assert_array_equal(found[0], each[0])
                np.testing.assert_allclose(found[1:].astype(int), each[1:].astype(int), atol=1)
            else:
                np.testing.assert_array_equal(found, each)


@pytest.mark.parametrize("lattice", LATTICES)
def test_edges_are_weighted_and_nothing_is_lost(lattice):
    """The five parts of a result tile the window's support."""
    card = card_of(lattice, CLASSES[0], "logits")
    scores = random_scores(card, 1, np.random.default_rng(3))[0]
    edge = lattice.core_px + lattice.blend_px
    missing = np.zeros((edge, edge), bool)
    missing[1, 2] = True
    _, codes, top, bottom, left, right = decide(card, scores, missing, confidence=False)
    expected = support(lattice, scores) * window_weights(lattice)
    expected[:, missing] = np.nan
    first, last = lattice.blend_px, lattice.core_px
    np.testing.assert_array_equal(top, expected[:, :first])
    np.testing.assert_array_equal(bottom, expected[:, last:])
    np.testing.assert_array_equal(left, expected[:, first:last, :first])
    np.testing.assert_array_equal(right, expected[:, first:last, last:])
    assert codes.shape == (1, max(last - first, 0), max(last - first, 0))


@pytest.mark.parametrize("library", LIBRARIES)
def test_pixels_with_data_whose_scores_are_not_finite_are_counted(library):
    card = card_of(LATTICES[1], CLASSES[0], "logits")
    scores = random_scores(card, 2, np.random.default_rng(1))
    missing = np.zeros((2, 8, 8), bool)
    # The window begins one pixel before its support.
    scores[1, 0, 3:5, 3] = [np.nan, np.inf]
    scores[0, 0, 0, 0] = np.nan
    n_bad, *_ = decide(card, library(scores), library(missing), confidence=False)
    assert np.asarray(n_bad).tolist() == [0, 2]
    missing[1, 2:4, 2] = True
    n_bad, *_ = decide(card, library(scores), library(missing), confidence=False)
    assert np.asarray(n_bad).tolist() == [0, 0]
