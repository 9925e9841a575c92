"""Removing signatures, keys and logins that an older version stored."""

from __future__ import annotations

from collections import Counter
from typing import Any

import icechunk
import numpy as np
import zarr

from pipeline.shown import hide_patterns, seen
from pipeline.store.arrays import layout
from pipeline.store.arrays.items_and_records import NAME, Ledger
from pipeline.store.base.checksums import Checksums
from pipeline.store.base.reading import read
from pipeline.store.versions import branches, failed_runs
from pipeline.wording import counted

Cleaned = Counter[str]
"""What was cleaned -> how many."""


def clean(root: zarr.Group) -> Cleaned:
    """Clean one state: items, records of runs, and every other text in its arrays and attributes.

    Clean arrays are not written.
    """
    ledger = layout.group_of(root, NAME)
    found: Cleaned = Counter()
    if ledger is not None:
        found["item"] = Ledger(ledger).clean()
        found["record of a run"] = Ledger(ledger).clean_records()
    for path, each in [("", root), *root.members(max_depth=None)]:
        found["attribute"] += _clean_attributes(each)
        if isinstance(each, zarr.Array) and _has_names(each, path):
            found["name"] += _clean_names(each)
    return +found


def clean_failures(repository: icechunk.Repository, checksums: Checksums) -> Cleaned:
    """Clean the records of the runs that failed."""
    if branches.tip(repository, failed_runs.BRANCH) is None:
        return Counter()
    checksums.require(repository.lookup_branch(failed_runs.BRANCH))
    session = repository.writable_session(failed_runs.BRANCH)
    ledger = Ledger.of(zarr.open_group(session.store, mode="a"))
    changed = ledger.clean_records()
    if changed:
        session.commit("records without keys")
        branches.keep_checksums(repository, failed_runs.BRANCH, checksums)
    return +Counter({"record of a failed run": changed})


def describe_cleaning(cleaned: Cleaned) -> tuple[str, ...]:
    """Describe what was done; empty where nothing was."""
    if not cleaned:
        return ()
    parts = " and ".join(_counted(number, what) for what, number in cleaned.items())
    return (f"{parts} stored again without keys",)


def _counted(number: int, what: str) -> str:
    head, of, rest = what.partition(" of ")
    return f"{counted(number, head)}{of}{rest}"


def _clean_attributes(each: zarr.Group | zarr.Array[Any]) -> int:
    changed = {name: seen(value) for name, value in each.attrs.asdict().items()}
    changed = {name: value for name, value in changed.items() if value != each.attrs[name]}
    if changed:
        each.attrs.update(changed)
    return len(changed)


def _has_names(array: zarr.Array[Any], path: str) -> bool:
    """Say whether an array has texts that are no documents, e.g. ids of items."""
    parent, _, name = path.rpartition("/")
    documents = parent == NAME and name in ("document", "record", "searched")
    return array.dtype.kind in "OT" and array.ndim == 1 and not documents


def _clean_names(array: zarr.Array[Any]) -> int:
    before = [str(each) for each in read(array)]
    after = {n: fit for n, each in enumerate(before) if (fit := hide_patterns(each)) != each}
    if after:
        array.oindex[(np.array(list(after)),)] = np.array(list(after.values()), object)
    return len(after)
