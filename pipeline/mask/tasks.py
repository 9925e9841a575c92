"""What dask runs: score a block of windows, choose the codes of a block."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import CloudmaskError, ModelError
from pipeline.mask import queue, scores
from pipeline.mask.lattice import Cover
from pipeline.types import Lattice, Model, ModelCard

FloatArray = NDArray[np.float32]
Piece = tuple[tuple[slice, ...], tuple[slice, ...]]
"""What is taken from a block of a band, and where it is put in a block of windows."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Which windows of a scene stand in which block: one row, and up to a batch side by side."""

    lattice: Lattice
    held: Cover
    widths: tuple[int, ...]
    """Number of windows of each block of a row."""

    @classmethod
    def of(cls, card: ModelCard, held: Cover) -> Layout:
        """Lay out the windows of a cover for a model."""
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


class Scorer:
    """Blocks of bands -> (class, y, x) weighted scores of one row's windows side by side."""

    def __init__(self, model: Model, layout: Layout) -> None:
        self._model = model
        self._layout = layout

    def __call__(
        self,
        block: tuple[int, int, int],
        bands: list[list[FloatArray]],
        places: Sequence[Sequence[Piece]],
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
        places: Sequence[Sequence[Piece]],
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


class Chooser:
    """Weighted scores of a block and its neighbours -> (1, 2, y, x) codes and confidence."""

    def __init__(self, card: ModelCard) -> None:
        self._card = card

    def __call__(self, beside: list[FloatArray | None]) -> NDArray[np.uint8]:
        """Choose the codes of a block, given as the fifth of its neighbours in reading order."""
        sums = scores.merged(beside, self._card.lattice.reach_px)
        return np.stack(scores.chosen(self._card, sums))[np.newaxis]
