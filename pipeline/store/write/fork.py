"""`Fork`: what a worker process writes through."""

from __future__ import annotations

from typing import Any, Protocol

import zarr
from zarr.abc.store import Store

from pipeline.store.arrays.groups import Groups
from pipeline.store.base.translate_errors import explained
from pipeline.store.write.tilestore import TileStore


class Origin(Protocol):
    """What a fork writes to; pickling carries along what was written."""

    @property
    def store(self) -> Store:
        """The store to open."""
        ...


class Fork(TileStore):
    """A part of a run's work that another process does; made by `Writer.fork`.

    It sees what was committed when it was made, and what was written through it. Pickle it to a
    worker, write tiles, pickle it back and give it to `Writer.merge`; without a merge nobody sees
    what it wrote. Forks do not conflict as long as no two write the same tile, because a tile is a
    whole number of stored objects.
    """

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._opened: Groups | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Pickle what was written, without the open arrays."""
        self.flush()
        return {"_origin": self._origin, "_opened": None}

    def _groups(self) -> Groups:
        if self._opened is None:
            with explained("cannot open the store in a worker"):
                root = zarr.open_group(self._origin.store, mode="r+")
            self._opened = Groups(root, careful=getattr(self._origin, "careful", False))
        return self._opened

    @property
    def origin(self) -> Origin:
        """What was written to."""
        return self._origin

    def flush(self) -> None:
        """Write waiting cells: the last step of a tile's work, so that its errors name the tile.

        Pickling does it, too, but an error while pickling loses its message on the way back.

        Raises
        ------
        StoreError
            The store cannot be written.
        """
        if self._opened is not None:
            with explained("cannot write the cells of a tile"):
                self._opened.flush()
