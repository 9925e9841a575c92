"""Cube and model -> lazy mask, by dask.

::

    cube ── with halo ──▶ blocks of windows ── model ──▶ weighted scores
         ── with neighbours ──▶ sums ── most probable class ──▶ codes, confidence

Scores live from a window to its neighbours: dask runs depth first, so a row of them, not a scene.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from pipeline.errors import CloudmaskError, ModelError
from pipeline.mask import queue, scores
from pipeline.mask.lattice import Cover, geobox_cover, origin_px, read_geobox
from pipeline.types import Lattice, Model, ModelCard

FloatArray = NDArray[np.float32]
_Piece = tuple[tuple[slice, ...], tuple[slice, ...]]
"""What is taken from a block of a band, and where it is put in a block of windows."""

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
    return mask_with_confidence(cube, model, geobox)[0]


def mask_with_confidence(
    cube: xr.Dataset, model: Model, geobox: GeoBox
) -> tuple[da.Array, da.Array]:
    """Classify every pixel, and say how sure the model is; see `mask_cube`.

    Returns
    -------
    Codes as of `mask_cube`, and (time, y, x) uint8 the probability of the chosen class in per cent,
    0 where there is no data. Computed together they cost as much as one.
    """
    card = model.card
    _check(cube, card, geobox)
    held = geobox_cover(card.lattice, geobox)
    made = _masked(cube, model, held)
    top, left = origin_px(geobox)
    ys = slice(top - held.top, top - held.top + geobox.shape.y)
    xs = slice(left - held.left, left - held.left + geobox.shape.x)
    return made[:, 0, ys, xs], made[:, 1, ys, xs]


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


# -- the two steps -----------------------------------------------------------------------------
#
# The graph is drawn by hand: one task a block of windows and one a block of codes. `da.map_overlap`
# does the same in a hundred tasks a window, which cost a tenth of what the network does.


@dataclass(frozen=True, slots=True)
class _Layout:
    """Which windows of a scene stand in which block: one row, and up to a batch side by side."""

    lattice: Lattice
    held: Cover
    widths: tuple[int, ...]
    """Number of windows of each block of a row."""

    @classmethod
    def of(cls, card: ModelCard, held: Cover) -> _Layout:
        starts = range(0, held.cols, card.batch)
        widths = tuple(min(card.batch, held.cols - start) for start in starts)
        return cls(card.lattice, held, widths)

    def first(self, col: int) -> int:
        """Return the position of a block's first window in its row."""
        return sum(self.widths[:col])

    def rectangle(self, row: int, col: int) -> tuple[slice, slice]:
        """Return the pixels (y, x) that a block of windows sees, counted in what is read."""
        core, halo = self.lattice.core_px, 2 * self.lattice.halo_px
        top, left = row * core, self.first(col) * core
        width = self.widths[col] * core
        return slice(top, top + core + halo), slice(left, left + width + halo)

    @property
    def chunks(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Sizes of the blocks of codes."""
        core = self.lattice.core_px
        return (core,) * self.held.rows, tuple(core * width for width in self.widths)

    def blocks(self) -> Iterator[tuple[int, int]]:
        """Yield every block's row and column."""
        return itertools.product(range(self.held.rows), range(len(self.widths)))


def _masked(cube: xr.Dataset, model: Model, held: Cover) -> da.Array:
    """Return (time, 2, y, x) codes and confidence of whole cores."""
    card = model.card
    layout = _Layout.of(card, held)
    bands = [cube[role].data for role in card.roles]
    n_times = bands[0].shape[0]
    name = f"mask-{tokenize(*_identity(card), card.batch, held, [band.name for band in bands])}"
    scorer, chooser = _Scorer(model, layout), _Chooser(card)
    graph: dict[tuple[str | int, ...], object] = {}
    for time, (row, col) in itertools.product(range(n_times), layout.blocks()):
        seen = (slice(time, time + 1), *layout.rectangle(row, col))
        blocks, places = zip(*(_pieces(band, seen) for band in bands), strict=True)
        graph[f"scores-{name}", time, row, col] = (
            scorer,
            (time, row, col),
            list(blocks),
            places,
        )
        beside = [
            (f"scores-{name}", time, row + down, col + right)
            if 0 <= row + down < held.rows and 0 <= col + right < len(layout.widths)
            else None
            for down, right in NEIGHBOURS
        ]
        graph[name, time, 0, row, col] = (chooser, beside)
    return da.Array(
        HighLevelGraph.from_collections(name, graph, dependencies=bands),
        name,
        chunks=((1,) * n_times, (2,), *layout.chunks),
        meta=np.empty((0, 0, 0, 0), np.uint8),
    )


def _pieces(
    band: da.Array, wanted: tuple[slice, ...]
) -> tuple[list[tuple[str | int, ...]], list[_Piece]]:
    """Return the keys of the blocks that hold a box of a band, and what to take from each."""
    along = [list(_cuts(sizes, span)) for sizes, span in zip(band.chunks, wanted, strict=True)]
    keys, places = [], []
    for cuts in itertools.product(*along):
        keys.append((band.name, *(index for index, _, _ in cuts)))
        places.append((tuple(taken for _, taken, _ in cuts), tuple(put for _, _, put in cuts)))
    return keys, places


def _cuts(sizes: tuple[int, ...], wanted: slice) -> Iterator[tuple[int, slice, slice]]:
    """Yield, of the chunks of an axis that a span meets, the position, what is taken, and where to."""
    start = 0
    for index, size in enumerate(sizes):
        first, last = max(start, wanted.start), min(start + size, wanted.stop)
        if first < last:
            put = slice(first - wanted.start, last - wanted.start)
            yield index, slice(first - start, last - start), put
        start += size


# -- block functions ---------------------------------------------------------------------------


def _identity(card: ModelCard) -> tuple[str, ...]:
    """Return what tells the scores of models apart: dask need not hash their weights."""
    return (
        card.name,
        card.version,
        card.weights_sha256,
        repr(card.lattice),
        repr(sorted(card.options.items())),
    )


class _Scorer:
    """Blocks of bands -> (class, y, x) weighted scores of one row's windows side by side."""

    def __init__(self, model: Model, layout: _Layout) -> None:
        self._model = model
        self._layout = layout

    def __call__(
        self,
        block: tuple[int, int, int],
        bands: list[list[FloatArray]],
        places: Sequence[Sequence[_Piece]],
    ) -> FloatArray:
        """Score the windows of a block (time, row, column)."""
        card, lattice = self._model.card, self._model.card.lattice
        strip = self._gathered(block, bands, places)
        count = self._layout.widths[block[2]]
        starts = [index * lattice.core_px for index in range(count)]
        windows = [strip[:, :, start : start + lattice.window_px] for start in starts]
        names = [self._named(block, index) for index in range(count)]
        missing = [self._missing(*each) for each in zip(windows, names, strict=True)]
        seen = [index for index, gaps in enumerate(missing) if not gaps.all()]
        answers = self._predict([windows[index] for index in seen], names[0])
        parts = [scores.nothing(card)] * count
        for index, answer in zip(seen, answers, strict=True):
            parts[index] = scores.weighted(card, answer, missing[index], names[index])
        return scores.joined(parts, lattice.reach_px)

    def _gathered(
        self,
        block: tuple[int, int, int],
        bands: list[list[FloatArray]],
        places: Sequence[Sequence[_Piece]],
    ) -> FloatArray:
        """Put the pieces of all bands into one array (B, y, x)."""
        ys, xs = self._layout.rectangle(*block[1:])
        strip = np.empty((len(bands), 1, ys.stop - ys.start, xs.stop - xs.start), np.float32)
        for band, pieces, where in zip(strip, bands, places, strict=True):
            for piece, (taken, put) in zip(pieces, where, strict=True):
                band[put] = piece[taken]
        return strip[:, 0]

    def _named(self, block: tuple[int, int, int], index: int) -> str:
        time, row, col = block
        held, core = self._layout.held, self._layout.lattice.core_px
        top, left = held.top + row * core, held.left + (self._layout.first(col) + index) * core
        return f"in the window of scene {time} at pixel ({top}, {left}) from the CRS origin"

    def _missing(self, window: FloatArray, name: str) -> NDArray[np.bool_]:
        """Say where the pixels that a window has a say in lack a band."""
        # A sum is finite unless one of its terms is not: one cheap pass for the usual case.
        if not np.isfinite(window.sum()):
            n_infinite = int(np.count_nonzero(np.isinf(window)))
            if n_infinite:
                raise ModelError(f"{n_infinite} infinite reflectances {name}; no data is NaN")
        seen = scores.has_say(self._model.card.lattice, window)
        # So is the sum of a pixel's bands, now that none is infinite.
        gaps: NDArray[np.bool_] = np.isnan(np.add.reduce(seen, axis=0))
        return gaps

    def _predict(self, windows: list[FloatArray], name: str) -> list[FloatArray]:
        try:
            return queue.predict(self._model, windows)
        except CloudmaskError:
            raise
        except Exception as error:
            raise ModelError(
                f"model {self._model.card.name} failed {name} or beside it: "
                f"{type(error).__name__}: {error}"
            ) from error


class _Chooser:
    """Weighted scores of a block and its neighbours -> (1, 2, y, x) codes and confidence."""

    def __init__(self, card: ModelCard) -> None:
        self._card = card

    def __call__(self, beside: list[FloatArray | None]) -> NDArray[np.uint8]:
        """Choose the codes of a block, given as the fifth of its neighbours in reading order."""
        sums = scores.merged(beside, self._card.lattice.reach_px)
        return np.stack(scores.chosen(self._card, sums))[np.newaxis]
