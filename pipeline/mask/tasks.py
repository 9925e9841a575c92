"""The tasks of the Dask graph: score a block of windows, decide it, add its neighbours."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import CloudmaskError, ModelError
from pipeline.mask import queue, scores, shared
from pipeline.mask.decide import decide
from pipeline.mask.lattice import support
from pipeline.mask.layout import Layout
from pipeline.mask.overlap_add import (
    Choose,
    RowResult,
    WindowResult,
    add_above,
    add_left,
    empty_result,
)
from pipeline.mask.shared import SharedWindows
from pipeline.types import DeviceModel, Lattice, Model, ModelCard, Then

FloatArray = NDArray[np.float32]
_Answer = TypeVar("_Answer")
Piece = tuple[tuple[slice, ...], tuple[slice, ...]]
"""Slices of a block of a band, and their target slices in a block of windows."""


@dataclass(frozen=True, slots=True, eq=False)
class WindowPixels:
    """A window as it was read."""

    image: FloatArray
    """(B, window_px, window_px)."""
    missing: NDArray[np.bool_]
    """(S, S) with S = core + 2 · reach, true where there is no data."""
    name: str
    """Description of the window, for messages."""
    edges: tuple[bool, bool]
    """As of `Layout.edges`."""

    @property
    def empty(self) -> bool:
        """Whether its support has no data."""
        return bool(self.missing.all())


class Scorer:
    """Blocks of bands -> (class, y, x) weighted scores of one row's windows side by side."""

    def __init__(self, model: Model, layout: Layout) -> None:
        self._model = model
        self._layout = layout

    @property
    def card(self) -> ModelCard:
        """The model's card."""
        return self._model.card

    def __call__(
        self,
        block: tuple[int, int, int],
        bands: list[list[FloatArray]],
        places: Sequence[Sequence[Piece]],
    ) -> FloatArray:
        """Score the windows of a block (time, row, column)."""
        card = self._model.card
        windows = self._cut(block, bands, places)
        with_data = [each for each in windows if not each.empty]
        answers = iter(self._asked(with_data, self._scores))
        parts = [
            scores.empty_scores(card)
            if each.empty
            else scores.weighted(card, next(answers), each.missing, each.name)
            for each in windows
        ]
        return scores.joined(parts, card.lattice.reach_px)

    def _cut(
        self,
        block: tuple[int, int, int],
        bands: list[list[FloatArray]],
        places: Sequence[Sequence[Piece]],
    ) -> list[WindowPixels]:
        """Cut a block into its windows."""
        lattice = self._model.card.lattice
        strip = self._gathered(block, bands, places)
        windows = []
        for index in range(self._layout.widths[block[2]]):
            start, name = index * lattice.core_px, self._named(block, index)
            image = strip[:, :, start : start + lattice.window_px]
            edges = self._layout.edges(block[1], self._layout.first(block[2]) + index)
            windows.append(WindowPixels(image, self._missing(image, name), name, edges))
        return windows

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
        cores, core = self._layout.cores, self._layout.lattice.core_px
        top, left = (
            cores.top + row * core,
            cores.left + (self._layout.first(col) + index) * core,
        )
        return f"in the window of scene {time} at pixel ({top}, {left}) from the CRS origin"

    def _missing(self, window: FloatArray, name: str) -> NDArray[np.bool_]:
        """Return which pixels of a window's support lack a band."""
        # A sum of bands is finite if all of them are: one pass in the usual case.
        lacking: NDArray[np.bool_] = ~np.isfinite(np.add.reduce(window, axis=0))
        if lacking.any():
            n_infinite = int(np.count_nonzero(np.isinf(window)))
            if n_infinite:
                raise ModelError(f"{n_infinite} infinite reflectances {name}; no data is NaN")
        return support(self._model.card.lattice, lacking)

    def _scores(self, windows: list[WindowPixels]) -> list[FloatArray]:
        return queue.predict(self._model, [each.image for each in windows])

    def _asked(
        self,
        windows: list[WindowPixels],
        ask: Callable[[list[WindowPixels]], Sequence[_Answer]],
        name: str | None = None,
    ) -> Sequence[_Answer]:
        """Call the model, or one of another name, with windows; its errors become a `ModelError` that names one of them."""
        if not windows:
            return []
        try:
            return ask(windows)
        except CloudmaskError:
            raise
        except Exception as error:
            raise ModelError(
                f"model {name or self.card.name} failed {windows[0].name} or in another window of its batch: "
                f"{type(error).__name__}: {error}"
            ) from error


