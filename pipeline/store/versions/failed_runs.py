"""Records of runs that failed, on a branch of their own: readers of ``main`` see nothing of them.

The failed run's own branch stays for its next try, and is dropped like others when ``main`` moves on.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import icechunk
import zarr

from pipeline.access import RetryPolicy, Verdict
from pipeline.store.arrays.items_and_records import Ledger
from pipeline.store.base.checksums import Checksums
from pipeline.store.base.location import MAIN, locate_store
from pipeline.store.base.translate_errors import ICECHUNK_ERRORS, explained
from pipeline.store.versions import branches

BRANCH = "failed-runs"
RETRY = RetryPolicy(attempts=5, first_wait_s=0.1)
"""Retry policy of a commit that another failing run has overtaken."""


def keep_failure(
    repository: icechunk.Repository, record: Mapping[str, Any], checksums: Checksums
) -> None:
    """Append the record of a run that is not published.

    Parameters
    ----------
    repository
        Only the branch of these records changes.
    record
        JSON values.
    checksums
        Of the repository.

    Raises
    ------
    StoreError
        The store cannot be written to.
    """
    with explained("cannot keep the record of the failed run"):
        RETRY.call(partial(_append, repository, record), judge=_verdict)
        branches.keep_checksums(repository, BRANCH, checksums)


def _append(repository: icechunk.Repository, record: Mapping[str, Any]) -> None:
    _make_branch(repository)
    session = repository.writable_session(BRANCH)
    Ledger.of(zarr.open_group(session.store, mode="a")).record(record)
    session.commit(f"failed run {record.get('run_id', '')}")


def _verdict(error: Exception) -> Verdict:
    overtaken = isinstance(error, icechunk.ConflictError)
    return Verdict.TRANSIENT if overtaken else Verdict.PERMANENT


def failed_records(url: str) -> list[dict[str, Any]]:
    """Return the records of the runs that failed, oldest first, regardless of what was published since.

    A plain Zarr store keeps none.

    Raises
    ------
    StoreError
        There is no store, or it cannot be read.
    """
    where = locate_store(url)
    if where.plain:
        return []
    repository = where.open()
    with explained(f"cannot read the records of failed runs of {url}"):
        if branches.tip(repository, BRANCH) is None:
            return []
        head, checksums = repository.lookup_branch(BRANCH), Checksums(where.path)
        checksums.require(head)
        checksums.require_below(repository, head, "")
        session = repository.readonly_session(snapshot_id=head)
        root = zarr.open_group(session.store, mode="r")
        return Ledger.of(root).records()


def _make_branch(repository: icechunk.Repository) -> None:
    if branches.tip(repository, BRANCH) is not None:
        return
    # On the first, empty snapshot, so that the branch keeps no pixels from being expired.
    *_, first = repository.ancestry(branch=MAIN)
    try:
        repository.create_branch(BRANCH, first.id)
    except ICECHUNK_ERRORS:
        if branches.tip(repository, BRANCH) is None:
            raise
