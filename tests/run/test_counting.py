"""Counts of pixels by kind, against numpy."""

import dask.array as da
import numpy as np
import pytest

from pipeline.composite import BRIGHT, DARK, RESTORED, UNUSABLE
from pipeline.run.tile.drop_unreadable import unfit_counts
from pipeline.run.tile.put_aside import screened_counts
from pipeline.types import UNFIT

CHUNKS = ((2, 1), (7, 6), (5, 5, 1))
SHAPE = (3, 13, 11)


@pytest.mark.parametrize("weighted", [None, "each scene", "all scenes"])
def test_unfit_pixels_are_counted_by_scene_and_kind(weighted):
    random = np.random.default_rng(1)
    kinds = random.integers(0, len(UNFIT) + 1, SHAPE, np.uint8)
    weights = {
        None: None,
        "each scene": random.random(SHAPE) < 0.5,
        "all scenes": random.integers(0, 2**20, SHAPE[1:], np.int32),
    }[weighted]
    each = 1 if weights is None else weights.astype(np.int64)
    expected = [((kinds == code) * each).sum(axis=(1, 2)) for code in range(1, len(UNFIT) + 1)]
    found = unfit_counts(da.from_array(kinds, chunks=CHUNKS), weights).sum(axis=(2, 3))
    assert found.shape == (3, len(UNFIT))
    np.testing.assert_array_equal(found.compute(), np.stack(expected, axis=1))


def test_observations_are_counted_by_scene_and_state():
    states = np.random.default_rng(2).choice(
        np.array([UNUSABLE, BRIGHT, DARK, RESTORED, 1], np.uint8), SHAPE
    )
    masks = (states != UNUSABLE, states == BRIGHT, states == DARK, states == RESTORED)
    expected = np.stack([each.sum(axis=(1, 2)) for each in masks], axis=1)
    found = screened_counts(da.from_array(states, chunks=CHUNKS)).sum(axis=(2, 3))
    np.testing.assert_array_equal(found.compute(), expected)
