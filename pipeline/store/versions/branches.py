"""The branches of runs: creating, adopting, dropping, and moving them by compare-and-swap.

An object store has no lock: what one line reads may have changed by the next. Each function
is correct nevertheless: a run that loses its branch gets a `StoreConflictError` at its next commit, and
readers have seen nothing of it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import icechunk

from pipeline.errors import StoreConflictError
from pipeline.store.base.checksums import Checksums
from pipeline.store.base.location import MAIN, REPLAY, RUN
from pipeline.store.base.translate_errors import ICECHUNK_ERRORS

ABANDONED = timedelta(days=1)
"""Age of its last commit at which a run's branch is dropped, once ``main`` has moved on."""


def own_branch(repository: icechunk.Repository, run_key: str) -> tuple[str, str]:
    """Return the branch of a run and the published snapshot that its work builds on.

    A branch that a killed process of this run left is adopted. If ``main`` has moved since, the base
    is not ``main``, and the commits must be replayed on top of it (`pipeline.store.versions.rebase`)
    before they can be published. Commits on a state that was rolled back, or that are published
    already, are dropped.

    Raises
    ------
    StoreConflictError
        Another process made a branch for the same key at this moment.
    """
    if not re.fullmatch(r"[A-Za-z0-9._-]+", run_key):
        raise ValueError(f"a run key has letters, digits and ._- only, not {run_key!r}")
    own = RUN + run_key
    main = drop_dead(repository, ABANDONED, keep=own)
    head = tip(repository, own)
    base = None if head is None else root(repository, head, main)
    if head is not None and base is None:
        drop(repository, own)
    if base is None:
        _create(repository, own, main)
    return own, base or main


def drop_dead(repository: icechunk.Repository, age: timedelta, keep: str = "") -> str:
    """Delete the branches that no run will publish; return where ``main`` is.

    These are branches that are published already, that build on a state that was rolled back, or that
    ``main`` has moved away from and that had no commit for `age`: a scheduler starts a killed run again
    within hours, or never. A run that is alive after all gets a conflict at its next commit.
    """
    # List branches before looking up main: a branch made in between cannot be taken for dead.
    found = sorted(each for each in repository.list_branches() if each.startswith(RUN))
    main = repository.lookup_branch(MAIN)
    for branch in found:
        head = tip(repository, branch)
        if (
            head is not None
            and branch != keep
            and _is_dead(repository, head, main, age)
            and repository.lookup_branch(MAIN) == main
        ):
            drop(repository, branch)
    return main


def _is_dead(repository: icechunk.Repository, head: str, main: str, age: timedelta) -> bool:
    base = root(repository, head, main)
    if base == main:
        return False
    touched = repository.lookup_snapshot(head).written_at
    return base is None or datetime.now(UTC) - touched > age


def root(repository: icechunk.Repository, head: str, main: str) -> str | None:
    """Return the published snapshot that a run's work builds on, if it leads to ``main``.

    None: it was rolled back, or all of the work is published.
    """
    if builds_on(repository, head, main):
        return main
    steps = iter(repository.ancestry(snapshot_id=head))
    first = next(steps)
    base = next((each for each in steps if each.metadata.get("published")), None)
    # States older than the base cannot come after it.
    if base is None:
        return None
    for snapshot in repository.ancestry(snapshot_id=main):
        if snapshot.id == base.id:
            return str(base.id)
        if snapshot.id == first.id or snapshot.written_at < base.written_at:
            return None
    return None


def keep_checksums(repository: icechunk.Repository, branch: str, checksums: Checksums) -> None:
    """List the files of the newest commit of a branch."""
    checksums.keep(repository, repository.lookup_branch(branch))


def drop(repository: icechunk.Repository, branch: str) -> None:
    """Delete a branch, if it is there."""
    try:
        repository.delete_branch(branch)
    except icechunk.IcechunkError as error:
        if not _is_gone(error):
            raise


def tip(repository: icechunk.Repository, branch: str) -> str | None:
    """Return the newest snapshot of a branch; none: there is no such branch."""
    try:
        return repository.lookup_branch(branch)
    except icechunk.IcechunkError as error:
        if _is_gone(error):
            return None
        raise


