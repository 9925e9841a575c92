"""Lazy arrays computed block by block: what Dask makes of them, and never more blocks at once than workers."""

import threading

import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.run.common.threads import in_blocks

SCENES = 3


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    st.integers(1, 5),
)
def test_blocks_are_what_dask_makes_and_no_more_at_once_than_workers(rows, cols, workers):
    in_work, most, lock = set(), [], threading.Lock()

    def read(block_info=None):
        where = block_info[None]
        place = tuple(where["chunk-location"][1:])
        with lock:
            in_work.add(place)
            most.append(len(in_work))
        return np.full(where["chunk-shape"], sum(where["chunk-location"]) % 97)

    def done(block, block_info=None):
        with lock:
            in_work.discard(tuple(block_info[0]["chunk-location"][1:]))
        return block.sum(axis=0)

    meta = np.empty((0, 0, 0), np.int64)
    chunks = ((1,) * SCENES, tuple(rows), tuple(cols))
    scenes = da.map_blocks(read, chunks=chunks, dtype=np.int64, meta=meta)
    whole = scenes.rechunk({0: -1}, method="tasks")
    total = whole.map_blocks(done, drop_axis=0, dtype=np.int64, meta=np.empty((0, 0), np.int64))
    expected = scenes.compute(scheduler="synchronous")
    in_work.clear()
    most.clear()
    np.testing.assert_array_equal(in_blocks([total], workers)[0], expected.sum(axis=0))
    assert max(most) <= workers
    for found in in_blocks([total, scenes], workers)[1:]:
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("workers", [1, 2, 9])
def test_what_a_task_raises_ends_all(workers):
    def read(block_info=None):
        place = block_info[None]["chunk-location"]
        if place[:2] == (1, 0):
            raise LookupError(place)
        return np.zeros(block_info[None]["chunk-shape"])

    chunks = ((1,) * SCENES, (2, 2), (2, 2))
    lazy = da.map_blocks(read, chunks=chunks, dtype=float, meta=np.empty((0, 0, 0)))
    with pytest.raises(LookupError, match=r"\(1, 0, "):
        in_blocks([lazy], workers)
    # Whoever computes again has all memory for it.
    assert not [each for each in threading.enumerate() if each.name.startswith("composing")]


def test_nothing_is_computed_of_nothing():
    assert in_blocks([], 2) == []
