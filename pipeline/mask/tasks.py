"""What dask runs: score a block of windows, choose the codes of a block."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import CloudmaskError, ModelError
from pipeline.mask import frames, on_device, queue, scores, shared
from pipeline.mask.layout import Layout
from pipeline.mask.shared import SharedWindows
from pipeline.types import DeviceModel, Lattice, Model, ModelCard, Then

FloatArray = NDArray[np.float32]
_Answer = TypeVar("_Answer")
Piece = tuple[tuple[slice, ...], tuple[slice, ...]]
"""What is taken from a block of a band, and where it is put in a block of windows."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A window as it was read."""

    image: FloatArray
    """(B, window_px, window_px)."""
    missing: NDArray[np.bool_]
    """(core + 2 · reach, the same), where there is no data."""
    name: str
    """Its place, in words."""
    edges: tuple[bool, bool]
    """As of `Layout.edges`."""

    @property
    def empty(self) -> bool:
        """Whether there is no data where it has a say."""
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
        held = [each for each in windows if not each.empty]
        answers = iter(self._asked(held, self._scores))
        parts = [
            scores.nothing(card)
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
    ) -> list[Seen]:
        """Cut a block into its windows."""
        lattice = self._model.card.lattice
        strip = self._gathered(block, bands, places)
        windows = []
        for index in range(self._layout.widths[block[2]]):
            start, name = index * lattice.core_px, self._named(block, index)
            image = strip[:, :, start : start + lattice.window_px]
            edges = self._layout.edges(block[1], self._layout.first(block[2]) + index)
            windows.append(Seen(image, self._missing(image, name), name, edges))
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
        held, core = self._layout.held, self._layout.lattice.core_px
        top, left = held.top + row * core, held.left + (self._layout.first(col) + index) * core
        return f"in the window of scene {time} at pixel ({top}, {left}) from the CRS origin"

    def _missing(self, window: FloatArray, name: str) -> NDArray[np.bool_]:
        """Say where the pixels that a window has a say in lack a band."""
        # A sum of a pixel's bands is finite unless one of them is not: one pass for the usual case.
        lacking: NDArray[np.bool_] = ~np.isfinite(np.add.reduce(window, axis=0))
        if lacking.any():
            n_infinite = int(np.count_nonzero(np.isinf(window)))
            if n_infinite:
                raise ModelError(f"{n_infinite} infinite reflectances {name}; no data is NaN")
        return scores.has_say(self._model.card.lattice, lacking)

    def _scores(self, windows: list[Seen]) -> list[FloatArray]:
        return queue.predict(self._model, [each.image for each in windows])

    def _asked(
        self, windows: list[Seen], ask: Callable[[list[Seen]], list[_Answer]]
    ) -> list[_Answer]:
        """Ask the model about windows; what it raises names one of them."""
        if not windows:
            return []
        try:
            return ask(windows)
        except CloudmaskError:
            raise
        except Exception as error:
            raise ModelError(
                f"model {self._model.card.name} failed {windows[0].name} or beside it: "
                f"{type(error).__name__}: {error}"
            ) from error


class Decider(Scorer):
    """Blocks of bands -> what each window of one row decides, and leaves to its neighbours."""

    def __init__(
        self, model: Model, layout: Layout, shared: SharedWindows | None, *, sure: bool
    ) -> None:
        super().__init__(model, layout)
        self._shared = shared
        self._sure = sure

    def __call__(  # type: ignore[override]
        self,
        block: tuple[int, int, int],
        bands: list[list[FloatArray]],
        places: Sequence[Sequence[Piece]],
    ) -> list[frames.Window]:
        """Decide the windows of a block (time, row, column)."""
        windows = self._cut(block, bands, places)
        known = [self._known(each) for each in windows]
        asked = [each for each, left in zip(windows, known, strict=True) if left is None]
        decided = iter(self._decided(asked))
        return [next(decided) if left is None else left for left in known]

    def _known(self, window: Seen) -> frames.Window | None:
        """Return what a window leaves if that is known without the model."""
        if window.empty:
            return frames.nothing(self.card, sure=self._sure)
        if self._shared is None or not window.edges[0]:
            return None
        return self._shared.recall(shared.key_of(window.image, sure=self._sure))

    def _decided(self, windows: list[Seen]) -> list[frames.Window]:
        """Have windows decided, and keep what others may need."""
        decided = self._by_model(windows)
        for each, left in zip(windows, decided, strict=True):
            if self._shared is not None and each.edges[1]:
                self._shared.keep(shared.key_of(each.image, sure=self._sure), left)
        return decided

    def _by_model(self, windows: list[Seen]) -> list[frames.Window]:
        card, model = self.card, self._model
        if isinstance(model, DeviceModel):
            there = partial(on_device.decided, card, sure=self._sure)
            came = self._asked(windows, partial(self._there, model, there))
            return on_device.windows(card, came, [each.name for each in windows])
        return [
            frames.decided(
                card,
                scores.checked(card, answer, each.missing, each.name),
                each.missing,
                sure=self._sure,
            )
            for each, answer in zip(windows, self._asked(windows, self._scores), strict=True)
        ]

    def _there(
        self, model: DeviceModel, then: Then, windows: list[Seen]
    ) -> list[tuple[NDArray[Any], ...]]:
        asked = [(each.image, each.missing) for each in windows]
        return queue.predict_then(model, asked, then, ("decided", self._sure))


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """A block's windows, and those of the block to its left if there is one -> stretches."""

    card: ModelCard
    sure: bool

    def __call__(
        self, left: list[frames.Window] | None, own: list[frames.Window]
    ) -> list[frames.Stretch]:
        """Decide what windows of a row share."""
        before = [left[-1] if left else None, *own[:-1]]
        return [
            frames.beside(self.card, *each, sure=self.sure)
            for each in zip(before, own, strict=True)
        ]


def feet(own: list[frames.Stretch]) -> list[FloatArray]:
    """Return what the block below needs of a block's stretches."""
    return [each.foot for each in own]


@dataclass(frozen=True, slots=True, eq=False)
class Under:
    """A block's stretches, and the feet of those above if there are any -> (1, plane, y, x) codes, confidence."""

    card: ModelCard
    sure: bool

    def __call__(
        self, above: list[FloatArray] | None, own: list[frames.Stretch]
    ) -> NDArray[np.uint8]:
        """Decide what rows share."""
        decided = [
            frames.under(self.card, *each, sure=self.sure)
            for each in zip(above or itertools.repeat(None, len(own)), own, strict=True)
        ]
        return np.concatenate(decided, axis=2)[np.newaxis]


@dataclass(frozen=True, slots=True)
class BesideScores:
    """Weighted scores (K, y, x) of a block and of that to its left, if there is one -> of its columns."""

    lattice: Lattice

    def __call__(self, left: FloatArray | None, own: FloatArray) -> FloatArray:
        """Add up what blocks of a row say."""
        return scores.following(left, own, self.lattice.blend_px, axis=2)


@dataclass(frozen=True, slots=True)
class FootScores:
    """The same of a block -> what the block below needs of it."""

    lattice: Lattice

    def __call__(self, own: FloatArray) -> FloatArray:
        """Copy the last lines."""
        return own[:, self.lattice.core_px :].copy()


@dataclass(frozen=True, slots=True)
class UnderScores:
    """The same of a block, and the foot of that above, if there is one -> (1, K, y, x) of its lines."""

    lattice: Lattice

    def __call__(self, above: FloatArray | None, own: FloatArray) -> FloatArray:
        """Add up what rows say."""
        return scores.following(above, own, self.lattice.blend_px, axis=1)[np.newaxis]
