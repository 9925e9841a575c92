"""Opening a store to read it, as it is or as it was."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TypeVar

import icechunk

from pipeline.errors import StoreError
from pipeline.store.base.checksums import Checksums
from pipeline.store.base.location import MAIN, RUN, StoreLocation, locate_store
from pipeline.store.base.translate_errors import explained
from pipeline.store.read import plain
from pipeline.store.read.archive import Archive
from pipeline.store.versions import branches
from pipeline.store.versions.snapshots import open_root, published

SNAPSHOT_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{20}")


A = TypeVar("A", bound=Archive)


def open_archive(url: str, *, as_of: str | datetime | None = None) -> Archive:
    """Open a store for reading; arguments and errors as of `open_as`."""
    return open_as(Archive, url, as_of=as_of)


def open_as(kind: type[A], url: str, *, as_of: str | datetime | None = None) -> A:
    """Open a store for reading, as an `Archive` of one's own.

    Parameters
    ----------
    kind
        A class that adds to `Archive`.
    url
        Path or URL of the repository; see `pipeline.store.base.location.locate_store`.
    as_of
        A snapshot id, a tag, or an instant (naive ones and dates are UTC): the store as it was
        then. None: as it is now; a later publish does not change an open archive. Instants are
        looked up in the history of today's state: what was rolled back is found by id or tag.

    Raises
    ------
    StoreError
        There is no store, or it has no state that old.
    """
    where = locate_store(url)
    if where.plain:
        return _open_plain(kind, where, as_of)
    repository = where.open()
    with explained(
        f"cannot read {url}" if as_of is None else f"cannot read {url} as of {as_of}"
    ):
        session = _session(where, repository, as_of)
        root = open_root(repository, session)
    if root is None:
        raise StoreError(f"the store {url} is still empty: run `cloudmask run` to fill it")
    return kind(url, repository, session, root)


def find_archive(url: str) -> Archive | None:
    """Open a store as it is now; none: there is no store yet, or nothing in it."""
    where = locate_store(url)
    with explained(f"cannot look for a store at {url}"):
        if where.plain:
            assert where.path is not None
            return None if plain.open_root(where.path) is None else open_archive(url)
        if not where.exists():
            return None
    repository = where.open()
    with explained(f"cannot read the store {url}"):
        session = _session(where, repository, None)
        empty = open_root(repository, session) is None
    return None if empty else open_archive(url)


def find_unfinished(url: str, run_key: str) -> Archive | None:
    """Open what a run has committed but not published, as its next start will find it.

    None: there is nothing, or it builds on a state that was rolled back and will be made again. A plain
    store has no such state: readers see at once what a run writes.
    """
    where = locate_store(url)
    with explained(f"cannot look for a store at {url}"):
        if where.plain or not where.exists():
            return None
    repository = where.open()
    with explained(f"cannot read what a run has left in {url}"):
        head = branches.tip(repository, RUN + run_key)
        main = repository.lookup_branch(MAIN)
        if head is None or branches.root(repository, head, main) is None:
            return None
        session = repository.readonly_session(snapshot_id=head)
        root = open_root(repository, session)
    return None if root is None else Archive(url, repository, session, root)


def _open_plain(kind: type[A], where: StoreLocation, as_of: str | datetime | None) -> A:
    if as_of is not None:
        where.require_history("it is read as it is now, not as of an earlier time")
    assert where.path is not None
    with explained(f"cannot read {where.url}"):
        root = plain.open_root(where.path)
    if root is None:
        raise StoreError(
            f"there is no store at {where.url}: check the path, or make one with `cloudmask run`"
        )
    return kind(where.url, None, plain.PlainSession(root.store), root)


def _session(
    where: StoreLocation, repository: icechunk.Repository, as_of: str | datetime | None
) -> icechunk.session.Session:
    checksums = Checksums(where.path)
    snapshot = _chosen(repository, checksums, as_of)
    checksums.require(snapshot)
    return repository.readonly_session(snapshot_id=snapshot)


def _chosen(
    repository: icechunk.Repository, checksums: Checksums, as_of: str | datetime | None
) -> str:
    if as_of is None:
        return repository.lookup_branch(MAIN)
    if isinstance(as_of, str):
        if as_of in repository.list_tags():
            return repository.lookup_tag(as_of)
        if SNAPSHOT_ID.fullmatch(as_of):
            return as_of
    instant = _instant(as_of)
    for snapshot in published(repository, checksums, repository.lookup_branch(MAIN)):
        if snapshot.time <= instant:
            return snapshot.id
    raise StoreError(f"nothing was published before {instant.isoformat()}")


def _instant(as_of: str | datetime) -> datetime:
    try:
        parsed = datetime.fromisoformat(as_of) if isinstance(as_of, str) else as_of
    except ValueError:
        raise StoreError(
            f"{as_of!r} is no tag or snapshot id of the store, and no date or time in ISO 8601"
        ) from None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed


def latest_snapshot(url: str) -> str:
    """Return the id of the state that readers now see; much cheaper than opening it.

    Raises
    ------
    StoreError
        There is no store, or it does not answer.
    """
    where = locate_store(url)
    if where.plain:
        return _open_plain(Archive, where, None).snapshot
    repository = where.open()
    with explained(f"cannot read {url}"):
        return str(repository.lookup_branch(MAIN))
