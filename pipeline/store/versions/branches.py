"""The branches of runs: made, adopted, dropped, and moved by compare-and-swap.

An object store has no lock, so that whatever is looked up here may change before the next line.
Each function is right nevertheless: a run that loses its branch is told so by `StoreConflictError`
when it next commits, and nothing of it was shown to readers.
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
"""Age of a run's last commit from which on its branch is dropped once ``main`` has left it."""


def own_branch(repository: icechunk.Repository, run_key: str) -> tuple[str, str]:
    """Return the branch of a run and the published snapshot that its work builds on.

    A branch of this run that a killed process left is adopted. If ``main`` has moved since, the
    base is not ``main``: the work must be done again on top of it (`pipeline.store.versions.rebase`) before
    it can be published. Work on what was rolled back since, or is published already, is dropped.

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

    They are those that are published already, those that build on what was rolled back, and
    those that ``main`` has left behind and that were not touched for long: a run whose process was
    killed is started again by its scheduler within hours, or never. A run that is alive and hears
    of it, hears of the conflict at its next commit.
    """
    # Branches first: one that appears later is not looked at, and cannot be taken for dead.
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
    # What was written before the base cannot come after it.
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

    To have `base` among the ancestors is not enough: after a rollback, work that was built on
    what was rolled back has it, too.
    """
    for n, snapshot in enumerate(repository.ancestry(snapshot_id=head)):
        if snapshot.id == base:
            return True
        # The head itself may be the record of a run that was killed before it moved `main`.
        if n and snapshot.metadata.get("published"):
            return False
    return False


def take_back(repository: icechunk.Repository, branch: str, base: str) -> None:
    """Drop the record of a run that was stopped between writing it and moving ``main``."""
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
    """Say what another process did that makes this run's work impossible; none: nothing.

    `head` is where the run left its branch, if it knows.
    """
    found = tip(repository, branch)
    if found is None:
        return f"another process has deleted the branch {branch} of this run"
    if head is not None and found != head:
        return f"another process works on the same run (its branch {branch} moved to {found})"
    return None


def revive(repository: icechunk.Repository, branch: str, base: str) -> None:
    """Make the branch of a run again, if it is gone, where nothing was committed on it."""
    if tip(repository, branch) is None:
        _create(repository, branch, base)


def drop_replays(repository: icechunk.Repository, age: timedelta) -> None:
    """Delete the branches that killed runs left while they moved their work."""
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
    # Icechunk has one class for all. To look again would not do: another run may have made the
    # branch anew meanwhile.
    return "ref not found" in str(error)


def _create(repository: icechunk.Repository, branch: str, base: str) -> None:
    try:
        repository.create_branch(branch, base)
    except ICECHUNK_ERRORS as error:
        head = tip(repository, branch)
        if head is None:
            raise
        # At the base: it is ours although the answer was lost, or empty as ours would be.
        if head != base:
            raise StoreConflictError(
                f"another process has just started the same run (branch {branch}): "
                "wait until it ends, then start again"
            ) from error


def _reached(repository: icechunk.Repository, now: str, target: str, base: str) -> bool:
    """Say whether ``main`` went through a snapshot: then it moved, and only the answer was lost."""
    for snapshot in repository.ancestry(snapshot_id=now):
        if snapshot.id == target:
            return True
        if snapshot.id == base:
            return False
    return False
