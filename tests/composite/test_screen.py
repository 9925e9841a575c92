"""Screening against its definition written out, its laws, and changes of the ground."""

from datetime import UTC, datetime

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numba import njit
from numba.core.caching import CompileResultCacheImpl

from pipeline.composite import (
    BRIGHT,
    DARK,
    EVIDENCE,
    KEPT,
    RESTORED,
    UNUSABLE,
    compose,
    history_window,
    screen,
)
from pipeline.composite.kernels import compiled as kernels
from pipeline.types import Period, ScreenSettings
from tests.composite.test_compose import make_usable

SETTINGS = ScreenSettings()
DIMS = ("time", "y", "x")


def make(values, start="2024-05-01"):
    """(3, T, Y, X) of `EVIDENCE` as a cube, five days apart."""
    values = np.asarray(values, np.float32)
    times = np.datetime64(start, "ns") + np.arange(values.shape[1]) * np.timedelta64(5, "D")
    variables = {role: (DIMS, band) for role, band in zip(EVIDENCE, values, strict=True)}
    variables["source"] = (DIMS, np.zeros(values.shape[1:], np.int32))
    return xr.Dataset(variables, coords={"time": times})


def series(*observations):
    """(blue, nir, swir) of one pixel, by time."""
    return make(np.array(observations, np.float32).T[:, :, None, None])


def stands(cube, usable=None, history=None, settings=SETTINGS):
    shown = make_usable(np.ones(cube["blue"].shape) if usable is None else usable)
    made = screen(cube, shown, settings, history)
    return made["kept"].values[:, 0, 0].tolist(), float(made["suspect"][0, 0])


def by_definition(observations, inside, min_dates):
    """The docstring of `pipeline.composite.evidence.screen`, written out: (states, suspect) of one pixel."""
    left = list(range(len(observations)))

    def beside(k):
        return [
            max((o for o in left if o < k), default=None),
            min((o for o in left if o > k), default=None),
        ]

    def levels(k, band):
        return [float(observations[o][band]) for o in beside(k) if o is not None]

    for k in sorted(left, key=lambda o: (-observations[o][0], o)):
        near = levels(k, 0)
        if near and float(observations[k][0]) > max(near) + 0.02 + 0.25 * max(*near, 0.0):
            left.remove(k)
    at = 1
    while at + 2 < len(left):
        before, one, other, after = (
            observations[o].astype(float) for o in left[at - 1 : at + 3]
        )
        level = max(before[0], after[0])
        snow = [(b - s) / (b + s) if b + s > 0 else 0.0 for b, _, s in (one, other)]
        if min(one[0], other[0]) > level + 0.02 + 0.25 * max(level, 0.0) and min(snow) < 0.4:
            del left[at : at + 2]
        else:
            at += 1
    states = [KEPT if k in left else BRIGHT for k in range(len(observations))]
    for k in sorted(left, key=lambda o: (observations[o][1], o)):
        n, s = levels(k, 1), levels(k, 2)
        if (
            n
            and float(observations[k][1]) < min(n) * (1.0 - 0.2) - 0.02
            and float(observations[k][2]) < min(s) * (1.0 - 0.2) - 0.01
        ):
            left.remove(k)
            states[k] = DARK
    few = len(left) < min_dates
    of_period = np.flatnonzero(inside).tolist()
    if of_period and not {*left} & {*of_period}:
        states[min(of_period, key=lambda o: (observations[o][0], o))] = RESTORED
        return states, True
    return states, few


LEVELS = st.sampled_from([0.03, 0.04, 0.06, 0.08, 0.2, 0.3, 0.45]) | st.floats(
    -0.125, 1.25, width=32
)


