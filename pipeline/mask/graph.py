"""The Dask graph of a mask, or of blended scores.

It is built by hand, with one to four small tasks per block of windows: what no neighbour needs of a block is no task of its own.
`da.map_overlap` makes a hundred tasks per window, which take a tenth of the network's time.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import dask.array as da
import xarray as xr
from dask._task_spec import List, Task, TaskRef
from dask.base import tokenize
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from pipeline import lazy
from pipeline.lazy import Key
from pipeline.mask.lattice import origin_px, read_geobox
from pipeline.mask.layout import Layout
from pipeline.mask.tasks import Piece, Scorer
from pipeline.types import Lattice, ModelCard


@dataclass(frozen=True, slots=True)
class BlockTasks:
    """The tasks of a block of windows."""

    score: Scorer
    """Called with the block's index (time, row, column), pieces of bands and their places in the block."""
    add_left: Callable[[Any, Any], Any]
    """Called with the results of `score` for the block to the left (None if there is none) and for this block."""
    bottom: Callable[[Any], Any]
    """Called with the result of `add_left`; returns the part that the block below needs."""
    add_above: Callable[[Any, Any], NDArray[Any]]
    """Called with the result of `bottom` for the block above (None if there is none) and that of `add_left` for this
    block; returns (1, plane, Y, X)."""


def drawn(
    name: str,
    cube: xr.Dataset,
    layout: Layout,
    tasks: BlockTasks,
    geobox: GeoBox,
    meta: NDArray[Any],
) -> da.Array:
    """Build the Dask graph of a mask, or of blended scores.

    Parameters
    ----------
    name
        Prefix of the task names.
    cube
        (time, y, x), covering at least the pixels that the lattice reads for the geobox.
    layout
        Layout of the windows that decide the geobox.
    tasks
        The functions to run for each block.
    geobox
        The pixels to return.
    meta
        (0, plane, 0, 0) array with the dtype of the result.

    Returns
    -------
    (time, plane, y, x).
    """
    card, cores = tasks.score.card, layout.cores
    down, right = _offset(cube, card.lattice, geobox)
    bands = [cube[role].data for role in card.roles]
    n_times, names = bands[0].shape[0], [band.name for band in bands]
    name = f"{name}-{tokenize(*identity(card), card.batch, cores, down, right, names, str(geobox))}"
    top, left = origin_px(geobox)
    reach = card.lattice.reach_px
    ys = _moved(slice(0, geobox.shape.y), top - cores.top - reach)
    xs = _moved(slice(0, geobox.shape.x), left - cores.left - reach)
    kept = [_kept_of(*each) for each in zip(layout.chunks, (ys, xs), strict=True)]
    graph: dict[Key, Task] = {}
    for time, (row, col) in itertools.product(range(n_times), layout.blocks()):
        ys, xs = layout.rectangle(row, col)
        seen = (slice(time, time + 1), _moved(ys, down), _moved(xs, right))
        at, (given, places) = (time, row, col), pieces(bands, seen)
        # Bound as partial arguments, so that Dask does not traverse them as part of the graph.
        score = partial(tasks.score, at, places=places)
        more, whole = _block(
            name, layout, tasks, at, Task(("scores-" + name, *at), score, given)
        )
        graph |= more
        if row in kept[0] and col in kept[1]:
            (y, taken_y), (x, taken_x) = kept[0][row], kept[1][col]
            key = (name, time, 0, y, x)
            graph[key] = Task(key, _cut, whole, taken_y, taken_x)
    sizes = [tuple(each.stop - each.start for _, each in along.values()) for along in kept]
    chunks = ((1,) * n_times, meta.shape[1:2], *sizes)
    return lazy.array(name, graph, chunks, meta.dtype.type, bands)


def _block(
    name: str, layout: Layout, work: BlockTasks, at: lazy.Position, scores: Task
) -> tuple[dict[Key, Task], Task]:
    """Return the tasks whose results neighbours of a block need, and what makes the block; what no neighbour needs is part of that."""
    time, row, col = at
    made: dict[Key, Task] = {}

    def needed(task: Task, by: bool) -> Task | TaskRef:
        if by:
            made[task.key] = task
        return task.ref() if by else task

    before = TaskRef((f"scores-{name}", time, row, col - 1)) if col else None
    own = needed(scores, by=col + 1 < len(layout.widths))
    below = row + 1 < layout.cores.rows
    line = needed(Task((f"row-{name}", *at), work.add_left, before, own), by=below)
    if below:
        needed(Task((f"bottom-{name}", *at), work.bottom, line), by=True)
    above = TaskRef((f"bottom-{name}", time, row - 1, col)) if row else None
    return made, Task((f"whole-{name}", *at), work.add_above, above, line)


def _kept_of(sizes: tuple[int, ...], wanted: slice) -> dict[int, tuple[int, slice]]:
    """Return for each chunk of an axis that overlaps a span its position among those, and what overlaps."""
    found = enumerate(lazy.cuts(sizes, wanted))
    return {index: (position, taken) for position, (index, taken, _) in found}


def _cut(block: NDArray[Any], rows: slice, cols: slice) -> NDArray[Any]:
    return block[..., rows, cols]


def _offset(cube: xr.Dataset, lattice: Lattice, geobox: GeoBox) -> tuple[int, int]:
    """Return the (row, column) of a cube at which the pixels that a lattice reads for a geobox begin."""
    cube_top, cube_left = origin_px(cube.odc.geobox)
    top, left = origin_px(read_geobox(lattice, geobox))
    return top - cube_top, left - cube_left


def _moved(span: slice, by: int) -> slice:
    return slice(span.start + by, span.stop + by)


def pieces(
    bands: Sequence[da.Array], wanted: tuple[slice, ...]
) -> tuple[List, list[list[Piece]]]:
    """Return, by band, what makes the blocks that overlap a box, and the slices to take from each."""
    found: dict[object, tuple[list[tuple[int, ...]], list[Piece]]] = {}
    given: list[List] = []
    places: list[list[Piece]] = []
    for band in bands:
        # Usually all bands have the same chunks.
        if band.chunks not in found:
            found[band.chunks] = _pieces(band.chunks, wanted)
        positions, taken = found[band.chunks]
        given.append(List(*(lazy.reference(band, *each) for each in positions)))
        places.append(taken)
    return List(*given), places


def _pieces(
    chunks: tuple[tuple[int, ...], ...], wanted: tuple[slice, ...]
) -> tuple[list[tuple[int, ...]], list[Piece]]:
    """Return the positions of the blocks that overlap a box, and the slices to take from each."""
    along = [list(lazy.cuts(sizes, span)) for sizes, span in zip(chunks, wanted, strict=True)]
    positions: list[tuple[int, ...]] = []
    places: list[Piece] = []
    for cut in itertools.product(*along):
        positions.append(tuple(index for index, _, _ in cut))
        places.append((tuple(taken for _, taken, _ in cut), tuple(put for _, _, put in cut)))
    return positions, places


def identity(card: ModelCard) -> tuple[str, ...]:
    """Return what identifies the scores of a model, so that Dask need not hash its weights."""
    return (
        card.name,
        card.version,
        card.weights_sha256,
        repr(card.lattice),
        repr(sorted(card.options.items())),
    )
