"""Arrays whose graph is written out at once have the pixels that numpy makes, however they are divided."""

import pickle
from functools import partial
from operator import itemgetter

import dask
import dask.array as da
import numpy as np
from dask._task_spec import Task
from hypothesis import given
from hypothesis import strategies as st

from pipeline import lazy

SHAPE = (4, 9, 7)
WHOLE = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)


@st.composite
def sizes(draw, total):
    """Sizes of chunks along an axis."""
    ends = draw(st.sets(st.integers(1, total - 1), max_size=3))
    return tuple(np.diff([0, *sorted(ends), total]).tolist())


CHUNKS = st.tuples(*map(sizes, SHAPE))


def computed(array):
    return array.compute(scheduler="synchronous")


def joined(seen, twice, flags):
    return np.concatenate([seen, 2 * twice, np.where(flags, seen, 0)])


@given(CHUNKS, CHUNKS)
def test_columns_of_time_are_worked_on_as_the_whole(chunks, others):
    one, other = (da.from_array(WHOLE, chunks=each) for each in (chunks, others))
    flags = WHOLE % 3 > 0
    made = lazy.over(joined, [one, other, flags], 3 * SHAPE[0], np.float32)
    assert made.chunks == ((3 * SHAPE[0],), *chunks[1:])
    np.testing.assert_array_equal(computed(made), joined(WHOLE, WHOLE, flags))
    np.testing.assert_array_equal(
        lazy.over(joined, [WHOLE, WHOLE, flags], 3 * SHAPE[0], np.float32), computed(made)
    )


@given(CHUNKS, st.data())
def test_what_lies_within_rows_and_columns_is_a_slice(chunks, data):
    rows, cols = (
        slice(first, data.draw(st.integers(first + 1, size)))
        for size in SHAPE[1:]
        for first in [data.draw(st.integers(0, size - 1))]
    )
    cut = lazy.within(da.from_array(WHOLE, chunks=chunks), rows, cols)
    assert cut.shape == WHOLE[:, rows, cols].shape
    np.testing.assert_array_equal(computed(cut), WHOLE[:, rows, cols])


def block(at, rows, cols):
    """Two layers of one time: its pixels, and their negatives."""
    part = WHOLE[at : at + 1, rows, cols]
    return np.concatenate([part, -part])


def laid_out(chunks):
    ys, xs = chunks[1:]
    rows, cols = lazy.spans(ys), lazy.spans(xs)
    blocks = {
        (time, y, x): Task((f"block-{time}-{chunks}", y, x), block, time, rows[y], cols[x])
        for time, y, x in lazy.positions(range(SHAPE[0]), ys, xs)
    }
    wanted = {
        "own": lazy.Taken(itemgetter(slice(0, 1)), np.float32, 1),
        "less": lazy.Taken(itemgetter(slice(1, 2)), np.float32, 1),
    }
    return lazy.parts(blocks, (ys, xs), wanted)


@given(CHUNKS)
def test_parts_of_blocks_are_arrays_and_made_once(chunks):
    arrays = laid_out(chunks)
    own, less = dask.compute(arrays["own"], arrays["less"], scheduler="synchronous")
    np.testing.assert_array_equal(own, WHOLE)
    np.testing.assert_array_equal(less, -WHOLE)
    both = [*arrays.values(), laid_out(chunks)["own"]]
    made = lazy.over(lambda *each: np.concatenate(each), both, 3 * SHAPE[0], np.float32)
    np.testing.assert_array_equal(computed(made), np.concatenate([WHOLE, -WHOLE, WHOLE]))
    again = pickle.loads(pickle.dumps(arrays["less"]))
    np.testing.assert_array_equal(computed(again), -WHOLE)


def test_what_costs_nothing_is_no_task():
    arrays = laid_out(((1,) * 4, (9,), (7,)))
    made = lazy.over(partial(np.add), [*arrays.values()], SHAPE[0], np.float32)
    layers = lazy.parts_of(made, {"first": lazy.Taken(itemgetter(0), np.float32)})
    total = lazy.over(np.array, [made], SHAPE[0], np.float32)
    (graph,) = dask.optimize(total)
    # Four blocks, a column of each of the two, and their sum with what is made of it.
    assert len(dict(graph.dask)) <= 4 + 2 + 2
    np.testing.assert_array_equal(computed(layers["first"]), 0 * WHOLE[0])


def test_layers_of_several_times_are_parts_too():
    whole = da.from_array(np.stack([WHOLE, 2 * WHOLE], axis=1), chunks=(1, 2, 4, 7))
    second = lazy.parts_of(
        whole, {"second": lazy.Taken(itemgetter((slice(None), 1)), np.float32, 1)}
    )["second"]
    np.testing.assert_array_equal(computed(second), 2 * WHOLE)