class Decider(Scorer):
    """Blocks of bands -> for each window of one row its codes, and scores for its neighbours."""

    def __init__(
        self, model: Model, layout: Layout, shared: SharedWindows | None, *, confidence: bool
    ) -> None:
        super().__init__(model, layout)
        self._shared = shared
        self._confidence = confidence

    def __call__(  # type: ignore[override]
        self,
        block: tuple[int, int, int],
        bands: list[list[FloatArray]],
        places: Sequence[Sequence[Piece]],
    ) -> list[WindowResult]:
        """Decide the windows of a block (time, row, column)."""
        windows = self._cut(block, bands, places)
        known = [self._known(each) for each in windows]
        asked = [each for each, left in zip(windows, known, strict=True) if left is None]
        decided = iter(self._decided(asked))
        return [next(decided) if left is None else left for left in known]

    def _known(self, window: WindowPixels) -> WindowResult | None:
        """Return a window's result if it needs no model: it has no data, or the result is cached."""
        if window.empty:
            return empty_result(self.card.lattice, self._n_scores, confidence=self._confidence)
        if self._shared is None or not window.edges[0]:
            return None
        return self._shared.recall(shared.window_key(window.image, confidence=self._confidence))

    @property
    def _n_scores(self) -> int:
        """How many scores a pixel has where windows overlap."""
        return len(self.card.classes)

    def _decided(self, windows: list[WindowPixels]) -> list[WindowResult]:
        """Decide windows, and cache the results that neighbouring tiles may need."""
        decided = self._by_model(windows)
        for each, left in zip(windows, decided, strict=True):
            if self._shared is not None and each.edges[1]:
                self._shared.keep(
                    shared.window_key(each.image, confidence=self._confidence), left
                )
        return decided

    def _by_model(self, windows: list[WindowPixels]) -> list[WindowResult]:
        card = self.card
        kernel = partial(decide, card, confidence=self._confidence)
        made = self._asked(windows, partial(self._decisions, kernel))
        for each, (n_bad, *_) in zip(windows, made, strict=True):
            scores.check_finite(card, int(n_bad), each.name)
        return [WindowResult(*parts) for _, *parts in made]

    def _decisions(
        self, kernel: Then, windows: list[WindowPixels]
    ) -> Sequence[tuple[NDArray[Any], ...]]:
        """Score and decide windows, on the model's device if it has one."""
        if isinstance(self._model, DeviceModel):
            asked = [(each.image, each.missing) for each in windows]
            return queue.predict_then(self._model, asked, kernel, ("decided", self._confidence))
        answers = self._scores(windows)
        for each, answer in zip(windows, answers, strict=True):
            scores.check_shape(self.card, answer, each.name)
        return [
            kernel(answer, each.missing) for each, answer in zip(windows, answers, strict=True)
        ]


@dataclass(frozen=True, slots=True, eq=False)
class AddLeft:
    """A block's windows, and those of the block to its left if there is one -> rows."""

    lattice: Lattice
    chosen: Choose

    def __call__(
        self, left: list[WindowResult] | None, own: list[WindowResult]
    ) -> list[RowResult]:
        """Decide the overlaps of windows in a row."""
        before = [left[-1] if left else None, *own[:-1]]
        return [
            add_left(self.lattice, self.chosen, *each) for each in zip(before, own, strict=True)
        ]


def bottoms(own: list[RowResult]) -> list[FloatArray]:
    """Return the bottom edges of a block's rows, which the block below needs."""
    return [each.bottom for each in own]


@dataclass(frozen=True, slots=True, eq=False)
class AddAbove:
    """A block's rows, and the bottom edges of those above if there are any -> (1, plane, y, x) codes, confidence."""

    chosen: Choose

    def __call__(
        self, above: list[FloatArray] | None, own: list[RowResult]
    ) -> NDArray[np.uint8]:
        """Decide the overlaps of rows."""
        decided = [
            add_above(self.chosen, *each)
            for each in zip(above or itertools.repeat(None, len(own)), own, strict=True)
        ]
        return np.concatenate(decided, axis=2)[np.newaxis]


@dataclass(frozen=True, slots=True)
class AddLeftScores:
    """Weighted scores (K, y, x) of a block and of the one to its left, if any -> sums in the block's columns."""

    lattice: Lattice

    def __call__(self, left: FloatArray | None, own: FloatArray) -> FloatArray:
        """Add the overlap of the two blocks."""
        return scores.following(left, own, self.lattice.blend_px, axis=2)


@dataclass(frozen=True, slots=True)
class BottomScores:
    """Sums of a block -> its bottom edge, which the block below needs."""

    lattice: Lattice

    def __call__(self, own: FloatArray) -> FloatArray:
        """Copy the last lines."""
        return own[:, self.lattice.core_px :].copy()


@dataclass(frozen=True, slots=True)
class AddAboveScores:
    """Sums of a block and the bottom edge of the one above, if any -> (1, K, y, x) sums in the block's lines."""

    lattice: Lattice

    def __call__(self, above: FloatArray | None, own: FloatArray) -> FloatArray:
        """Add the overlap of the two rows."""
        return scores.following(above, own, self.lattice.blend_px, axis=1)[np.newaxis]
