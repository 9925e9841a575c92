"""The states before one, and which of them are undamaged."""

from __future__ import annotations

from collections.abc import Iterator

import icechunk
import zarr

from pipeline.errors import StoreError
from pipeline.store.arrays import layout
from pipeline.store.base.checksums import Checksums
from pipeline.store.base.reading import damaged_chunks
from pipeline.store.base.translate_errors import explained
from pipeline.store.repair.damages import Damage


def damaged_before(
    repository: icechunk.Repository, checksums: Checksums, snapshot: str
) -> Iterator[Damage]:
    """Yield the damaged states of the history, which readers of the newest state do not need."""
    for each in _ancestors(repository, checksums, snapshot):
        if reason := unreadable(repository, checksums, each):
            yield Damage(path=f"snapshots/{each}", reason=reason, mend="none")


def unreadable(repository: icechunk.Repository, checksums: Checksums, snapshot: str) -> str:
    """Return why a snapshot cannot be read; empty: it can."""
    if reason := checksums.wrong_with(snapshot):
        return reason
    try:
        with explained("it cannot be read"):
            repository.lookup_snapshot(snapshot)
    except StoreError as error:
        return str(error)
    return ""


def whole_before(repository: icechunk.Repository, checksums: Checksums, snapshot: str) -> str:
    """Return the newest state before one whose small arrays can all be read; empty: none."""
    for earlier in _ancestors(repository, checksums, snapshot):
        if unreadable(repository, checksums, earlier) or checksums.wrong_files(earlier):
            continue
        try:
            with explained("it cannot be read"):
                root = layout.open_root(repository.readonly_session(snapshot_id=earlier).store)
        except StoreError:
            continue
        if root is not None and not any(_lost_small(root)):
            return earlier
    return ""


def _lost_small(root: zarr.Group) -> Iterator[bool]:
    for _, array in root.members(max_depth=None):
        if isinstance(array, zarr.Array) and array.ndim < 3:
            yield any(True for _ in damaged_chunks(array))


def _ancestors(
    repository: icechunk.Repository, checksums: Checksums, snapshot: str
) -> Iterator[str]:
    """Yield the states before one, newest first, from the lists of checksums where a snapshot cannot be read.

    The last is the first, empty one: no history can be read without it.
    """
    while True:
        listed = checksums.listed(snapshot)
        if listed is not None and listed.whole:
            parent = listed.parent
        else:
            try:
                parent = repository.lookup_snapshot(snapshot).parent_id
            except icechunk.IcechunkError:
                return
        if parent is None:
            return
        yield parent
        snapshot = parent
