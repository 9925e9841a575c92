"""Published states of a store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import icechunk
import zarr

from pipeline.errors import StoreDamagedError, StoreUnavailableError
from pipeline.store.arrays import layout
from pipeline.store.base.checksums import Checksums
from pipeline.store.base.reading import reason
from pipeline.store.base.translate_errors import as_store_error


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One published state of a store."""

    id: str
    time: datetime
    """When it was written, UTC."""
    message: str


def open_root(
    repository: icechunk.Repository, session: icechunk.session.Session
) -> zarr.Group | None:
    """Open the root group of a state for reading; none: the repository is new, nothing is in it.

    Raises
    ------
    StoreDamagedError
        The root group of a store that was written to is lost.
    """
    root = layout.open_root(session.store)
    if root is None:
        snapshot = repository.lookup_snapshot(session.snapshot_id)
        if snapshot.parent_id is not None:
            raise StoreDamagedError(f"snapshot {snapshot.id}", None, "it has no root group")
    return root


def history(
    repository: icechunk.Repository, checksums: Checksums, tip: str
) -> Iterator[icechunk.SnapshotInfo]:
    """Yield a state and all before it, latest first, each checked.

    Raises
    ------
    StoreDamagedError
        One of them is not what was written; it names it.
    StoreUnavailableError
        The storage does not answer.
    """
    at: str | None = tip
    try:
        for each in repository.ancestry(snapshot_id=tip):
            checksums.require(each.id)
            yield each
            at = each.parent_id
    except icechunk.IcechunkError as error:
        known = as_store_error(f"cannot read snapshot {at}", error)
        if isinstance(known, StoreUnavailableError):
            raise known from error
        raise StoreDamagedError(f"snapshot {at}", None, reason(error)) from error


def published(
    repository: icechunk.Repository, checksums: Checksums, tip: str
) -> Iterator[Snapshot]:
    """Yield the published states, latest first, without the commits between; see `history`."""
    for each in history(repository, checksums, tip):
        if each.metadata.get("published"):
            yield Snapshot(id=each.id, time=each.written_at, message=each.message)


def shown_as(repository: icechunk.Repository, checksums: Checksums, tip: str) -> dict[str, str]:
    """Return for each commit of a run up to a state the published state that it became part of."""
    found: dict[str, str] = {}
    newest = ""
    for each in history(repository, checksums, tip):
        if each.metadata.get("published"):
            newest = each.id
        elif newest:
            found[each.id] = newest
    return found
