"""The branches of runs: made, adopted, dropped, and moved by compare-and-swap.

An object store has no lock, so that whatever is looked up here may change before the next line.
Each function is right nevertheless: a run that loses its branch is told so by `StoreConflictError`
when it next commits, and nothing of it was shown to readers.
"""

from __future__ import annotations

import re

import icechunk

from pipeline.errors import StoreConflictError
from pipeline.store.places import MAIN, RUN, TROUBLES


def own_branch(repository: icechunk.Repository, run_key: str) -> tuple[str, str]:
    """Return the branch of a run and the snapshot of ``main`` that it builds on.

    A branch of this run that a killed process left is adopted if ``main`` is still where it was;
    else it is made anew. Branches of other runs that can never be published are deleted; if such
    a run is still alive, it hears of the conflict at its next commit instead of at its end.

    Raises
    ------
    StoreConflictError
        Another process made a branch for the same key at this moment.
    """
    if not re.fullmatch(r"[A-Za-z0-9._-]+", run_key):
        raise ValueError(f"a run key has letters, digits and ._- only, not {run_key!r}")
    own = RUN + run_key
    base = drop_dead(repository)
    if tip(repository, own) is None:
        _create(repository, own, base)
    return own, base


def drop_dead(repository: icechunk.Repository) -> str:
    """Delete the branches of runs that ``main`` has left behind; return where ``main`` is."""
    # Branches first: one that appears later is not looked at, and cannot be taken for dead.
    branches = sorted(each for each in repository.list_branches() if each.startswith(RUN))
    base = repository.lookup_branch(MAIN)
    for branch in branches:
        head = tip(repository, branch)
        if (
            head is not None
            and not builds_on(repository, head, base)
            and repository.lookup_branch(MAIN) == base
        ):
            drop(repository, branch)
    return base


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
    except TROUBLES as error:
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


def taken(
    repository: icechunk.Repository, branch: str, base: str, head: str | None
) -> str | None:
    """Say what another run did that makes this one's work impossible; none: nothing.

    `head` is where the run left its branch, if it knows.
    """
    now = repository.lookup_branch(MAIN)
    if now != base:
        return f"another run has published meanwhile (main was at {base}, is at {now})"
    found = tip(repository, branch)
    if found is None:
        return f"another process has deleted the branch {branch} of this run"
    if head is not None and found != head:
        return f"another process works on the same run (its branch {branch} moved to {found})"
    return None


def _is_gone(error: icechunk.IcechunkError) -> bool:
    # Icechunk has one class for all. To look again would not do: another run may have made the
    # branch anew meanwhile.
    return "ref not found" in str(error)


def _create(repository: icechunk.Repository, branch: str, base: str) -> None:
    try:
        repository.create_branch(branch, base)
    except TROUBLES as error:
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
