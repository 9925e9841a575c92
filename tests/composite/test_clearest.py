"""Which observations a pixel takes: the clearest of its cell, whatever is cut how, and all where they are few."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.composite import clearest
from pipeline.types.grid import CELL_PX

SCENES = st.integers(1, 6)


def patches(seed, n_times, rows=2, cols=3):
    """Draw where scenes show the ground: (time, y, x), whole cells, clear to different shares."""
    draw = np.random.default_rng(seed)
    shape = (n_times, rows * CELL_PX, cols * CELL_PX)
    usable = draw.random(shape) < draw.choice([0, 0.3, 0.9, 1], (n_times, 1, 1))
    # A scene whose swath ends in the middle of a cell.
    usable[0, :, CELL_PX // 2 :] = False
    return usable, np.abs(draw.integers(-20, 20, n_times)) + 0.5


def written_out(usable, off_days, most):
    """Return the same, pixel by pixel."""
    chosen = np.zeros_like(usable)
    for y, x in np.ndindex(usable.shape[1:]):
        top, left = y // CELL_PX * CELL_PX, x // CELL_PX * CELL_PX
        shares = usable[:, top : top + CELL_PX, left : left + CELL_PX].mean(axis=(1, 2))
        here = [t for t in range(len(usable)) if usable[t, y, x]]
        best = sorted(here, key=lambda t: (-shares[t], off_days[t], t))
        chosen[best[:most], y, x] = True
    return chosen


@pytest.mark.parametrize("seed", range(3))
def test_it_is_its_definition_written_out(seed):
    usable, off = patches(seed, 5, rows=1, cols=2)
    np.testing.assert_array_equal(clearest(usable, off, 2), written_out(usable, off, 2))


@given(st.integers(0, 2**32), SCENES, st.integers(1, 8), st.randoms())
def test_laws(seed, n_times, most, draw):
    usable, off = patches(seed, n_times)
    chosen = clearest(usable, off, most)
    assert (chosen <= usable).all()
    np.testing.assert_array_equal(chosen.sum(axis=0), np.minimum(usable.sum(axis=0), most))
    # Any partition: a cell by itself, in the rest of the region, or with scenes that show nothing of it.
    cell = np.s_[:, CELL_PX:, CELL_PX : 2 * CELL_PX]
    np.testing.assert_array_equal(clearest(usable[cell], off, most), chosen[cell])
    none = np.zeros_like(usable[:1])
    more = clearest(np.concatenate([none, usable]), np.array([0.5, *off]), most)
    np.testing.assert_array_equal(more[1:], chosen)
    # Any order of scenes whose places are told apart.
    order = draw.sample(range(n_times), n_times)
    apart = off + np.arange(n_times) / 100
    expected = clearest(usable, apart, most)
    np.testing.assert_array_equal(clearest(usable[order], apart[order], most), expected[order])


def test_parts_of_cells_are_refused():
    with pytest.raises(ValueError, match="60 × 64 px are not whole cells"):
        clearest(np.ones((1, 60, 64), bool), np.zeros(1), 1)
