"""Cube and model -> lazy mask, as a Dask graph.

::

    cube ── with halo ──▶ blocks of windows ── model ──▶ codes inside, weighted scores at the edges
         ── plus the block to the left ──▶ rows ── plus the bottom edge above ──▶ codes, confidence

A block depends only on blocks before it in reading order. Dask runs depth first, so that memory holds the bottom
edges of one row of blocks, not a scene.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from pipeline.errors import ModelError
from pipeline.mask.lattice import geobox_cores, origin_px, read_geobox
from pipeline.mask.layout import Layout, cuts
from pipeline.mask.overlap_add import Choose, by_card
from pipeline.mask.shared import SharedWindows
from pipeline.mask.tasks import AddAbove, AddLeft, Decider, Piece, Scorer, bottoms
from pipeline.types import Lattice, Model, ModelCard


def mask_cube(cube: xr.Dataset, model: Model, geobox: GeoBox) -> da.Array:
    """Classify every pixel of a geobox; nothing runs before it is computed.

    Parameters
    ----------
    cube
        Cube over ``read_geobox(model.card.lattice, geobox)`` with the model's roles, dims
        (time, y, x).
    model
        The model that scores windows.
    geobox
        The pixels to classify, e.g. those of a tile.

    Returns
    -------
    (time, y, x) uint8 codes of `Code`; no data where any role is NaN.

    Raises
    ------
    ModelError
        The cube lacks a role or does not cover the region to read. When computed: a value is infinite, or the
        model failed or returned no valid scores.
    """
    return _kept(cube, model, geobox, None, confidence=False)[:, 0]


def mask_with_confidence(
    cube: xr.Dataset, model: Model, geobox: GeoBox, shared: SharedWindows | None = None
) -> tuple[da.Array, da.Array]:
    """Classify every pixel, with the probability of its class; see `mask_cube`.

    Parameters
    ----------
    cube, model, geobox
        As of `mask_cube`.
    shared
        Cache of windows that the geobox shares with its neighbours; read and added to.

    Returns
    -------
    Codes as of `mask_cube`, and (time, y, x) uint8 the probability of the chosen class in per cent,
    0 where there is no data. Computed together they cost as much as one.
    """
    made = _kept(cube, model, geobox, shared, confidence=True)
    return made[:, 0], made[:, 1]


def _kept(
    cube: xr.Dataset,
    model: Model,
    geobox: GeoBox,
    shared: SharedWindows | None,
    *,
    confidence: bool,
) -> da.Array:
    """Return (time, plane, y, x) codes, and confidence if asked, of a geobox."""
    layout = Layout.of(model.card, geobox_cores(model.card.lattice, geobox))
    decider = Decider(model, layout, shared, confidence=confidence)
    chosen = by_card(model.card, confidence=confidence)
    return decided(cube, layout, decider, chosen, geobox, confidence=confidence)


def decided(
    cube: xr.Dataset,
    layout: Layout,
    decider: Decider,
    chosen: Choose,
    geobox: GeoBox,
    *,
    confidence: bool,
) -> da.Array:
    """Return (time, plane, y, x) of a geobox: windows that a decider decides, their overlaps chosen from sums of scores."""
    check(cube, decider.card, geobox)
    tasks = BlockTasks(decider, AddLeft(layout.lattice, chosen), bottoms, AddAbove(chosen))
    made = np.empty((0, 2 if confidence else 1, 0, 0), np.uint8)
    return drawn(f"mask-{confidence}", cube, layout, tasks, geobox, made)


def bytes_needed(card: ModelCard, rows: int, cols: int, workers: int) -> int:
    """Estimate the memory of masking one scene, in bytes, without its cube and the model.

    Parameters
    ----------
    card
        The model.
    rows, cols
        Cores of the scene, as of `geobox_cores`.
    workers
        Threads that mask.

    Notes
    -----
    The sum of: a stacked copy of the roles; for each worker a block of windows, its copy for the model, and its
    scores as returned, weighted and summed; and the scores of a row that wait for the next row.
    """
    lattice, n_roles, n_classes = card.lattice, len(card.roles), len(card.classes)
    halo, core = 2 * lattice.halo_px, lattice.core_px
    stacked = (rows * core + halo) * (cols * core + halo) * n_roles * 4
    window = lattice.window_px**2 * 4
    waiting = 2 * (cols + 1) * (core + lattice.blend_px) ** 2 * 4 * n_classes
    return stacked + waiting + workers * card.batch * window * (2 * n_roles + 4 * n_classes)


def check(cube: xr.Dataset, card: ModelCard, geobox: GeoBox) -> None:
    """Refuse a cube that lacks a role of a model, or covers other pixels than it reads for a geobox.

    Raises
    ------
    ModelError
        It does.
    """
    missing = [role for role in card.roles if role not in cube]
    if missing:
        raise ModelError(f"model {card.name} needs {', '.join(missing)}, which the cube lacks")
    expected = read_geobox(card.lattice, geobox)
    if not _same_place(cube.odc.geobox, expected):
        raise ModelError(
            f"model {card.name} needs a cube over {expected.boundingbox}, got one over "
            f"{cube.odc.geobox.boundingbox}"
        )


def _same_place(one: GeoBox, other: GeoBox) -> bool:
    # Not `==`: a geobox that went through float coordinates may differ in the last bits.
    return (
        one.shape == other.shape and one.crs == other.crs and origin_px(one) == origin_px(other)
    )


# -- the graph ---------------------------------------------------------------------------------
#
# The graph is built by hand, with four small tasks per block of windows. `da.map_overlap` makes a hundred tasks per
# window, which take a tenth of the network's time.


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
    name = f"{name}-{tokenize(*_identity(card), card.batch, cores, down, right, names)}"
    graph: dict[Key, object] = {}
    for time, (row, col) in itertools.product(range(n_times), layout.blocks()):
        ys, xs = layout.rectangle(row, col)
        seen = (slice(time, time + 1), _moved(ys, down), _moved(xs, right))
        keys, places = pieces(bands, seen)
        at = (time, row, col)
        # Bound as partial arguments, so that Dask does not traverse them as part of the graph.
        graph[f"scores-{name}", *at] = (partial(tasks.score, at, places=places), keys)
        before = (f"scores-{name}", time, row, col - 1) if col else None
        graph[f"row-{name}", *at] = (tasks.add_left, before, (f"scores-{name}", *at))
        graph[f"bottom-{name}", *at] = (tasks.bottom, (f"row-{name}", *at))
        above = (f"bottom-{name}", time, row - 1, col) if row else None
        graph[name, time, 0, row, col] = (tasks.add_above, above, (f"row-{name}", *at))
    made = da.Array(
        HighLevelGraph.from_collections(name, graph, dependencies=bands),
        name,
        chunks=((1,) * n_times, meta.shape[1:2], *layout.chunks),
        meta=meta[:, :0],
    )
    top, left = origin_px(geobox)
    reach = card.lattice.reach_px
    ys = _moved(slice(0, geobox.shape.y), top - cores.top - reach)
    xs = _moved(slice(0, geobox.shape.x), left - cores.left - reach)
    return made[:, :, ys, xs]


def _offset(cube: xr.Dataset, lattice: Lattice, geobox: GeoBox) -> tuple[int, int]:
    """Return the (row, column) of a cube at which the pixels that a lattice reads for a geobox begin."""
    cube_top, cube_left = origin_px(cube.odc.geobox)
    top, left = origin_px(read_geobox(lattice, geobox))
    return top - cube_top, left - cube_left


def _moved(span: slice, by: int) -> slice:
    return slice(span.start + by, span.stop + by)


Key = tuple[str | int, ...]


def pieces(
    bands: Sequence[da.Array], wanted: tuple[slice, ...]
) -> tuple[list[list[Key]], list[list[Piece]]]:
    """Return, by band, the keys of the blocks that overlap a box, and the slices to take from each."""
    found: dict[object, tuple[list[tuple[int, ...]], list[Piece]]] = {}
    keys: list[list[Key]] = []
    places: list[list[Piece]] = []
    for band in bands:
        # Usually all bands have the same chunks.
        if band.chunks not in found:
            found[band.chunks] = _pieces(band.chunks, wanted)
        positions, taken = found[band.chunks]
        keys.append([(band.name, *each) for each in positions])
        places.append(taken)
    return keys, places


def _pieces(
    chunks: tuple[tuple[int, ...], ...], wanted: tuple[slice, ...]
) -> tuple[list[tuple[int, ...]], list[Piece]]:
    """Return the positions of the blocks that overlap a box, and the slices to take from each."""
    along = [list(cuts(sizes, span)) for sizes, span in zip(chunks, wanted, strict=True)]
    positions: list[tuple[int, ...]] = []
    places: list[Piece] = []
    for cut in itertools.product(*along):
        positions.append(tuple(index for index, _, _ in cut))
        places.append((tuple(taken for _, taken, _ in cut), tuple(put for _, _, put in cut)))
    return positions, places


def _identity(card: ModelCard) -> tuple[str, ...]:
    """Return what identifies the scores of a model, so that Dask need not hash its weights."""
    return (
        card.name,
        card.version,
        card.weights_sha256,
        repr(card.lattice),
        repr(sorted(card.options.items())),
    )
