"""Checks, without writing, that a run can write to a store."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.errors import StoreError
from pipeline.store.base.location import locate_store

ICECHUNK = {
    "chunks",
    "config.yaml",
    "manifests",
    "overwritten",
    "refs",
    "repo",
    "snapshots",
} | {"transactions"}
"""Names that Icechunk has in a repository's folder."""


def require_writable(url: str) -> None:
    """Refuse a local path that a run cannot write to.

    Raises
    ------
    StoreError
        A file is in the way, the folder has other content, or it or its parent (for the lock) is not
        writable. Object stores are not checked: their permissions show when a run writes.
    """
    where = locate_store(url)
    path = where.path
    if path is None:
        return
    there = where.exists()
    if path.is_dir():
        _require_ours(path, plain=where.plain, there=there)
    needed = [path, path.with_name(path.name + ".lock"), path.parent]
    for each in needed:
        near = next(one for one in (each, *each.parents) if one.exists())
        if near != each and not near.is_dir():
            raise StoreError(f"cannot make the store {path}: {near} is a file")
        wanted = os.W_OK | os.X_OK if near.is_dir() else os.W_OK
        if not os.access(near, wanted):
            raise StoreError(
                f"cannot write the store {path}: {near} may not be written by this user, or lies on a "
                "read-only disk; name another path, or change that"
            )


def _require_ours(path: Path, *, plain: bool, there: bool) -> None:
    found = {each.name for each in path.iterdir()}
    ours = "zarr.json" in found if plain else there or found <= ICECHUNK
    if found and not ours:
        raise StoreError(f"{path} holds other things than a store: name another folder")
