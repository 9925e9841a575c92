"""Cube and a combined model -> lazy mask: each member runs on its own lattice; results join pixel by pixel.

::

    cube ── member, its own windows ──▶ blended scores ──┐
         ── member, its own windows ──▶ blended scores ──┴─ combined ──▶ codes, confidence

Members need no common lattice: a member's scores do not depend on how the region is partitioned, so neither does a
result that is computed from them pixel by pixel. Members that share one are asked window by window instead, to the same bits
(`pipeline.mask.joint`).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from pipeline.mask import blocks, graph
from pipeline.mask.decide import choose
from pipeline.mask.joint import Combination, combine, joint_windows, share_windows
from pipeline.mask.lattice import geobox_cores
from pipeline.mask.layout import Layout
from pipeline.mask.shared import SharedWindows
from pipeline.mask.tasks import AddAboveScores, AddLeftScores, BottomScores, Scorer
from pipeline.types import Model, ModelCard

FloatArray = NDArray[np.float32]


def mask_cube(cube: xr.Dataset, model: Model, geobox: GeoBox) -> da.Array:
    """Classify every pixel of a geobox by any model; see `pipeline.mask.blocks.mask_cube`."""
    if not isinstance(model, Combination):
        return blocks.mask_cube(cube, model, geobox)
    return mask_with_confidence(cube, model, geobox)[0]


def mask_with_confidence(
    cube: xr.Dataset, model: Model, geobox: GeoBox, shared: SharedWindows | None = None
) -> tuple[da.Array, da.Array]:
    """Classify every pixel, with the probability of its class; see `pipeline.mask.blocks`.

    Parameters
    ----------
    cube
        Cube over ``read_geobox(model.card.lattice, geobox)`` with the model's roles, dims
        (time, y, x).
    model
        One model, or a `Combination` of several.
    geobox
        The pixels to classify, e.g. those of a tile.
    shared
        As of `pipeline.mask.blocks.mask_with_confidence`; a `Combination` uses it if its members share one lattice.

    Returns
    -------
    Codes and confidence, (time, y, x) uint8 each; no data where a band of any member is NaN.

    Raises
    ------
    ModelError
        As of `pipeline.mask.blocks.mask_cube`; the message names the member.
    """
    if not isinstance(model, Combination):
        return blocks.mask_with_confidence(cube, model, geobox, shared)
    if share_windows(model):
        codes, confidence = blocks.planes(joint_windows(cube, model, geobox, shared))
        return codes, confidence
    blocks.check(cube, model.card, geobox)
    scores = _scored(cube, model, geobox)
    made = da.map_blocks(
        _Choice(model.card),
        scores,
        chunks=(scores.chunks[0], (2,), *scores.chunks[2:]),
        meta=np.empty((0, 0, 0, 0), np.uint8),
        name=f"mask-{tokenize(scores.name)}",
    )
    codes, confidence = blocks.planes(made)
    return codes, confidence


def _scored(cube: xr.Dataset, model: Model, geobox: GeoBox) -> da.Array:
    """Return (time, K, y, x) blended scores of a geobox's pixels, NaN where there is no data."""
    if not isinstance(model, Combination):
        return _blended(cube, model, geobox)
    parts = [_scored(cube, each, geobox) for each in model.members]
    ys, xs = (_finest([part.chunks[axis] for part in parts]) for axis in (2, 3))
    parts = [part.rechunk({2: ys, 3: xs}, method="tasks") for part in parts]
    return da.map_blocks(
        _Join(model),
        *parts,
        chunks=(parts[0].chunks[0], (len(model.card.classes),), ys, xs),
        meta=np.empty((0, 0, 0, 0), np.float32),
        name=f"joined-{tokenize(*graph.identity(model.card), [part.name for part in parts])}",
    )


def _finest(chunks: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Return the chunks of an axis with the boundaries of several chunkings."""
    ends = sorted({end for each in chunks for end in itertools.accumulate(each)})
    return tuple(end - start for start, end in itertools.pairwise((0, *ends)))


def _blended(cube: xr.Dataset, model: Model, geobox: GeoBox) -> da.Array:
    """Return (time, K, y, x) the overlap-added scores of a geobox's pixels."""
    card = model.card
    layout = Layout.of(card, geobox_cores(card.lattice, geobox))
    lattice = card.lattice
    tasks = graph.BlockTasks(
        Scorer(model, layout),
        AddLeftScores(lattice),
        BottomScores(lattice),
        AddAboveScores(lattice),
    )
    meta = np.empty((0, len(card.classes), 0, 0), np.float32)
    return graph.drawn("blended", cube, layout, tasks, geobox, meta)


# -- tasks -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Join:
    """Scores of a block by each member -> (1, C, y, x) combined scores, NaN where any member has no data."""

    model: Combination

    def __call__(self, *scores: FloatArray) -> FloatArray:
        missing = np.logical_or.reduce([np.isnan(each[:, :1]) for each in scores])
        filled = [np.where(missing, np.float32(0), each) for each in scores]
        return np.where(missing, np.float32(np.nan), combine(self.model, filled))


@dataclass(frozen=True, slots=True)
class _Choice:
    """(1, C, y, x) scores of a block -> (1, 2, y, x) codes and confidence."""

    card: ModelCard

    def __call__(self, scores: FloatArray) -> NDArray[np.uint8]:
        codes: NDArray[np.uint8] = choose(
            self.card, scores, np.isnan(scores[:, 0]), confidence=True
        )
        return codes
