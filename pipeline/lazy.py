"""Dask arrays whose graph is written out at once, a layer each.

Dask lays graphs out call by call: each `map_blocks`, slice or `stack` hashes its arguments, guesses types and makes a layer, whose
tasks are then ordered and handed to a thread one by one. For small blocks that takes longer than reading them. So a function here
makes all tasks of an array, and what costs nothing (`Taken`) is no task of its own for those who ask by these functions.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import dask.array as da
import numpy as np
from dask._task_spec import Task, TaskRef
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph, Layer, MaterializedLayer
from numpy.typing import NDArray

Key = tuple[str | int, ...]
Position = tuple[int, int, int]
Chunks = tuple[tuple[int, ...], ...]
Block = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Taken:
    """Takes a part of a block, as a band or a window, without a task of its own: whatever needs the part takes it again, which costs next to nothing."""

    take: Callable[[Block], Block]
    """Block -> part."""
    dtype: type[np.generic]
    size: int | None = None
    """Length of the part (time, y, x) along time; None: it is (y, x), of the only block along time."""

    def __call__(self, block: Block) -> Block:
        """Take the part."""
        return self.take(block)


class _Layer(MaterializedLayer):  # type: ignore[misc]
    """A layer that asks for nothing where none of its own tasks is needed.

    Dask's compares numbers: one that has as many tasks as are needed of other layers it takes for needed as a whole.
    """

    def cull(
        self, keys: set[Key], all_hlg_keys: Collection[Key]
    ) -> tuple[Layer, Mapping[Key, set[Key]]]:
        """Return what is needed for those of some keys that are the layer's, and what each task takes."""
        needed = keys & self.mapping.keys()
        culled: tuple[Layer, Mapping[Key, set[Key]]] = super().cull(needed, all_hlg_keys)
        return culled if needed else (self, {})


def array(
    name: str,
    tasks: Mapping[Key, Task],
    chunks: Chunks,
    dtype: type[np.generic],
    of: Sequence[da.Array] = (),
) -> da.Array:
    """Return the array of some tasks, one a chunk.

    Parameters
    ----------
    name
        Unlike that of any other array that is not the same.
    tasks
        (name, *position of the chunk) -> task.
    chunks, dtype
        Of the array.
    of
        The arrays whose chunks, or of whose parts the blocks, the tasks take.
    """
    layers, dependencies = dict[str, Any](), dict[str, set[str]]()
    near = {each.name for each in of}
    for each in of:
        layers |= each.dask.layers
        dependencies |= each.dask.dependencies
    # What parts are taken of lies beyond the arrays themselves.
    near = near.union(*(dependencies[name] for name in near))
    return _added(name, tasks, chunks, dtype, HighLevelGraph(layers, dependencies), near)


def _added(
    name: str,
    tasks: Mapping[Key, Task],
    chunks: Chunks,
    dtype: type[np.generic],
    graph: HighLevelGraph,
    near: set[str],
) -> da.Array:
    """Add a layer to a graph of which it needs some others."""
    layers = {**graph.layers, name: _Layer(tasks)}
    whole = HighLevelGraph(layers, {**graph.dependencies, name: near})
    meta = np.empty((0,) * len(chunks), dtype)
    return da.Array(whole, name, chunks=chunks, meta=meta)


def parts(
    blocks: Mapping[Position, Task], chunks: Chunks, wanted: Mapping[str, Taken]
) -> dict[str, da.Array]:
    """Return arrays that are parts of blocks, by name.

    Parameters
    ----------
    blocks
        Position of a chunk (time, y, x) -> what makes the block of which it is a part. Tasks of one key in several calls are one.
    chunks
        Sizes along y and x.
    wanted
        Name -> what to take of each block.
    """
    keys = {at: task.key for at, task in blocks.items()}
    name = f"blocks-{tokenize(list(keys.values()))}"
    layer = _Layer({task.key: task for task in blocks.values()})
    graph = HighLevelGraph({name: layer}, {name: set[str]()})
    return _taken(keys, graph, name, chunks, wanted)


def parts_of(array_: Any, wanted: Mapping[str, Taken]) -> dict[str, Any]:  # noqa: ANN401 -- numpy's or dask's
    """Return arrays that are parts of an array (layer, y, x) or (time, layer, y, x), or lazily of its chunks, by name."""
    if not isinstance(array_, da.Array):
        return {name: part(array_) for name, part in wanted.items()}
    *times, _, ys, xs = array_.chunks
    keys: dict[Position, Key] = {
        (at[0] if times else 0, at[-2], at[-1]): (array_.name, *at)
        for at in positions(*array_.chunks)
    }
    return _taken(keys, array_.dask, array_.name, (ys, xs), wanted)


