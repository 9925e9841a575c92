"""The interface through which a tile's work reads and writes cells."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pipeline.types import Tile


class CellReader(Protocol):
    """What is read of a store to compose a tile: a published state, or what a run has written so far."""

    def mask_fingerprint(self, sensor: str, time: datetime, tile: Tile) -> int:
        """Return the fingerprint of one cell."""
        ...

    def composite_fingerprint(self, name: str, start: datetime, tile: Tile) -> int:
        """Return the fingerprint of one period of a composite in one tile."""
        ...

    def read_mask(
        self, sensor: str, times: Sequence[datetime], tile: Tile
    ) -> NDArray[np.uint8]:
        """Return masks of a tile, (time, y, x), including those not committed yet."""
        ...

    def read_confidence(
        self, sensor: str, times: Sequence[datetime], tile: Tile
    ) -> NDArray[np.uint8]:
        """Return their confidence in per cent, (time, y, x); 0 = not recorded."""
        ...


class CellStore(CellReader, Protocol):
    """What a tile's work needs of a store: a writer, or a fork of one in a worker."""

    def write_mask(
        self,
        sensor: str,
        time: datetime,
        tile: Tile,
        mask: NDArray[np.uint8],
        fingerprint: int,
        *,
        confidence: NDArray[np.uint8] | None = None,
    ) -> None:
        """Write one cell."""
        ...

    def write_composite(
        self, name: str, start: datetime, tile: Tile, composite: xr.Dataset, fingerprint: int
    ) -> None:
        """Write one period of a tile."""
        ...
