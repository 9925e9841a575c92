"""Going back to what was published, and forgetting what is old."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import icechunk

from pipeline.errors import StoreConflictError, StoreError
from pipeline.store.base.checksums import Checksums
from pipeline.store.base.location import MAIN, RUN, Location, locate
from pipeline.store.base.translate_errors import explained
from pipeline.store.versions import branches
from pipeline.store.versions.branches import drop, drop_dead, move_main
from pipeline.store.versions.snapshots import Snapshot, published

SAFE_AGE = timedelta(days=1)
"""On an object store, where no lock tells of a run in progress, younger objects are kept: they may
be a run's that has not committed them yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """What was forgotten."""

    snapshots: int
    """Published states and steps of runs."""
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
        Id of a state that `Archive.log` tells; the beginning of one will do.

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
    where = locate(url)
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
            # What runs had begun on the state that is taken back must not bring it back.
            for branch in repository.list_branches():
                if branch.startswith(RUN):
                    drop(repository, branch)
    return target


def expire(url: str, older_than: datetime) -> Expired:
    """Forget what was published before an instant, and delete what nothing points at any more.

    The newest published state is kept whatever its age, and so are branches of runs that can
    still be published. Somebody who still reads an older state gets an error for the next chunk
    that is gone, never other pixels, and opens the store anew.

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
    where = locate(url)
    where.require_history("there is nothing to expire")
    with where.lock():
        repository = where.open()
        with explained(f"cannot expire what is old in {url}"):
            age = timedelta(0) if where.path is not None else SAFE_AGE
            branches.drop_replays(repository, age)
            tip = drop_dead(repository, age)
            # First what needs no room: to forget states is to write the oldest that is kept anew.
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
    repository: icechunk.Repository, where: Location, tip: str, wanted: str
) -> Snapshot:
    checksums = Checksums(where.path)
    states = list(published(repository, checksums, tip))
    for tag in sorted(repository.list_tags()):
        states += published(repository, checksums, repository.lookup_tag(tag))
    found = {each.id: each for each in states if each.id.startswith(wanted)}
    if len(found) == 1:
        return next(iter(found.values()))
    trouble = "several published states" if found else "no published state"
    raise StoreError(
        f"{where.url} has {trouble} whose id begins with {wanted!r}: `cloudmask log` lists them"
    )


def _kept_whole(repository: icechunk.Repository, tip: str, older_than: datetime) -> datetime:
    """Return an instant that leaves the branches of runs tied to what they build on."""
    before = older_than
    for branch in repository.list_branches():
        head = branches.tip(repository, branch) if branch.startswith(RUN) else None
        base = head and branches.root(repository, head, tip)
        if base:
            # A branch whose older commits are cut away has lost the state that it builds on.
            before = min(before, repository.lookup_snapshot(base).written_at)
    return before


_UNFINISHED = re.compile(r".+#\d+")
"""How a file is called while it is written: under its own name nobody ever sees half of one."""


def _drop_unfinished(folder: Path) -> int:
    """Delete what killed processes had not finished writing, and say how many bytes it had.

    No listing of Icechunk's has such files, so it never collects them. The caller holds the lock.
    """
    freed = 0
    for each in folder.rglob("*#*"):
        if _UNFINISHED.fullmatch(each.name) and each.is_file():
            freed += each.stat().st_size
            each.unlink()
    return freed


def _orphans_before(where: Location, older_than: datetime) -> datetime:
    now = datetime.now(UTC)
    # The lock of a local path says that no run is at work.
    return now if where.path is not None else min(older_than, now - SAFE_AGE)
