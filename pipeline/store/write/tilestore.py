"""Reading and writing the cells of a tile: the interface that a run's writer and its forks share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pipeline.store.arrays.groups import Groups
from pipeline.store.base.translate_errors import explained
from pipeline.types import Tile


class TileStore(ABC):
    """Cells of masks and composites, read and written tile by tile."""

    @abstractmethod
    def _groups(self) -> Groups:
        """Return the groups of a session that can be written to."""

    # -- masks ---------------------------------------------------------------------------------

    def fingerprints(self, sensor: str) -> dict[datetime, NDArray[np.uint64]]:
        """Return the fingerprints (tile_y, tile_x) of every stored scene; {} for a new sensor.

        They are read-only views of values in memory: later writes show in them. All tiles are read;
        for one tile use `mask_fingerprint`.
        """
        with explained(f"cannot read what is there of {sensor}"):
            groups = self._groups()
            return groups.masks(sensor).fingerprints() if groups.has("masks", sensor) else {}

    def mask_fingerprint(self, sensor: str, time: datetime, tile: Tile) -> int:
        """Return the fingerprint of one cell; reads only the tile's, and caches them.

        Raises
        ------
        StoreError
            There is no such scene.
        """
        with explained(f"cannot read what is there of {sensor}, tile {tile.name}"):
            return self._groups().masks(sensor).fingerprint(time, tile)

    def write_mask(
        self,
        sensor: str,
        time: datetime,
        tile: Tile,
        mask: NDArray[np.uint8] | None,
        fingerprint: int,
        *,
        confidence: NDArray[np.uint8] | None = None,
    ) -> None:
        """Write one cell: pixels, class counts and fingerprint.

        Parameters
        ----------
        sensor, time
            A scene given to `Writer.set_scenes`.
        tile
            Of the grid.
        mask
            Codes (y, x) of the tile; none writes no data everywhere, for the cells that are
            `UNCOVERED` or `UNREADABLE`.
        fingerprint
            Hash of what made the cell, or one of the two.
        confidence
            Probability (y, x) of the chosen class in per cent; none records 0. Only for a sensor
            whose scenes were set with ``confidence=True``, by this run or an earlier one.
        """
        group = self._groups().masks(sensor)
        with explained(f"cannot write tile {tile.name} of {sensor}, {time.isoformat()}"):
            group.write(time, tile, mask, fingerprint, confidence)

    def read_mask(
        self, sensor: str, times: Sequence[datetime], tile: Tile
    ) -> NDArray[np.uint8]:
        """Return masks (time, y, x) of a tile in the order of `times`, uncommitted ones too."""
        with explained(f"cannot read masks of {sensor}, tile {tile.name}"):
            return self._groups().masks(sensor).read(times, tile)

    def read_confidence(
        self, sensor: str, times: Sequence[datetime], tile: Tile
    ) -> NDArray[np.uint8]:
        """Return the confidence of masks in per cent, as `read_mask` does; 0 = not recorded."""
        with explained(f"cannot read confidences of {sensor}, tile {tile.name}"):
            return self._groups().masks(sensor).read_confidence(times, tile)

    # -- composites ----------------------------------------------------------------------------

    def composite_fingerprints(self, name: str) -> dict[datetime, NDArray[np.uint64]]:
        """Return the fingerprints (tile_y, tile_x) of every stored period, by its start."""
        with explained(f"cannot read what is there of composite {name}"):
            groups = self._groups()
            if not groups.has("composites", name):
                return {}
            return groups.composites(name).fingerprints()

    def composite_fingerprint(self, name: str, start: datetime, tile: Tile) -> int:
        """Return the fingerprint of one cell of a composite, by the start of its period.

        Raises
        ------
        StoreError
            There is no such period.
        """
        with explained(f"cannot read what is there of composite {name}, tile {tile.name}"):
            return self._groups().composites(name).fingerprint(start, tile)

    def write_composite(
        self, name: str, start: datetime, tile: Tile, composite: xr.Dataset, fingerprint: int
    ) -> None:
        """Write one period of a composite in one tile.

        Reflectance is rounded half to even to multiples of 1e-4; beyond ±3.2767 it is an error.

        Parameters
        ----------
        name, start
            A composite and the start of a period given to `Writer.set_composite`.
        tile
            Of the grid.
        composite
            One period of the Composite contract of `pipeline.types`, except that ``source`` holds
            positions of the store's item list, as `Writer.item_positions` gives them.
        fingerprint
            Hash of what made it.
        """
        group = self._groups().composites(name)
        with explained(f"cannot write tile {tile.name} of {name}, {start.isoformat()}"):
            group.write(start, tile, composite, fingerprint)
