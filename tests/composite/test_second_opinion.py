"""Step 0 of screening against its definition written out: what a second opinion doubts stands only where it is confirmed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.composite import BRIGHT, DARK, KEPT, RESTORED, UNUSABLE, screen
from tests.composite.test_compose import make_usable
from tests.composite.test_screen import DIMS, SETTINGS, make, series


def confirmed(observations, shown):
    """Return which observations of a pixel stand at first: the docstring of `screen`, written out."""
    sure = [t for t, each in enumerate(shown) if each == KEPT]
    stand = [each == KEPT for each in shown]
    for t, each in enumerate(shown):
        if each not in (BRIGHT, DARK):
            continue
        b, n, s = map(float, observations[t])
        beside = [[k for k in sure if k < t][-1:], [k for k in sure if k > t][:1]]
        near = [observations[k].astype(float) for one in beside for k in one]
        stand[t] = bool(near) and all(
            b <= m + 0.01 + 0.1 * max(m, 0) and n >= 0.9 * i - 0.01 and s >= 0.9 * w - 0.005
            for m, i, w in near
        )
    return np.array(stand)


def judged(values, shown):
    return screen(make(values), make_usable(shown == KEPT).copy(data=shown), SETTINGS)


@given(st.integers(0, 2**32), st.integers(1, 7))
def test_the_definition(seed, n_times):
    draw = np.random.default_rng(seed)
    ground = np.array([0.04, 0.3, 0.2])[:, None, None, None]
    values = ground + draw.normal(0, 0.03, (3, n_times, 4, 5))
    values = np.round(values, 3).astype(np.float32)
    shown = draw.choice(
        np.array([UNUSABLE, KEPT, BRIGHT, DARK], np.uint8),
        values.shape[1:],
        p=[0.2, 0.4, 0.2, 0.2],
    )
    made = judged(values, shown)
    stand = np.zeros(shown.shape, bool)
    for y, x in np.ndindex(shown.shape[1:]):
        stand[:, y, x] = confirmed(values[:, :, y, x].T, shown[:, y, x])
    expected = screen(make(values), make_usable(stand), SETTINGS)
    state, without = made["state"].values, expected["state"].values
    put_aside = (shown > KEPT) & ~stand
    # Where something stands, what is doubted is as if it had not been seen.
    some = (without != UNUSABLE).any(axis=0)
    np.testing.assert_array_equal(
        np.where(put_aside, shown, without)[:, some & (without == KEPT).any(axis=0)],
        state[:, some & (without == KEPT).any(axis=0)],
    )
    # No period loses a pixel: elsewhere the least blue of all that is usable stands.
    kept = made["kept"].values
    usable = shown != UNUSABLE
    np.testing.assert_array_equal(kept.any(axis=0), usable.any(axis=0))
    alone = usable.any(axis=0) & ~(without == KEPT).any(axis=0)
    least = np.where(usable, values[0], np.inf).argmin(axis=0)
    np.testing.assert_array_equal(kept.argmax(axis=0)[alone], least[alone])
    assert (state[kept & alone] == RESTORED).all()
    assert (made["suspect"].values[alone] == 1).all()


@given(st.integers(0, 2**32))
def test_without_doubts_nothing_changes(seed):
    draw = np.random.default_rng(seed)
    values = draw.random((3, 5, 2, 3)).astype(np.float32)
    usable = draw.random((5, 2, 3)) < 0.7
    plain = screen(make(values), make_usable(usable), SETTINGS)
    assert plain.identical(judged(values, usable.astype(np.uint8)))


HAZE, GROUND = (0.055, 0.30, 0.20), (0.04, 0.30, 0.20)


@pytest.mark.parametrize(("doubted", "stands"), [(HAZE, False), (GROUND, True)])
def test_haze_that_history_alone_leaves_goes_where_it_is_doubted(doubted, stands):
    cube = series(GROUND, doubted, GROUND)
    shown = np.array([KEPT, BRIGHT, KEPT], np.uint8)[:, None, None]
    usable = make_usable(np.ones((3, 1, 1)))
    assert screen(cube, usable, SETTINGS)["kept"].values.all()
    made = screen(cube, usable.copy(data=shown), SETTINGS)
    assert made["kept"].values[:, 0, 0].tolist() == [True, stands, True]
    assert made["kept"].dims == DIMS
