"""Windows that keep only their edges decide what whole scores, added and chosen from, decide."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.mask import overlap_add, scores
from pipeline.mask.decide import choose, decide
from pipeline.testing import WindowMeanModel
from pipeline.types import Lattice

LATTICES = [
    Lattice(core_px=6, halo_px=2),
    Lattice(core_px=6, halo_px=2, blend_px=2),
    # No pixel of a core is decided by one window alone.
    Lattice(core_px=6, halo_px=3, blend_px=6),
]


@given(st.sampled_from(LATTICES), st.integers(0, 2**32 - 1), st.integers(0, 3))
def test_edges_are_enough(lattice, seed, there):
    """One window with the one to its left, those above, or both, against whole scores, to the bit."""
    card = WindowMeanModel(lattice).card
    chosen = overlap_add.by_card(card, confidence=True)
    rng = np.random.default_rng(seed)
    n_classes, core, shared = len(card.classes), lattice.core_px, lattice.blend_px
    ground = rng.random((2 * core + shared,) * 2) < 0.1
    rows, cols = (range(1 - (there >> bit & 1), 2) for bit in (0, 1))
    # Sums of two along x first, then of two along y.
    total, results = np.full((n_classes, *ground.shape), np.float32(0)), []
    for row in rows:
        across, windows = np.zeros_like(total), []
        for col in cols:
            given = rng.random((n_classes, *(lattice.window_px,) * 2), dtype=np.float32)
            part = tuple(slice(core * each, core * (each + 1) + shared) for each in (row, col))
            across[:, *part] += scores.weighted(card, given, ground[part], "here")
            _, *parts = decide(card, given, ground[part], confidence=True)
            windows.append(overlap_add.WindowResult(*parts))
        total += across
        left = windows[0] if len(cols) == 2 else None
        results.append(overlap_add.add_left(lattice, chosen, left, windows[-1]))
    above = results[0].bottom if len(rows) == 2 else None
    found = overlap_add.add_above(chosen, above, results[-1])
    # Up to where windows to the right and below would have a say.
    own = tuple(
        slice(core if len(each) == 2 else core + shared, 2 * core) for each in (rows, cols)
    )
    sums = total[:, *own]
    expected = choose(card, sums, np.isnan(sums[0]), confidence=True)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("lattice", LATTICES)
@pytest.mark.parametrize("confidence", [True, False])
def test_a_window_without_data_is_as_one_all_missing(lattice, confidence):
    card = WindowMeanModel(lattice).card
    edge = lattice.core_px + lattice.blend_px
    given = np.ones((len(card.classes), *(lattice.window_px,) * 2), np.float32)
    _, *parts = decide(card, given, np.ones((edge, edge), bool), confidence=confidence)
    other = overlap_add.empty_result(lattice, len(card.classes), confidence=confidence)
    for name, part in zip(("codes", "top", "bottom", "left", "right"), parts, strict=True):
        np.testing.assert_array_equal(part, getattr(other, name))