def _taken(
    blocks: Mapping[Position, Key],
    graph: HighLevelGraph,
    layer: str,
    chunks: Chunks,
    wanted: Mapping[str, Taken],
) -> dict[str, da.Array]:
    token, n_times = tokenize(list(blocks.values())), 1 + max(time for time, _, _ in blocks)
    arrays = {}
    for name, part in wanted.items():
        own, skip = f"{name}-{token}", part.size is None
        tasks = dict[Key, Task]()
        for at, block in blocks.items():
            key: Key = (own, *at[skip:])
            tasks[key] = Task(key, part, TaskRef(block))
        sizes = chunks if part.size is None else ((part.size,) * n_times, *chunks)
        arrays[name] = _added(own, tasks, sizes, part.dtype, graph, {layer})
    return arrays


def reference(array: da.Array, *at: int) -> Task | TaskRef:
    """Return what stands for a chunk among a task's arguments: of a part its taking, of others its key."""
    key = (array.name, *at)
    layer = array.dask.layers[array.name]
    if isinstance(layer, _Layer):
        task = layer.mapping[key]
        if isinstance(task, Task) and isinstance(task.func, Taken):
            return task
    return TaskRef(key)


def within(array_: da.Array, rows: slice, cols: slice) -> da.Array:
    """Return some rows and columns of an array (time, y, x)."""
    times, ys, xs = array_.chunks
    at_y, at_x = [*cuts(ys, rows)], [*cuts(xs, cols)]
    name, tasks = f"within-{tokenize(array_.name, rows, cols)}", dict[Key, Task]()
    for time, (y, (row, taken_y, _)), (x, (col, taken_x, _)) in itertools.product(
        range(len(times)), enumerate(at_y), enumerate(at_x)
    ):
        cut = Taken(itemgetter((slice(None), taken_y, taken_x)), array_.dtype.type)
        key = (name, time, y, x)
        tasks[key] = Task(key, cut, reference(array_, time, row, col))
    chunks = (times, *(tuple(put.stop - put.start for _, _, put in at) for at in (at_y, at_x)))
    return array(name, tasks, chunks, array_.dtype.type, [array_])


def cuts(sizes: Sequence[int], wanted: slice) -> Iterator[tuple[int, slice, slice]]:
    """Yield, for each chunk of an axis that overlaps a span, its position, the source and the target slice."""
    for index, span in enumerate(spans(sizes)):
        first, last = max(span.start, wanted.start), min(span.stop, wanted.stop)
        if first < last:
            put = slice(first - wanted.start, last - wanted.start)
            yield index, slice(first - span.start, last - span.start), put


def over(
    work: Callable[..., Block], arrays: Sequence[Any], size: int, dtype: type[np.generic]
) -> Any:  # noqa: ANN401 -- numpy's or dask's
    """Apply a function to arrays (time, y, x): at once, or lazily to whole columns of time.

    Parameters
    ----------
    work
        Blocks of the arrays -> (size, y, x).
    arrays
        Numpy's or Dask's, of which the first that is lazy says what the blocks are.
    size, dtype
        Of what is made.
    """
    lazy = [each for each in arrays if isinstance(each, da.Array)]
    if not lazy:
        return work(*arrays)
    _, ys, xs = lazy[0].chunks
    rows, cols = spans(ys), spans(xs)
    given = [_columns(each, ys, xs) if isinstance(each, da.Array) else each for each in arrays]
    hashed = [each.name if isinstance(each, da.Array) else each for each in given]
    name, tasks = f"made-{tokenize(work, hashed)}", dict[Key, Task]()
    for y, x in positions(ys, xs):
        pieces = [
            reference(each, 0, y, x)
            if isinstance(each, da.Array)
            else each[:, rows[y], cols[x]]
            for each in given
        ]
        tasks[name, 0, y, x] = Task((name, 0, y, x), work, *pieces)
    of = [each for each in given if isinstance(each, da.Array)]
    return array(name, tasks, ((size,), ys, xs), dtype, of)


def _columns(array_: da.Array, ys: tuple[int, ...], xs: tuple[int, ...]) -> da.Array:
    """Return (time, y, x) in chunks that have all times, and these sizes along y and x."""
    times, *chunks = array_.chunks
    if chunks != [ys, xs]:
        # Without a method Dask imports distributed, to look for a client.
        return array_.rechunk({0: -1, 1: ys, 2: xs}, method="tasks")
    if len(times) == 1:
        return array_
    name, tasks = f"columns-{array_.name}", dict[Key, Task]()
    for y, x in positions(ys, xs):
        pieces = [reference(array_, time, y, x) for time in range(len(times))]
        tasks[name, 0, y, x] = Task((name, 0, y, x), _joined, *pieces)
    return array(name, tasks, ((sum(times),), ys, xs), array_.dtype.type, [array_])


def positions(*sizes: Sequence[object]) -> Iterator[tuple[int, ...]]:
    """Yield the positions of all chunks."""
    return itertools.product(*(range(len(each)) for each in sizes))


def spans(sizes: Sequence[int]) -> list[slice]:
    """Return where the chunks of an axis lie."""
    return [
        slice(end - size, end)
        for size, end in zip(sizes, itertools.accumulate(sizes), strict=True)
    ]


def _joined(*blocks: Block) -> Block:
    return np.concatenate(blocks)
