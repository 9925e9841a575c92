"""Windows that keep their frames only decide what whole scores, summed and chosen from, decide."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.mask import frames, scores
from pipeline.testing import WindowMeanModel
from pipeline.types import Lattice

LATTICES = [
    Lattice(core_px=6, halo_px=2),
    Lattice(core_px=6, halo_px=2, blend_px=2),
    # No pixel of a core is decided by one window alone.
    Lattice(core_px=6, halo_px=3, blend_px=6),
]


@given(st.sampled_from(LATTICES), st.integers(0, 2**32 - 1), st.integers(0, 2**9 - 1))
def test_a_frame_is_enough(lattice, seed, there):
    """One window with any of the eight round it present, against whole scores, to the bit."""
    card = WindowMeanModel(lattice).card
    rng = np.random.default_rng(seed)
    n_classes, core, reach = len(card.classes), lattice.core_px, lattice.reach_px
    ground = rng.random((3 * core + 2 * reach,) * 2) < 0.1
    whole, framed = [], []
    for index in range(9):
        if index != 4 and not there >> index & 1:
            whole.append(None)
            framed.append(None)
            continue
        said = rng.random((n_classes, lattice.window_px, lattice.window_px), dtype=np.float32)
        top, left = (core * each for each in divmod(index, 3))
        missing = ground[top : top + core + 2 * reach, left : left + core + 2 * reach]
        whole.append(scores.weighted(card, said, missing, "here"))
        kept = scores.checked(card, said, missing, "here")
        framed.append(frames.decided(card, kept, missing, sure=True))
    expected = scores.chosen(card, scores.merged(whole, reach))
    above, row, below = (framed[start : start + 3] for start in (0, 3, 6))
    found = frames.settled(
        card,
        frames.cored(card, row, sure=True),
        frames.cored(card, above, sure=True) if above[1] else None,
        frames.cored(card, below, sure=True) if below[1] else None,
        sure=True,
    )
    np.testing.assert_array_equal(found, np.stack(expected))


@pytest.mark.parametrize("lattice", LATTICES)
@pytest.mark.parametrize("sure", [True, False])
def test_a_window_without_data_is_as_one_all_missing(lattice, sure):
    card = WindowMeanModel(lattice).card
    edge = lattice.core_px + lattice.blend_px
    said = np.ones((len(card.classes), edge, edge), np.float32)
    one = frames.decided(card, said, np.ones((edge, edge), bool), sure=sure)
    other = frames.nothing(card, sure=sure)
    for name in ("codes", "top", "bottom", "left", "right"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