@given(st.data())
def test_the_definition(data):
    n_times, n_past = data.draw(st.integers(1, 6)), data.draw(st.integers(0, 5))
    values = data.draw(hnp.arrays(np.float32, (3, n_times + n_past, 1, 3), elements=LEVELS))
    usable = data.draw(hnp.arrays(bool, (n_times + n_past, 1, 3)))
    min_dates = data.draw(st.integers(1, 4))
    cube, shown = make(values), make_usable(usable)
    first = data.draw(st.integers(0, n_past))
    inside = np.zeros(n_times + n_past, bool)
    inside[first : first + n_times] = True
    history = (cube.isel(time=~inside), shown.isel(time=~inside)) if n_past else None
    settings = ScreenSettings(min_dates=min_dates)
    made = screen(cube.isel(time=inside), shown.isel(time=inside), settings, history)
    for x in range(3):
        seen = np.flatnonzero(usable[:, 0, x])
        states, suspect = by_definition(values[:, seen, 0, x].T, inside[seen], min_dates)
        expected = np.full(n_times + n_past, UNUSABLE)
        expected[seen] = states
        np.testing.assert_array_equal(made["state"].values[:, 0, x], expected[inside])
        if n_past:
            found = made["history_state"].values[:, 0, x]
            np.testing.assert_array_equal(found, expected[~inside])
        stands = np.isin(expected[inside], (KEPT, RESTORED))
        np.testing.assert_array_equal(made["kept"].values[:, 0, x], stands)
        if stands.any():
            assert made["suspect"].values[0, x] == suspect
        else:
            assert np.isnan(made["suspect"].values[0, x])


@given(st.data())
def test_chunks_and_unusable_scenes_leave_no_trace(data):
    values = data.draw(hnp.arrays(np.float32, (3, 5, 4, 5), elements=LEVELS))
    usable = data.draw(hnp.arrays(bool, (5, 4, 5)))
    cube, shown = make(values), make_usable(usable)
    whole = screen(cube, shown, SETTINGS)
    ys, xs = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 5))
    order = data.draw(st.permutations(range(5)))
    parts = screen(cube.isel(time=order).chunk(y=ys, x=xs), shown.isel(time=order), SETTINGS)
    xr.testing.assert_identical(whole["suspect"], parts["suspect"].compute())
    np.testing.assert_array_equal(whole["kept"].values[order], parts["kept"].values)
    cloud = make(np.ones((3, 1, 4, 5)), "2024-05-08")
    more = screen(cube, shown, SETTINGS, (cloud, make_usable(np.zeros((1, 4, 5)))))
    xr.testing.assert_identical(whole, more.drop_vars("history_state"))


@given(hnp.arrays(np.float32, (3, 4, 2, 3), elements=LEVELS), hnp.arrays(bool, (4, 2, 3)))
def test_a_period_loses_no_pixel(values, usable):
    cube, shown = make(values), make_usable(usable)
    kept = screen(cube, shown, SETTINGS)["kept"]
    before, after = compose(cube, shown)["count"], compose(cube, kept)["count"]
    np.testing.assert_array_equal(before > 0, after > 0)
    assert not (kept.values & ~usable).any()


def test_no_pixels_are_none():
    made = screen(make(np.zeros((3, 4, 0, 3))), make_usable(np.zeros((4, 0, 3))), SETTINGS)
    assert made["kept"].shape == (4, 0, 3)


GROUND = (0.04, 0.30, 0.20)


def test_two_dates_that_agree_are_enough():
    ground = (0.05, 0.30, 0.20)
    assert stands(series(ground, ground)) == ([True, True], 0)
    assert stands(series(ground)) == ([True], 1)


def test_a_cloud_and_a_shadow_are_put_aside():
    cloud, shadow = (0.35, 0.5, 0.35), (0.03, 0.12, 0.08)
    assert stands(series(GROUND, cloud, GROUND, shadow, GROUND)) == ([1, 0, 1, 0, 1], 0)


def test_two_clouds_in_a_row_do_not_confirm_each_other():
    assert stands(series(GROUND, (0.5, 0.6, 0.4), (0.3, 0.5, 0.3), GROUND, GROUND))[0] == [
        1,
        0,
        0,
        1,
        1,
    ]


def test_two_clouds_alike_between_equal_ground_do_not_confirm_each_other():
    cloud, snow = (0.50, 0.6, 0.4), (0.80, 0.65, 0.1)
    assert stands(series(GROUND, cloud, cloud, GROUND, GROUND)) == ([1, 0, 0, 1, 1], 0)
    assert stands(series(GROUND, snow, snow, GROUND, GROUND)) == ([1] * 5, 0)


CHANGES = {
    "harvest": (0.08, 0.18, 0.30),
    "snow": (0.80, 0.65, 0.10),
    "flood": (0.05, 0.03, 0.02),
    "roof": (0.45, 0.50, 0.45),
    "burn": (0.03, 0.10, 0.15),
}


@pytest.mark.parametrize("changed", CHANGES.values(), ids=CHANGES)
def test_what_a_later_date_confirms_is_ground(changed):
    assert stands(series(GROUND, GROUND, GROUND, changed, changed)) == ([1] * 5, 0)


