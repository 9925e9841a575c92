"""What masks and composites have in common: a time axis, cells with a fingerprint, overviews."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.errors import StoreError
from pipeline.store.arrays import create, layout
from pipeline.store.arrays.cells import Cells
from pipeline.store.arrays.overviews import Levels, Source
from pipeline.types import Grid, Tile


class CellGroup(ABC):
    """The masks of one sensor or one composite, while a session writes them."""

    KIND: ClassVar[str]
    """Group that it lies in."""
    STEP: ClassVar[str]
    """What a time is of: a scene or a period."""
    CALL_FIRST: ClassVar[str]
    """Method of the writer that gives times a position."""
    PER_CELL: ClassVar[tuple[str, ...]] = ("fingerprint",)
    """Arrays with a value a cell. The fingerprint comes last: without a transaction, a process that
    stops between two writes leaves a cell that is made again."""
    EMPTY: ClassVar[int]
    """Largest fingerprint of cells without pixels."""

    def __init__(self, group: zarr.Group, name: str, *, careful: bool = False) -> None:
        self._name = name
        self._careful = careful
        self._cells = {
            each: Cells(layout.array_of(group, each)) for each in self.PER_CELL if each in group
        }
        times = layout.instants(layout.values_of(group, "time"))
        self._axis = {time: at for at, time in enumerate(times)}
        self._open(group)

    @staticmethod
    def _create(
        parent: zarr.Group,
        name: str,
        grid: Grid,
        attributes: Mapping[str, Any],
        time: layout.Attributes,
    ) -> zarr.Group:
        """Create a group with what all groups have; `time` are the attributes of the axis."""
        group = parent.create_group(name)
        edges = {"tile_px": grid.tile_px, "chunk_px": grid.chunk_px}
        group.attrs.update({"Conventions": "CF-1.11", **attributes, **edges})
        create.write_coordinates(group, grid)
        create.add_list(group, "time", "i8", "time", time)
        create.add_cells(group, "fingerprint", grid, "u8", layout.FINGERPRINT_ATTRIBUTES)
        return group

    def reopen(self, group: zarr.Group) -> None:
        """Use the same group of another session, or after the time axis grew.

        An open array object never gets another shape or session.
        """
        for name, cells in self._cells.items():
            cells.reopen(layout.array_of(group, name))
        self._open(group)

    def _open(self, group: zarr.Group) -> None:
        self._group = group
        self._levels = Levels(group)
        self._open_pixels()

    @abstractmethod
    def _open_pixels(self) -> None:
        """Open the arrays of pixels of `_group`."""

    # -- overviews -----------------------------------------------------------------------------

    def keep_levels(self, grid: Grid) -> None:
        """Make the overviews if there are none, also of the pixels that are stored already."""
        if self._levels:
            return
        self._levels = Levels.create(self._group, grid, self._sources())
        for at, cells in enumerate(self._cells["fingerprint"].read()):
            for row, col in np.argwhere(cells > self.EMPTY):
                self._write_levels(at, grid.tile(int(row), int(col)))

    @abstractmethod
    def _sources(self) -> list[Source]:
        """Return the arrays that have overviews."""

    @abstractmethod
    def _write_levels(self, at: int, tile: Tile) -> None:
        """Write the overviews of a stored cell."""

    # -- the time axis -------------------------------------------------------------------------

    @property
    def group(self) -> zarr.Group:
        """The group itself."""
        return self._group

    @property
    def axis(self) -> dict[datetime, int]:
        """Time of a scene, or start of a period -> its position on the stored axis."""
        return self._axis

    def _save_times(self) -> None:
        """Write the time axis; the group is opened again where it grew."""
        times = layout.microseconds(self._axis)
        if times.size > layout.array_of(self._group, "time").shape[0]:
            create.grow(self._group, times.size)
            self.reopen(self._group)
        layout.array_of(self._group, "time")[...] = times
        self._levels.set_times(times)

    def _at(self, time: datetime) -> int:
        try:
            return self._axis[time]
        except KeyError:
            raise StoreError(
                f"the store has no {self.STEP} of {self._name} at {time.isoformat()}: "
                f"call {self.CALL_FIRST} first"
            ) from None

    # -- cells ---------------------------------------------------------------------------------

    def fingerprints(self) -> dict[datetime, NDArray[np.uint64]]:
        """Return the fingerprints (tile_y, tile_x) of every scene or period, by its time."""
        values = self._cells["fingerprint"].read()
        return {time: values[at] for time, at in self._axis.items()}

    def fingerprint(self, time: datetime, tile: Tile) -> int:
        """Return the fingerprint of one cell."""
        return self._cells["fingerprint"].get(self._at(time), tile)

    def put(self, at: int, tile: Tile, values: Mapping[str, int | NDArray[np.int64]]) -> None:
        """Set what is known of a cell beside its pixels: a value for each of `PER_CELL`.

        Parameters
        ----------
        at
            Position of the cell on the time axis.
        """
        for name, cells in self._cells.items():
            cells.put(at, tile, values[name])

    def _begin(self, time: datetime, tile: Tile) -> int:
        """Return the position of a cell that is about to be written."""
        at = self._at(time)
        if self._careful:
            self._cells["fingerprint"].clear_one(at, tile)
        return at

    def settle(self) -> None:
        """Drop the cached cells of single tiles."""
        for cells in self._cells.values():
            cells.settle()

    def forget(self) -> None:
        """Drop the cached cells, so that they are read again."""
        for cells in self._cells.values():
            cells.forget()

    @property
    def dirty(self) -> bool:
        """Whether cells are buffered that `flush` would write."""
        return self._cells["fingerprint"].dirty

    def flush(self) -> None:
        """Write the buffered cells."""
        for cells in self._cells.values():
            cells.flush()
