"""Writing a plain Zarr v3 store on a local path, which every reader of Zarr opens.

It has the groups and arrays of the Icechunk store, but no transactions:

- readers see a run while it works, cell by cell, and there is no ``--as-of``, log or rollback;
- one run writes at a time, under the lock of the path;
- a killed run leaves complete and incomplete cells. A cell's fingerprint is written last, and cleared
  before the cell is written again, so that an incomplete cell counts as never made and the next run
  makes it. Until then readers see pixels of either run, or a mixture;
- a run killed while it publishes is recorded twice if it is started again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import zarr
from zarr.abc.store import Store
from zarr.core.buffer import Buffer
from zarr.storage import LocalStore, WrapperStore

from pipeline.errors import StoreError
from pipeline.store.arrays import stored_grid
from pipeline.store.arrays.groups import Groups
from pipeline.store.arrays.items_and_records import Ledger
from pipeline.store.base.translate_errors import explained
from pipeline.store.read.plain import PUBLISHED, open_root
from pipeline.store.write.fork import Origin
from pipeline.types import Grid

PENDING = "unpublished"
"""Attribute of the root: whether a run has written and not yet published."""


@dataclass(frozen=True, slots=True)
class PlainOrigin:
    """What a fork writes to: the store itself."""

    path: Path
    careful = True

    @property
    def store(self) -> Store:
        """The store."""
        return LocalStore(self.path)


class Noting(WrapperStore[LocalStore]):
    """A store that records whether anything was written through it."""

    written = False

    async def set(self, key: str, value: Buffer) -> None:
        """Write, and record it."""
        self.written = True
        await super().set(key, value)

    async def delete(self, key: str) -> None:
        """Delete, and record it."""
        self.written = True
        await super().delete(key)


class PlainWork:
    """A run's work on a plain store; see `pipeline.store.write.writer.Work`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._published = False
        self._begin()

    def _begin(self) -> None:
        with explained(f"cannot go on with the store {self._path}"):
            self._store = Noting(LocalStore(self._path))
            self._open_groups = Groups(zarr.open_group(self._store, mode="r+"), careful=True)

    def groups(self) -> Groups:
        """Return the groups.

        Raises
        ------
        StoreError
            The run is published.
        """
        if self._published:
            raise StoreError("this run is published: open another writer to write more")
        return self._open_groups

    def fork(self) -> Origin:
        """Return what a fork writes to."""
        self.groups()
        return PlainOrigin(self._path)

    def merge(self, origins: Sequence[Origin]) -> None:
        """Read cells again: forks have written to the store itself."""
        for origin in origins:
            if origin != PlainOrigin(self._path):
                raise TypeError(f"a fork of another kind of store: {type(origin).__qualname__}")
        self.groups().forget()
        self._store.written = True

    @property
    def changed(self) -> bool:
        """Whether this run or a killed one has written anything that is not published."""
        pending = bool(self._open_groups.root.attrs.get(PENDING))
        return self._open_groups.dirty or self._store.written or pending

    def commit(self, message: str) -> str:  # noqa: ARG002
        """Write the waiting cells; there is no history for the message."""
        groups = self.groups()
        with explained("cannot write; what is finished is kept"):
            groups.flush()
            if self._store.written and not groups.root.attrs.get(PENDING):
                groups.root.attrs[PENDING] = True
        return str(groups.root.attrs.get(PUBLISHED, ""))

    def discard(self) -> None:
        """Drop the waiting cells: their pixels are stored, but without a fingerprint."""
        self.groups()
        written = self._store.written
        self._begin()
        self._store.written = written

    def publish(self, record: Mapping[str, Any]) -> str:
        """Save the record."""
        self.commit("end of the run")
        root = self._open_groups.root
        shown = str(root.attrs.get(PUBLISHED, ""))
        if self.changed:
            shown = uuid4().hex
            with explained("cannot write the record of the run"):
                Ledger.of(root).record({**record, "snapshot": shown})
                root.attrs.update({PUBLISHED: shown, PENDING: False})
        self._published = True
        return shown

    def keep_failure(self, record: Mapping[str, Any]) -> None:
        """Refuse: to readers of a plain store it would look like the record of a finished run."""
        raise StoreError(
            f"the record of the failed run {record.get('run_id', '')} is not kept: "
            "a plain Zarr store has no branch for it"
        )

    def bytes_stored(self) -> int:
        """Return the size of all files."""
        with explained("cannot measure the store"):
            return sum(each.stat().st_size for each in self._path.rglob("*") if each.is_file())


def ensure_root(path: Path, url: str, grid: Grid, attributes: Mapping[str, Any]) -> None:
    """Write the grid into an empty store, or compare it with the one that is there.

    Raises
    ------
    StoreError
        It has another grid, or the folder has other content.
    """
    with explained(f"cannot open or make the store {url}"):
        root = open_root(path)
        if root is None and path.is_dir() and any(path.iterdir()):
            raise StoreError(f"{path} holds other things than a store: name another folder")
        if root is not None and stored_grid.same_grid(root, grid, url):
            return
        zarr.open_group(LocalStore(path), mode="a").attrs.update(dict(attributes))
