"""Small arrays with one value for each cell (scene × tile)."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.store.base.reading import read
from pipeline.types import Tile


class Cells:
    """An array of cells whose writes are buffered until the tile is done.

    All times of a tile share a chunk: written one by one, each scene of a tile would write the
    chunk again and leave the old one as garbage in the repository. Values that were read stay in
    memory, because a run looks them up cell by cell.
    """

    def __init__(self, array: zarr.Array[Any]) -> None:
        self._array = array
        self._waiting: dict[tuple[int, int], dict[int, Any]] = defaultdict(dict)
        self._columns: dict[tuple[int, int], NDArray[Any]] = {}
        self._values: NDArray[Any] | None = None

    def reopen(self, array: zarr.Array[Any]) -> None:
        """Go on with the same array of another session, perhaps with more times."""
        self._array = array
        self._columns.clear()
        if self._values is not None:
            more = array.shape[0] - self._values.shape[0]
            self._values = np.pad(self._values, [(0, more)] + [(0, 0)] * (array.ndim - 1))

    def settle(self) -> None:
        """Drop the cached values of single tiles: they are read again if they are asked for."""
        self._columns.clear()

    def forget(self) -> None:
        """Drop the cached values: another process has written."""
        self._columns.clear()
        self._values = None

    def put(self, index: int, tile: Tile, value: int | NDArray[np.int64]) -> None:
        """Set the value of one cell; `index` is its position on the time axis."""
        where = tile.row, tile.col
        self._waiting[where][index] = value
        if self._values is not None:
            self._values[index, tile.row, tile.col] = value
        elif where in self._columns:
            self._columns[where][index] = value

    def get(self, index: int, tile: Tile) -> int:
        """Return the one value of a cell; reads only the chunk of the tile, once."""
        if self._values is not None:
            return int(self._values[index, tile.row, tile.col])
        where = tile.row, tile.col
        if where not in self._columns:
            column = np.array(read(self._array, (slice(None), tile.row, tile.col)))
            for at, value in self._waiting.get(where, {}).items():
                column[at] = value
            self._columns[where] = column
        return int(self._columns[where][index])

    def clear_one(self, index: int, tile: Tile) -> None:
        """Set a cell to 0 at once, so that a half-written cell never looks complete."""
        if self.get(index, tile):
            self.flush()
            self._array[index, tile.row, tile.col] = 0
            self.put(index, tile, 0)

    def flush(self) -> None:
        """Write the buffered values, one write for each tile."""
        for (row, col), values in self._waiting.items():
            order = sorted(values)
            block = np.array([values[index] for index in order], self._array.dtype)
            rest = (slice(None),) * (block.ndim - 1)
            self._array.oindex[(np.array(order), row, col, *rest)] = block
        self._waiting.clear()

    @property
    def dirty(self) -> bool:
        """Whether values are buffered."""
        return bool(self._waiting)

    def read(self) -> NDArray[Any]:
        """Return all values, buffered ones included, as a read-only view that later writes change."""
        if self._values is None:
            self.flush()
            self._values = np.array(read(self._array))
            self._columns.clear()
        view = self._values.view()
        view.flags.writeable = False
        return view
