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


@given(st.sampled_from(LATTICES), st.integers(0, 2**32 - 1), st.integers(0, 3))
def test_a_frame_is_enough(lattice, seed, there):
    """One window with the one to its left, those above, or both, against whole scores, to the bit."""
    card = WindowMeanModel(lattice).card
    rng = np.random.default_rng(seed)
    n_classes, core, shared = len(card.classes), lattice.core_px, lattice.blend_px
    ground = rng.random((2 * core + shared,) * 2) < 0.1
    rows, cols = (range(1 - (there >> bit & 1), 2) for bit in (0, 1))
    # Sums of two along x first, then of two along y.
    total, stretches = np.full((n_classes, *ground.shape), np.float32(0)), []
    for row in rows:
        across, windows = np.zeros_like(total), []
        for col in cols:
            said = rng.random((n_classes, *(lattice.window_px,) * 2), dtype=np.float32)
            place = tuple(slice(core * each, core * (each + 1) + shared) for each in (row, col))
            across[:, *place] += scores.weighted(card, said, ground[place], "here")
            kept = scores.checked(card, said, ground[place], "here")
            windows.append(frames.decided(card, kept, ground[place], sure=True))
        total += across
        left = windows[0] if len(cols) == 2 else None
        stretches.append(frames.beside(card, left, windows[-1], sure=True))
    found = frames.under(
        card, stretches[0].foot if len(rows) == 2 else None, stretches[-1], sure=True
    )
    # Up to where windows to the right and below would have a say.
    own = tuple(
        slice(core if len(each) == 2 else core + shared, 2 * core) for each in (rows, cols)
    )
    expected = np.stack(scores.chosen(card, total[:, *own]))
    np.testing.assert_array_equal(found, expected)


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
