"""Reading a plain Zarr store, which has one state: what its files are now."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import zarr
from zarr.abc.store import Store
from zarr.storage import LocalStore

from pipeline.errors import StoreDamagedError
from pipeline.store.arrays import layout

PUBLISHED = "published"
"""Attribute of the root: a new id at each publish."""


@dataclass(frozen=True, slots=True)
class PlainSession:
    """The one state of a plain store."""

    store: Store

    @property
    def snapshot_id(self) -> str:
        """What was last published; empty before."""
        root = layout.open_root(self.store)
        return "" if root is None else str(root.attrs.get(PUBLISHED, ""))


def open_root(path: Path) -> zarr.Group | None:
    """Open the root group for reading; none: there is nothing.

    Raises
    ------
    StoreDamagedError
        There are arrays, but no root.
    """
    root = layout.open_root(LocalStore(path)) if path.is_dir() else None
    if root is None and any((path / each).is_dir() for each in layout.PARTS):
        raise StoreDamagedError(f"{path}/zarr.json", None, "it is lost")
    return root
