"""Cube and model -> lazy mask, by dask.

::

    cube ── with halo ──▶ blocks of windows ── model ──▶ codes inside, weighted scores in a frame
         ── with those beside ──▶ cores ── with those above and below ──▶ codes, confidence

Frames live from a window to its neighbours: dask runs depth first, so a row of them, not a scene.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import partial

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph
from odc.geo.geobox import GeoBox

from pipeline.errors import ModelError
from pipeline.mask.lattice import Cover, geobox_cover, origin_px, read_geobox
from pipeline.mask.tasks import Chooser, Corer, Decider, Layout, Piece
from pipeline.types import Model, ModelCard

NEIGHBOURS = tuple(itertools.product((-1, 0, 1), repeat=2))
"""(down, right) of a block and those round it, in reading order."""


def mask_cube(cube: xr.Dataset, model: Model, geobox: GeoBox) -> da.Array:
    """Classify every pixel of a geobox; nothing runs before it is computed.

    Parameters
    ----------
    cube
        Cube over ``read_geobox(model.card.lattice, geobox)`` with the model's roles, dims
        (time, y, x).
    model
        What scores windows.
    geobox
        The part to keep, e.g. a tile's.

    Returns
    -------
    (time, y, x) uint8 codes of `Code`; no data where any role is NaN.

    Raises
    ------
    ModelError
        The cube lacks a role, lies elsewhere, or, when computed, is infinite somewhere, or the
        model failed in a window or gave something else than scores.
    """
    return _kept(cube, model, geobox, sure=False)[:, 0]


def mask_with_confidence(
    cube: xr.Dataset, model: Model, geobox: GeoBox
) -> tuple[da.Array, da.Array]:
    """Classify every pixel, and say how sure the model is; see `mask_cube`.

    Returns
    -------
    Codes as of `mask_cube`, and (time, y, x) uint8 the probability of the chosen class in per cent,
    0 where there is no data. Computed together they cost as much as one.
    """
    made = _kept(cube, model, geobox, sure=True)
    return made[:, 0], made[:, 1]


def _kept(cube: xr.Dataset, model: Model, geobox: GeoBox, *, sure: bool) -> da.Array:
    """Return (time, plane, y, x) codes, and confidence if asked, of a geobox."""
    card = model.card
    _check(cube, card, geobox)
    held = geobox_cover(card.lattice, geobox)
    made = _masked(cube, model, held, sure=sure)
    top, left = origin_px(geobox)
    ys = slice(top - held.top, top - held.top + geobox.shape.y)
    xs = slice(left - held.left, left - held.left + geobox.shape.x)
    return made[:, :, ys, xs]


def bytes_needed(card: ModelCard, rows: int, cols: int, workers: int) -> int:
    """Return what masking one scene takes beyond its cube and the model, in bytes.

    Parameters
    ----------
    card
        The model.
    rows, cols
        Cores of the scene, as of `geobox_cover`.
    workers
        Threads that mask.

    Notes
    -----
    The stacked roles once more; for each worker a block of windows with its copy for the model,
    and its scores as given, weighed and summed; and the scores of a row that wait for the next.
    """
    lattice, n_roles, n_classes = card.lattice, len(card.roles), len(card.classes)
    halo, core = 2 * lattice.halo_px, lattice.core_px
    stacked = (rows * core + halo) * (cols * core + halo) * n_roles * 4
    window = lattice.window_px**2 * 4
    waiting = 2 * (cols + 1) * (core + lattice.blend_px) ** 2 * 4 * n_classes
    return stacked + waiting + workers * card.batch * window * (2 * n_roles + 4 * n_classes)


def _check(cube: xr.Dataset, card: ModelCard, geobox: GeoBox) -> None:
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


# -- the three steps ---------------------------------------------------------------------------
#
# The graph is drawn by hand: three small tasks a block of windows. `da.map_overlap` does the same in a hundred
# tasks a window, which cost a tenth of what the network does.


def _masked(cube: xr.Dataset, model: Model, held: Cover, *, sure: bool) -> da.Array:
    """Return (time, plane, y, x) codes, and confidence if asked, of whole cores."""
    card = model.card
    layout = Layout.of(card, held)
    bands = [cube[role].data for role in card.roles]
    n_times = bands[0].shape[0]
    names = [band.name for band in bands]
    name = f"mask-{tokenize(*_identity(card), card.batch, held, names, sure)}"
    graph: dict[tuple[str | int, ...], object] = {}
    decider = Decider(model, layout, sure=sure)
    corer, chooser = Corer(card, sure), Chooser(card, sure)
    for time, (row, col) in itertools.product(range(n_times), layout.blocks()):
        at = (time, row, col)
        keys, places = pieces(bands, (slice(time, time + 1), *layout.rectangle(row, col)))
        # What is bound here is no part of the graph that dask walks through.
        graph[f"scores-{name}", *at] = (partial(decider, at, places=places), keys)
        beside = [
            (f"scores-{name}", time, row, each) if 0 <= each < len(layout.widths) else None
            for each in (col - 1, col, col + 1)
        ]
        graph[f"cores-{name}", *at] = (corer, beside)
        rows = [
            (f"cores-{name}", time, each, col) if 0 <= each < held.rows else None
            for each in (row, row - 1, row + 1)
        ]
        graph[name, time, 0, row, col] = (chooser, *rows)
    return da.Array(
        HighLevelGraph.from_collections(name, graph, dependencies=bands),
        name,
        chunks=((1,) * n_times, (2 if sure else 1,), *layout.chunks),
        meta=np.empty((0, 0, 0, 0), np.uint8),
    )


Key = tuple[str | int, ...]


def pieces(
    bands: Sequence[da.Array], wanted: tuple[slice, ...]
) -> tuple[list[list[Key]], list[list[Piece]]]:
    """Return, by band, the keys of the blocks that hold a box, and what to take from each."""
    found: dict[object, tuple[list[tuple[int, ...]], list[Piece]]] = {}
    keys: list[list[Key]] = []
    places: list[list[Piece]] = []
    for band in bands:
        # Mostly all bands have the same chunks.
        if band.chunks not in found:
            found[band.chunks] = _pieces(band.chunks, wanted)
        positions, taken = found[band.chunks]
        keys.append([(band.name, *each) for each in positions])
        places.append(taken)
    return keys, places


def _pieces(
    chunks: tuple[tuple[int, ...], ...], wanted: tuple[slice, ...]
) -> tuple[list[tuple[int, ...]], list[Piece]]:
    """Return the positions of the blocks that hold a box, and what to take from each."""
    along = [list(_cuts(sizes, span)) for sizes, span in zip(chunks, wanted, strict=True)]
    positions: list[tuple[int, ...]] = []
    places: list[Piece] = []
    for cuts in itertools.product(*along):
        positions.append(tuple(index for index, _, _ in cuts))
        places.append((tuple(taken for _, taken, _ in cuts), tuple(put for _, _, put in cuts)))
    return positions, places


def _cuts(sizes: tuple[int, ...], wanted: slice) -> Iterator[tuple[int, slice, slice]]:
    """Yield, of the chunks of an axis that a span meets, the position, what is taken, and where to."""
    start = 0
    for index, size in enumerate(sizes):
        first, last = max(start, wanted.start), min(start + size, wanted.stop)
        if first < last:
            put = slice(first - wanted.start, last - wanted.start)
            yield index, slice(first - start, last - start), put
        start += size


def _identity(card: ModelCard) -> tuple[str, ...]:
    """Return what tells the scores of models apart: dask need not hash their weights."""
    return (
        card.name,
        card.version,
        card.weights_sha256,
        repr(card.lattice),
        repr(sorted(card.options.items())),
    )
