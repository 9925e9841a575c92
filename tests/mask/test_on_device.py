"""What a device decides of windows is what the mask room decides of them, whatever library they come in."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ModelError
from pipeline.mask import frames, on_device, scores
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
FIELDS = ("codes", "top", "bottom", "left", "right")


def card_of(lattice, classes, kind):
    return replace(WindowMeanModel(lattice).card, classes=classes, scores=kind)


def random_scores(card, n, rng):
    """Scores with ties, as models of few levels have them."""
    edge = card.lattice.window_px
    said = rng.integers(0, 6, (n, len(card.classes), edge, edge)) / np.float32(5)
    return (said * rng.choice([1, 9])).astype(np.float32)


@given(
    lattice=st.sampled_from(LATTICES),
    classes=st.sampled_from(CLASSES),
    kind=st.sampled_from(["logits", "probabilities"]),
    sure=st.booleans(),
    n=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
    library=st.sampled_from([np.asarray, torch.from_numpy]),
)
def test_a_device_decides_as_the_mask_room_does(lattice, classes, kind, sure, n, seed, library):
    """To the bit, but for exponentials: of those the probability in per cent may be rounded to its neighbour."""
    rng = np.random.default_rng(seed)
    card = card_of(lattice, classes, kind)
    said = random_scores(card, n, rng)
    edge = lattice.core_px + lattice.blend_px
    missing = rng.random((n, edge, edge)) < rng.choice([0, 0.3])
    n_bad, *made = on_device.decided(card, library(said), library(missing), sure=sure)
    assert not np.asarray(n_bad).any()
    for index in range(n):
        kept = scores.checked(card, said[index], missing[index], "here")
        expected = frames.decided(card, kept, missing[index], sure=sure)
        for name, all_found in zip(FIELDS, made, strict=True):
            each, found = getattr(expected, name), np.asarray(all_found[index])
            assert found.dtype == each.dtype
            if name == "codes":
                np.testing.assert_array_equal(found[0], each[0])
                np.testing.assert_allclose(found[1:].astype(int), each[1:].astype(int), atol=1)
            else:
                np.testing.assert_array_equal(found, each)


@pytest.mark.parametrize("library", [np.asarray, torch.from_numpy])
def test_scores_that_are_not_finite_are_an_error_where_there_is_data(library):
    card = card_of(LATTICES[1], CLASSES[0], "logits")
    said = random_scores(card, 2, np.random.default_rng(1))
    missing = np.zeros((2, 8, 8), bool)
    # The window begins one pixel before what it has a say in.
    said[1, 0, 3:5, 3] = [np.nan, np.inf]
    made = on_device.decided(card, library(said), library(missing), sure=False)
    came = list(zip(*(np.asarray(each) for each in made), strict=True))
    assert len(on_device.windows(card, came[:1], ["here"])) == 1
    with pytest.raises(ModelError, match="no finite scores for 2 pixels there"):
        on_device.windows(card, came, ["here", "there"])
    missing[1, 2:4, 2] = True
    made = on_device.decided(card, library(said), library(missing), sure=False)
    assert not np.asarray(made[0]).any()
