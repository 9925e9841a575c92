"""One scene as each catalogue would serve it: the same reflectance in every pixel, to the step."""

from datetime import UTC, datetime

import numpy as np
import pytest

from pipeline import cube, sensors
from pipeline.cube.metadata.settle import settled
from pipeline.types import Items, Scene
from tests.cube.twins import (
    AS_WAS,
    GEOBOX,
    PLUS_1000,
    ROLES,
    TWINS,
    Twin,
    es,
    make_truth,
    serve,
)

pytestmark = pytest.mark.usefixtures("single_thread")


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    return make_truth()


def held(twin: Twin, truth: np.ndarray) -> np.ndarray:
    """Return what numbers without an offset can hold of the truth: nothing below one step."""
    return np.maximum(truth, 1e-4) if twin.encoding is AS_WAS else truth


def opened(items: Items, *positions: int) -> np.ndarray:
    scene = Scene(sensor="s", time=datetime(2023, 6, 5, 10, 20, tzinfo=UTC), items=positions)
    found = cube.open_cube([scene], items, GEOBOX, ROLES, chunk_px=96).compute()
    return np.stack([found[role][0].to_numpy() for role in ROLES])


def assert_same(found: np.ndarray, expected: np.ndarray, step: float) -> None:
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    # Float32 of the product and of the sum; half a step is what rounding to numbers costs.
    assert np.nanmax(np.abs(found - expected)) <= step / 2 + 1e-6


@pytest.mark.parametrize("name", TWINS)
def test_every_twin_is_the_same_scene(name, truth, tmp_path):
    twin = TWINS[name]
    item = serve(twin, truth, tmp_path)
    before = sensors.radiometry(item)
    assert before.doubtful == twin.asked
    (after,) = settled(Items(items=(item,))).items
    decided = sensors.radiometry(after)
    assert not decided.doubtful
    assert (decided.offset != before.offset) == twin.overruled
    assert ("its pixels" in decided.reason) == twin.asked
    assert (after is item) != twin.asked
    assert_same(opened(Items(items=(after,)), 0), held(twin, truth), twin.encoding[0])


@pytest.mark.parametrize("name", [name for name, twin in TWINS.items() if twin.overruled])
def test_unsettled_they_would_be_off_by_a_tenth(name, truth, tmp_path):
    twin = TWINS[name]
    item = serve(twin, truth, tmp_path)
    off = opened(Items(items=(item,)), 0) - held(twin, truth)
    assert abs(np.nanmedian(off)) == pytest.approx(0.1, abs=1e-4)


@pytest.mark.parametrize("baseline", ["04.00", "05.11"])
def test_a_flag_that_is_trusted_and_wrong_is_found_when_every_item_is_asked(
    baseline, truth, tmp_path
):
    item = serve(es(baseline, True, -0.1, PLUS_1000), truth, tmp_path)
    assert settled(Items(items=(item,))).items == (item,)
    (after,) = settled(Items(items=(item,)), every=True).items
    assert "contradict" in sensors.radiometry(after).reason
    assert_same(opened(Items(items=(after,)), 0), truth, 1e-4)


def test_items_of_different_offsets_in_one_scene_meet_without_a_seam(truth, tmp_path):
    """A shifted item whose flag is wrong, one as made, and one before 04.00, side by side."""
    parts = ("earth search 05.11 flag wrong", "planetary computer 04.00", "earth search 02.14")
    items = []
    for index, name in enumerate(parts):
        # The first has the left third alone, the second two thirds, the last all.
        partial = truth.copy()
        partial[:, :, 64 * (index + 1) :] = np.nan
        items.append(serve(TWINS[name], partial, tmp_path, f"part{index}"))
    found = opened(settled(Items(items=tuple(items))), 0, 1, 2)
    expected = np.maximum(truth, 1e-4)
    expected[:, :, 64:128] = truth[:, :, 64:128]
    assert_same(found, expected, 1e-4)
