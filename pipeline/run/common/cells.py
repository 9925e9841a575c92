"""The cells of a plan, as a table: a row a tile, a column a scene."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, overload

import numpy as np
from numpy.typing import NDArray

from pipeline.types import Period, Scene, Tile

State = Literal["new", "changed", "unchanged"]
STATES: tuple[State, ...] = ("new", "changed", "unchanged")


DOES: Mapping[State, str] = {"new": "make", "changed": "replace", "unchanged": "leave"}
"""State of a composite's step -> what a run does with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositeCell:
    """One period in one tile."""

    period: Period
    tile: Tile
    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One scene in one tile."""

    scene: Scene
    tile: Tile
    items: tuple[int, ...]
    """Positions of the items that may have pixels in what is read for the tile, in mosaic order."""
    fingerprint: int
    state: State

    @property
    def covered(self) -> bool:
        """Whether any item covers the cell."""
        return bool(self.items)

    @property
    def reason(self) -> str:
        """Why it is masked, or is not."""
        if not self.covered:
            return "no item covers it"
        return {
            "new": "not in the store yet",
            "changed": "its items, their radiometry or the model have changed",
            "unchanged": "the store has it",
        }[self.state]


@dataclass(frozen=True, kw_only=True, eq=False)
class CellTable(Sequence[Cell]):
    """Every scene in every tile, tile by tile, scenes by time.

    A wide region has millions of cells. No item covers most of them, and the others share few sets of items. So a
    cell takes 5 bytes here, and becomes a `Cell` when it is indexed.
    """

    tiles: tuple[Tile, ...]
    scenes: tuple[Scene, ...]
    sets: tuple[tuple[int, ...], ...]
    """The different `Cell.items`; the first is empty. All items of a set are of one scene."""
    fingerprints: NDArray[np.uint64]
    """Set -> fingerprint; that of the first is `pipeline.types.UNCOVERED`."""
    chosen: NDArray[np.int32]
    """(tile, scene) -> position in `sets`."""
    states: NDArray[np.uint8]
    """(tile, scene) -> position in `STATES`."""

    def __len__(self) -> int:
        return self.chosen.size

    @overload
    def __getitem__(self, index: int) -> Cell: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Cell, ...]: ...
    def __getitem__(self, index: int | slice) -> Cell | tuple[Cell, ...]:
        """Return a cell, or a slice of them."""
        if isinstance(index, slice):
            return tuple(self[each] for each in range(*index.indices(len(self))))
        row, column = divmod(range(len(self))[index], len(self.scenes))
        return self._cell(row, column)

    def __iter__(self) -> Iterator[Cell]:
        for row in range(len(self.tiles)):
            yield from self.row(row)

    def row(self, position: int) -> tuple[Cell, ...]:
        """Return the cells of one tile, by its position in `tiles`."""
        return tuple(self._cell(position, column) for column in range(len(self.scenes)))

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """(tile, scene) -> number of the cell's items."""
        return np.array([len(each) for each in self.sets], np.int64)[self.chosen]

    @property
    def covered(self) -> NDArray[np.bool_]:
        """(tile, scene) -> whether any item covers the cell."""
        return self.chosen > 0

    @property
    def unchanged(self) -> NDArray[np.bool_]:
        """(tile, scene) -> whether the store has the cell."""
        same: NDArray[np.bool_] = self.states == STATES.index("unchanged")
        return same

    def _cell(self, row: int, column: int) -> Cell:
        number = int(self.chosen[row, column])
        return Cell(
            scene=self.scenes[column],
            tile=self.tiles[row],
            items=self.sets[number],
            fingerprint=int(self.fingerprints[number]),
            state=STATES[self.states[row, column]],
        )


def states_of(stored: NDArray[np.uint64], expected: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Compare stored with expected fingerprints, element by element; return positions in `STATES`."""
    found = np.where(stored == 0, STATES.index("new"), STATES.index("changed"))
    return np.where(stored == expected, STATES.index("unchanged"), found).astype(np.uint8)


def group_by_cell(
    pairs: NDArray[np.int64], scene_of: NDArray[np.int64], shape: tuple[int, int]
) -> tuple[list[tuple[int, ...]], NDArray[np.int32]]:
    """Group (item, tile) pairs by cell.

    Parameters
    ----------
    pairs
        (2, N): position of an item, position of a tile that it touches; each pair once.
    scene_of
        Position of an item -> position of its scene.
    shape
        Numbers of tiles and of scenes.

    Returns
    -------
    The different sets of items, the first empty, each in mosaic order; and (tile, scene) -> position of
    the cell's set.
    """
    items, tiles = pairs
    cells = tiles * shape[1] + scene_of[items]
    order = np.lexsort((items, cells))
    items, cells = items[order], cells[order]
    starts = np.flatnonzero(np.diff(cells, prepend=-1))
    numbers: dict[tuple[int, ...], int] = {(): 0}
    positions = items.tolist()
    ends = [*starts[1:].tolist(), len(positions)][: len(starts)]
    found = [
        numbers.setdefault(tuple(positions[start:end]), len(numbers))
        for start, end in zip(starts.tolist(), ends, strict=True)
    ]
    chosen = np.zeros(shape, np.int32)
    chosen.flat[cells[starts]] = found
    return list(numbers), chosen
