"""The guard: laws, weather that must not be guarded, roofs that must be, and real masks."""

import itertools
from datetime import UTC, datetime

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from pipeline.errors import GridError
from pipeline.mask.postprocess.guard import Counts, history_of, persistent, usable
from pipeline.types import CLOUD, Code, GuardSettings, Period, is_usable

EDGE = 32
SHAPE = (3 * EDGE, 4 * EDGE)
SETTINGS = GuardSettings(cell_px=EDGE, min_dates=6)


def weather(rng: np.random.Generator, shape: tuple[int, int], cover: float) -> np.ndarray:
    """Clouds of one date, with shadows, water, snow and a swath's edge."""
    field = ndimage.gaussian_filter(rng.normal(size=shape), 8, mode="wrap")
    codes = np.full(shape, Code.CLEAR, np.uint8)
    codes[:, : shape[1] // 9] = rng.choice([Code.WATER, Code.SNOW])
    cloud = field > np.quantile(field, 1 - cover)
    codes[np.roll(cloud, 5, axis=(0, 1))] = Code.CLOUD_SHADOW
    codes[cloud] = rng.choice([Code.THIN_CLOUD, Code.THICK_CLOUD])
    if rng.uniform() < 0.3:
        codes[:, : rng.integers(shape[1])] = Code.NO_DATA
    return codes


def with_roofs(codes: np.ndarray, roofs: np.ndarray) -> np.ndarray:
    """What a model sees that takes roofs for clouds."""
    hit = roofs & (codes != Code.NO_DATA)
    return np.where(hit, np.uint8(Code.THICK_CLOUD), codes)


def roofs_on(shape: tuple[int, int]) -> np.ndarray:
    roofs = np.zeros(shape, bool)
    roofs[10:14, 20:25] = roofs[40:50, 60:63] = roofs[31:34, 90:100] = roofs[-1, -1] = True
    return roofs


def history(seed: int, dates: int = 25, cover: float = 0.5) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    covers = rng.beta(0.6, 0.6 * (1 - cover) / cover, dates)
    return [with_roofs(weather(rng, SHAPE, each), roofs_on(SHAPE)) for each in covers]


def told_plainly(masks: list[np.ndarray], rule: GuardSettings) -> np.ndarray:
    """The definition for one cell, pixel by pixel and without haste."""
    dates = []
    for mask in masks:
        valid = int((mask != Code.NO_DATA).sum())
        if valid and 2 * valid >= mask.size and is_usable(mask).sum() >= rule.clear * valid:
            dates.append(mask)
    guarded = np.zeros(masks[0].shape, bool)
    for at in np.ndindex(guarded.shape):
        codes = [mask[at] for mask in dates if mask[at] != Code.NO_DATA]
        cloudy = sum(code in CLOUD for code in codes)
        guarded[at] = len(codes) >= rule.min_dates and cloudy >= rule.share * len(codes)
    return guarded


rules = st.builds(
    GuardSettings,
    cell_px=st.just(EDGE),
    min_dates=st.integers(2, 12),
    share=st.sampled_from([0.5, 0.7, 0.9, 1.0]),
    clear=st.sampled_from([0.5, 0.6, 0.8, 0.95]),
)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# -- laws --------------------------------------------------------------------------------------


def test_it_is_what_its_definition_says():
    masks = history(11, dates=40)
    found = persistent(masks, SHAPE, SETTINGS)
    for top, left in ((0, 0), (EDGE, EDGE)):
        cell = slice(top, top + EDGE), slice(left, left + EDGE)
        expected = told_plainly([mask[cell] for mask in masks], SETTINGS)
        assert expected.any()
        np.testing.assert_array_equal(found[cell], expected)


@given(st.integers(0, 10_000), rules, st.randoms())
def test_the_order_of_dates_does_not_matter(seed, rule, shuffler):
    masks = history(seed)
    found = persistent(iter(masks), SHAPE, rule)
    shuffler.shuffle(masks)
    np.testing.assert_array_equal(persistent(masks, SHAPE, rule), found)


@given(st.integers(0, 10_000), rules, st.integers(0, 24), st.integers(0, 24))
def test_a_sliding_window_equals_a_fresh_count(seed, rule, start, more):
    masks = history(seed)
    sliding = Counts(SHAPE, rule)
    for mask in masks[: start + more]:
        sliding.add(mask)
    for mask in masks[:start]:
        sliding.remove(mask)
    fresh = persistent(masks[start : start + more], SHAPE, rule)
    np.testing.assert_array_equal(sliding.persistent(), fresh)


@pytest.mark.parametrize(
    ("first", "last", "start"),
    [("2023-06-01", "2023-07-01", "2022-07-01"), ("2020-01-01", "2023-01-01", "2020-01-01")],
)
def test_history_ends_with_its_period_and_holds_all_of_it(first, last, start):
    period = Period(start=instant(first), end=instant(last))
    assert history_of(period, SETTINGS) == Period(start=instant(start), end=period.end)


@given(st.integers(0, 10_000), rules, st.integers(1, 2), st.integers(1, 3))
def test_any_cut_along_cells_gives_the_same(seed, rule, rows, cols):
    masks = history(seed)
    whole = persistent(masks, SHAPE, rule)
    shown = usable(masks[0], whole, rule)
    for ys, xs in itertools.product(
        (slice(0, rows * EDGE), slice(rows * EDGE, None)),
        (slice(0, cols * EDGE), slice(cols * EDGE, None)),
    ):
        parts = [mask[ys, xs] for mask in masks]
        part = persistent(parts, parts[0].shape, rule)
        np.testing.assert_array_equal(part, whole[ys, xs])
        np.testing.assert_array_equal(usable(parts[0], part, rule), shown[ys, xs])


@given(st.integers(0, 10_000), rules)
def test_fewer_dates_than_asked_guard_nothing(seed, rule):
    assert not persistent(history(seed)[: rule.min_dates - 1], SHAPE, rule).any()


@given(st.integers(0, 10_000), st.floats(0.5, 1.0), st.floats(0.5, 1.0))
def test_no_more_of_a_cell_is_guarded_than_stated(seed, share, clear):
    """Even where clouds are drawn to be guarded: the same ones on every date, in every cell."""
    rng = np.random.default_rng(seed)
    rule = GuardSettings(cell_px=EDGE, min_dates=2, share=share, clear=clear)
    likely = ndimage.gaussian_filter(rng.uniform(size=SHAPE), 2) + rng.normal(0, 0.02, SHAPE)
    masks = [
        np.where(likely + rng.normal(0, 0.01, SHAPE) > np.quantile(likely, level), 5, 1)
        for level in rng.uniform(0.3, 1, 12)
    ]
    guarded = persistent([mask.astype(np.uint8) for mask in masks], SHAPE, rule)
    cells = guarded.reshape(SHAPE[0] // EDGE, EDGE, SHAPE[1] // EDGE, EDGE).mean(axis=(1, 3))
    # Shares count in thousandths.
    assert cells.max() <= (1 - clear + 0.001) / (share - 0.001)


@given(st.integers(0, 10_000), rules)
def test_only_guarded_clouds_become_usable(seed, rule):
    masks = history(seed)
    guarded = persistent(masks, SHAPE, rule)
    for mask in masks:
        shown = usable(mask, guarded, rule)
        added = shown & ~is_usable(mask)
        assert not (is_usable(mask) & ~shown).any()
        assert not (added & ~(guarded & np.isin(mask, CLOUD))).any()


def test_without_guarded_pixels_masks_mean_what_they_meant():
    mask = history(5)[0]
    shown = usable(mask, np.zeros(SHAPE, bool), SETTINGS)
    np.testing.assert_array_equal(shown, is_usable(mask))


def test_a_mask_that_cells_do_not_fit_is_refused():
    with pytest.raises(GridError, match="100 × 128.*cell_px"):
        Counts((100, 128), SETTINGS)
    mask = np.ones((100, 128), np.uint8)
    with pytest.raises(GridError, match="whole cells"):
        usable(mask, mask > 0, SETTINGS)
    with pytest.raises(ValueError, match="are counted"):
        Counts(SHAPE, SETTINGS).add(mask)


# -- places ------------------------------------------------------------------------------------


def test_roofs_are_guarded_and_nothing_else_is():
    masks = history(11, dates=40)
    np.testing.assert_array_equal(persistent(masks, SHAPE, SETTINGS), roofs_on(SHAPE))


@pytest.mark.parametrize("cover", [0.2, 0.5, 0.8, 0.9])
def test_weather_alone_guards_nothing(cover):
    rng = np.random.default_rng(7)
    covers = rng.beta(0.6, 0.6 * (1 - cover) / cover, 70)
    masks = [weather(rng, SHAPE, each) for each in covers]
    assert not persistent(masks, SHAPE, SETTINGS).any()


def test_a_truly_cloudy_season_guards_nothing_not_even_roofs():
    rng = np.random.default_rng(8)
    masks = [with_roofs(weather(rng, SHAPE, 0.97), roofs_on(SHAPE)) for _ in range(60)]
    seen = np.array(masks) != Code.NO_DATA
    assert np.isin(masks, CLOUD).sum() / seen.sum() > 0.9
    assert not persistent(masks, SHAPE, SETTINGS).any()


def test_a_place_that_is_cloud_as_a_whole_stays_cloud():
    """A salt desert, or a glacier: masks cannot tell it from a place under clouds."""
    masks = [np.full(SHAPE, Code.THICK_CLOUD, np.uint8) for _ in range(60)]
    assert not persistent(masks, SHAPE, SETTINGS).any()


def test_snow_that_is_taken_for_cloud_in_winter_is_not_guarded():
    rng = np.random.default_rng(9)
    ridge = np.zeros(SHAPE, bool)
    ridge[:, 40:43] = True
    winter = [with_roofs(weather(rng, SHAPE, 0.02), ridge) for _ in range(30)]
    summer = [weather(rng, SHAPE, 0.02) for _ in range(15)]
    assert persistent(winter, SHAPE, SETTINGS)[:, 40:43].any()
    assert not persistent([*winter, *summer], SHAPE, SETTINGS).any()


def test_snow_and_water_are_no_clouds():
    masks = [np.full(SHAPE, code, np.uint8) for code in (Code.SNOW, Code.WATER) * 20]
    assert not persistent(masks, SHAPE, SETTINGS).any()


def test_under_an_overcast_sky_a_roof_stays_hidden():
    roofs = roofs_on(SHAPE)
    clear, overcast = np.ones(SHAPE, np.uint8), np.full(SHAPE, Code.THICK_CLOUD, np.uint8)
    assert usable(with_roofs(clear, roofs), roofs, SETTINGS).all()
    assert not usable(overcast, roofs, SETTINGS).any()
    shaded = np.where(roofs, np.uint8(Code.CLOUD_SHADOW), clear)
    np.testing.assert_array_equal(usable(shaded, roofs, SETTINGS), ~roofs)


def test_a_cell_that_is_hardly_seen_says_nothing():
    roofs = roofs_on(SHAPE)
    mask = with_roofs(np.ones(SHAPE, np.uint8), roofs)
    mask[:, np.arange(SHAPE[1]) % EDGE >= EDGE // 3] = Code.NO_DATA
    assert not persistent([mask] * 20, SHAPE, SETTINGS).any()
    np.testing.assert_array_equal(usable(mask, roofs, SETTINGS), is_usable(mask))


# -- real masks --------------------------------------------------------------------------------


def scl_as_codes(classes: np.ndarray) -> np.ndarray:
    """Sen2Cor's classes as ours."""
    table = np.full(256, Code.CLEAR, np.uint8)
    table[[0, 1]], table[3], table[6], table[11] = Code.NO_DATA, 6, Code.WATER, Code.SNOW
    table[[8, 9, 10]] = Code.THICK_CLOUD, Code.THICK_CLOUD, Code.THIN_CLOUD
    return table[classes]


def test_fifteen_months_over_a_real_field(shared_data):
    """Cloud on half of the dates, and on a quarter of the clear ones here and there: not guarded."""
    name = "S2_L2A_20m_00002806639B424A_32631_2017-08-01_2018-11-30.nc"
    with xr.open_dataset(shared_data / "timeseries" / name, mask_and_scale=False) as dataset:
        masks = scl_as_codes(dataset["SCL"].to_numpy())
    settings = GuardSettings(cell_px=32)
    often = np.isin(masks, CLOUD).mean(axis=0)
    assert often.max() > 0.5
    assert not persistent(masks, (32, 32), settings).any()
    # A barn of 60 m that the product calls cloud is found, and given back on the clear dates only.
    barn = np.zeros((32, 32), bool)
    barn[12:15, 20:23] = True
    seen = [with_roofs(mask, barn) for mask in masks]
    guarded = persistent(seen, (32, 32), settings)
    np.testing.assert_array_equal(guarded, barn)
    back = np.array([(usable(mask, guarded, settings) & barn).any() for mask in seen])
    clear = np.array([is_usable(mask)[~barn].mean() >= 0.9 for mask in masks])
    np.testing.assert_array_equal(back, clear)
    assert 0.4 < back.mean() < 0.6