@pytest.mark.parametrize("changed", CHANGES.values(), ids=CHANGES)
def test_the_history_of_later_dates_confirms(changed):
    before = make(np.broadcast_to(np.reshape(GROUND, (3, 1, 1, 1)), (3, 3, 1, 1)), "2024-04-01")
    later = make(np.reshape(changed, (3, 1, 1, 1)), "2024-06-01")
    past = xr.concat([before, later], "time")
    history = past, make_usable(np.ones((4, 1, 1)))
    assert stands(series(changed), history=history) == ([True], 0)


OLD = np.array([0.05, 0.30, 0.20])
EVENTS = {
    "harvest": (0.09, 0.15, 0.30),
    "snow": (0.75, 0.62, 0.10),
    "flood": (0.05, 0.03, 0.02),
    "roof": (0.45, 0.50, 0.45),
}
"""Change -> `EVIDENCE` of the new ground."""


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("seed", range(3))
def test_a_change_of_the_ground_stands_in_whole_patches(event, seed):
    """Light, noise, clouds and shadows, of which the mask missed some (4 % of what is usable): in the next period every patch is new."""
    rng, shape = np.random.default_rng(seed), (14, 40, 40)
    ground = np.where(np.arange(14)[:, None] < 6, OLD, EVENTS[event])
    ground = ground * rng.uniform(0.92, 1.08, (14, 1))
    truly = ground.T[:, :, None, None] + rng.normal(0, 0.004, (3, *shape))
    weather = rng.choice(4, shape, p=[0.5, 0.48, 0.01, 0.01])
    veil, shade = rng.uniform(0.1, 0.9, shape), rng.uniform(0.3, 0.8, shape)
    seen = np.where(weather == 2, truly * (1 - veil) + 0.8 * veil, truly)
    cube = make(np.where(weather == 3, seen * shade, seen))
    usable = make_usable(weather != 1)
    # The ground changes on 31 May; the period is June, with history before and after.
    june = slice(7, 12)
    around = np.r_[0:7, 12:14]
    history = cube.isel(time=around), usable.isel(time=around)
    kept = screen(cube.isel(time=june), usable.isel(time=june), SETTINGS, history)["kept"]
    composite = compose(cube.isel(time=june), kept)
    made = np.stack([composite[role].values for role in EVIDENCE])
    off = [
        np.sqrt(((made - np.reshape(each, (3, 1, 1))) ** 2).sum(axis=0))
        for each in (EVENTS[event], OLD)
    ]
    twice = (weather[june] == 0).sum(axis=0) >= 2
    assert twice.sum() > 800
    assert (off[0] < off[1])[twice].mean() >= 0.99
    np.testing.assert_allclose(
        np.nanmedian(made, axis=(1, 2)), EVENTS[event], atol=0.02, rtol=0.1
    )


def test_alone_or_contradicted_it_stands_and_is_suspect():
    assert stands(series((0.4, 0.5, 0.4))) == ([True], 1)
    past = make(np.broadcast_to(np.reshape(GROUND, (3, 1, 1, 1)), (3, 3, 1, 1)), "2024-04-01")
    history = past, make_usable(np.ones((3, 1, 1)))
    assert stands(series((0.7, 0.6, 0.5), (0.4, 0.5, 0.4)), history=history) == (
        [False, True],
        1,
    )


def test_the_window_reaches_before_and_after():
    june = Period(start=datetime(2024, 6, 1, tzinfo=UTC), end=datetime(2024, 7, 1, tzinfo=UTC))
    window = history_window(june, ScreenSettings(history_days=10))
    assert (window.start.day, window.end.day) == (22, 11)


def test_bands_that_are_missing_are_named():
    cube = series(GROUND).drop_vars("swir16")
    with pytest.raises(ValueError, match="add swir16"):
        screen(cube, make_usable(np.ones((1, 1, 1))), SETTINGS)


def test_it_is_compiled_where_no_folder_can_be_written(monkeypatch):
    """As in a container whose file system is read-only: numba refuses to cache there."""
    monkeypatch.setattr(CompileResultCacheImpl, "_locator_classes", [])
    with pytest.raises(RuntimeError, match="cannot cache"):
        njit(cache=True)(lambda number: number + 1)
    assert kernels.compiled(lambda number: number + 1)(2) == 3