def builds_on(repository: icechunk.Repository, head: str, base: str) -> bool:
    """Say whether a run's work starts at `base`, so that ``main`` can move from there to it.

    `base` among the ancestors is not enough: after a rollback, that is also true of work on the state
    that was rolled back.
    """
    for n, snapshot in enumerate(repository.ancestry(snapshot_id=head)):
        if snapshot.id == base:
            return True
        # The head itself may be the record of a run that was killed before it moved ``main``.
        if n and snapshot.metadata.get("published"):
            return False
    return False


def take_back(repository: icechunk.Repository, branch: str, base: str) -> None:
    """Remove the record of a run that stopped between committing it and moving ``main``."""
    head = next(iter(repository.ancestry(branch=branch)))
    if head.id != base and head.metadata.get("published") and head.parent_id is not None:
        repository.reset_branch(branch, head.parent_id, from_snapshot_id=head.id)


def move_main(repository: icechunk.Repository, base: str, target: str) -> None:
    """Move ``main`` if nobody else has.

    Raises
    ------
    StoreConflictError
        Somebody has.
    """
    try:
        repository.reset_branch(MAIN, target, from_snapshot_id=base)
    except ICECHUNK_ERRORS as error:
        now = repository.lookup_branch(MAIN)
        if now == base:
            raise
        if not _reached(repository, now, target, base):
            raise StoreConflictError(
                f"another run has published meanwhile (main was at {base}, is at {now}): "
                "start this run again, it takes up what is there"
            ) from error


def committed(repository: icechunk.Repository, branch: str, token: str) -> bool:
    """Say whether the commit with a token is the newest of a branch."""
    head = tip(repository, branch)
    return head is not None and repository.lookup_snapshot(head).metadata.get("commit") == token


def taken(repository: icechunk.Repository, branch: str, head: str | None) -> str | None:
    """Return what another process did to this run's branch; none: nothing.

    `head` is where the run left its branch, if it knows.
    """
    found = tip(repository, branch)
    if found is None:
        return f"another process has deleted the branch {branch} of this run"
    if head is not None and found != head:
        return f"another process works on the same run (its branch {branch} moved to {found})"
    return None


def revive(repository: icechunk.Repository, branch: str, base: str) -> None:
    """Make the branch of a run again if it was deleted before its first commit."""
    if tip(repository, branch) is None:
        _create(repository, branch, base)


def drop_replays(repository: icechunk.Repository, age: timedelta) -> None:
    """Delete the scratch branches that killed runs left."""
    for branch in sorted(repository.list_branches()):
        head = tip(repository, branch) if branch.startswith(REPLAY) else None
        if head and datetime.now(UTC) - repository.lookup_snapshot(head).written_at > age:
            drop(repository, branch)


def advance(repository: icechunk.Repository, branch: str, head: str, target: str) -> None:
    """Move a run's branch from one head to another, if nobody else has.

    Raises
    ------
    StoreConflictError
        Somebody has.
    """
    try:
        repository.reset_branch(branch, target, from_snapshot_id=head)
    except ICECHUNK_ERRORS as error:
        found = tip(repository, branch)
        if found == head:
            raise
        if found != target:
            raise StoreConflictError(
                f"another process works on the same run (its branch {branch} is at {found}): "
                "wait until it ends, then start again"
            ) from error


def _is_gone(error: icechunk.IcechunkError) -> bool:
    # Icechunk has one class for all errors. Looking up the branch again would not do: another run may
    # have made it in between.
    return "ref not found" in str(error)


def _create(repository: icechunk.Repository, branch: str, base: str) -> None:
    try:
        repository.create_branch(branch, base)
    except ICECHUNK_ERRORS as error:
        head = tip(repository, branch)
        if head is None:
            raise
        # At the base: ours although the answer was lost, or an empty one as good as ours.
        if head != base:
            raise StoreConflictError(
                f"another process has just started the same run (branch {branch}): "
                "wait until it ends, then start again"
            ) from error


def _reached(repository: icechunk.Repository, now: str, target: str, base: str) -> bool:
    """Say whether ``main`` has passed a snapshot: then it moved, and only the answer was lost."""
    for snapshot in repository.ancestry(snapshot_id=now):
        if snapshot.id == target:
            return True
        if snapshot.id == base:
            return False
    return False
