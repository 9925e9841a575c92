"""Going back to a published state, and expiring old states."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import icechunk

from pipeline.errors import StoreConflictError, StoreError
from pipeline.store.base.checksums import Checksums
from pipeline.store.base.location import MAIN, RUN, StoreLocation, locate_store
from pipeline.store.base.translate_errors import explained
from pipeline.store.versions import branches
from pipeline.store.versions.branches import drop, drop_dead, move_main
from pipeline.store.versions.snapshots import Snapshot, published

SAFE_AGE = timedelta(days=1)
"""Objects younger than this stay on an object store, which has no lock that shows a run in progress: a
run may not have committed them yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """What was deleted."""

    snapshots: int
    """Published states and commits of runs."""
    bytes: int
    chunks: int
    """Orphans included: what killed runs had written and never committed."""


def roll_back(url: str, snapshot: str) -> Snapshot:
    """Show readers an earlier published state; what came after it becomes a tag.

    Parameters
    ----------
    url
        Path or URL of the repository.
    snapshot
        Id of a state in `Archive.log`, or the beginning of one.

    Returns
    -------
    The state that readers now see. What they saw before stays readable, and can be rolled back
    to, under the tag ``before-rollback-<time>``, until `expire`.

    Raises
    ------
    StoreError
        There is no such state.
    StoreConflictError
        A run is at work, or published meanwhile.
    """
    where = locate_store(url)
    where.require_history("it cannot be rolled back")
    with where.lock():
        repository = where.open()
        with explained(f"cannot roll back {url}"):
            tip = repository.lookup_branch(MAIN)
            target = _chosen(repository, where, tip, snapshot)
            if target.id == tip:
                return target
            tag = f"before-rollback-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
            repository.create_tag(tag, tip)
            try:
                move_main(repository, tip, target.id)
            except StoreConflictError:
                repository.delete_tag(tag)
                raise
            # Branches of runs on the state that is rolled back must not bring it back.
            for branch in repository.list_branches():
                if branch.startswith(RUN):
                    drop(repository, branch)
    return target


def expire(url: str, older_than: datetime) -> Expired:
    """Delete states that were published before an instant, and what no state points at any more.

    The newest published state stays whatever its age, and so do branches of runs that can still be
    published. A reader of a deleted state gets an error at the next chunk, never other pixels, and has
    to open the store again.

    Parameters
    ----------
    url
        Path or URL of the repository.
    older_than
        Timezone-aware. On an object store, orphans of the last day are kept in any case.

    Raises
    ------
    StoreError
        There is no store, or it cannot be written to.
    StoreConflictError
        A run is at work.
    """
    where = locate_store(url)
    where.require_history("there is nothing to expire")
    with where.lock():
        repository = where.open()
        with explained(f"cannot expire what is old in {url}"):
            age = timedelta(0) if where.path is not None else SAFE_AGE
            branches.drop_replays(repository, age)
            tip = drop_dead(repository, age)
            # First what needs no room: expiring rewrites the oldest state that stays.
            checksums = Checksums(where.path)
            checksums.free_reserve()
            unfinished = 0 if where.path is None else _drop_unfinished(where.path)
            orphans = repository.garbage_collect(_orphans_before(where, older_than))
            before = _kept_whole(repository, tip, older_than)
            with checksums.expiring(where.open):
                gone = repository.expire_snapshots(before, delete_expired_tags=True)
                old = repository.garbage_collect(_orphans_before(where, older_than))
    return Expired(
        snapshots=len(gone),
        bytes=orphans.bytes_deleted + old.bytes_deleted + unfinished,
        chunks=orphans.chunks_deleted + old.chunks_deleted,
    )


def _chosen(
    repository: icechunk.Repository, where: StoreLocation, tip: str, wanted: str
) -> Snapshot:
    checksums = Checksums(where.path)
    states = list(published(repository, checksums, tip))
    for tag in sorted(repository.list_tags()):
        states += published(repository, checksums, repository.lookup_tag(tag))
    found = {each.id: each for each in states if each.id.startswith(wanted)}
    if len(found) == 1:
        return next(iter(found.values()))
    matches = "several published states" if found else "no published state"
    raise StoreError(
        f"{where.url} has {matches} whose id begins with {wanted!r}: `cloudmask log` lists them"
    )


def _kept_whole(repository: icechunk.Repository, tip: str, older_than: datetime) -> datetime:
    """Return an instant before the states that branches of runs build on."""
    before = older_than
    for branch in repository.list_branches():
        head = branches.tip(repository, branch) if branch.startswith(RUN) else None
        base = head and branches.root(repository, head, tip)
        if base:
            # Without its older commits a branch has lost the state that it builds on.
            before = min(before, repository.lookup_snapshot(base).written_at)
    return before


_UNFINISHED = re.compile(r".+#\d+")
"""Name of a file while Icechunk writes it."""


def _drop_unfinished(folder: Path) -> int:
    """Delete files that killed processes left unfinished; return their size in bytes.

    Icechunk does not list such files, so it never collects them. The caller has the lock.
    """
    freed = 0
    for each in folder.rglob("*#*"):
        if _UNFINISHED.fullmatch(each.name) and each.is_file():
            freed += each.stat().st_size
            each.unlink()
    return freed


def _orphans_before(where: StoreLocation, older_than: datetime) -> datetime:
    now = datetime.now(UTC)
    # On a local path, the lock proves that no run is at work.
    return now if where.path is not None else min(older_than, now - SAFE_AGE)
