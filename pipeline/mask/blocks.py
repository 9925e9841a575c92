"""Cube and model -> lazy mask, as a Dask graph.

::

    cube ── with halo ──▶ blocks of windows ── model ──▶ codes inside, weighted scores at the edges
         ── plus the block to the left ──▶ rows ── plus the bottom edge above ──▶ codes, confidence

A block depends only on blocks before it in reading order. Dask runs depth first, so that memory holds the bottom
edges of one row of blocks, not a scene.
"""

from __future__ import annotations

from operator import itemgetter

import dask.array as da
import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from pipeline import lazy
from pipeline.errors import ModelError
from pipeline.mask.graph import BlockTasks, drawn
from pipeline.mask.lattice import geobox_cores, origin_px, read_geobox
from pipeline.mask.layout import Layout
from pipeline.mask.overlap_add import Choose, by_card
from pipeline.mask.shared import SharedWindows
from pipeline.mask.tasks import AddAbove, AddLeft, Decider, bottoms
from pipeline.types import Model, ModelCard


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
    (codes,) = planes(_kept(cube, model, geobox, None, confidence=False))
    return codes


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
    codes, confidence = planes(_kept(cube, model, geobox, shared, confidence=True))
    return codes, confidence


def planes(made: da.Array) -> list[da.Array]:
    """Return (time, y, x) of each plane of (time, plane, y, x) uint8."""
    wanted = {
        f"plane-{number}": lazy.Taken(itemgetter((slice(None), number)), np.uint8, 1)
        for number in range(made.shape[1])
    }
    return [*lazy.parts_of(made, wanted).values()]


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
