"""Opening a store to write: its lock, repository and grid, and the branch of the run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import icechunk
import zarr

from pipeline.errors import StoreDamagedError
from pipeline.store.arrays import stored_grid
from pipeline.store.base.checksums import Checksums
from pipeline.store.base.location import MAIN, PUBLISHED, RUN, locate_store
from pipeline.store.base.translate_errors import ICECHUNK_ERRORS, explained
from pipeline.store.versions.branches import drop, own_branch, tip
from pipeline.store.versions.snapshots import open_root
from pipeline.store.write import plain_zarr
from pipeline.store.write.run_branch import BranchWork
from pipeline.store.write.writer import Writer
from pipeline.types import Grid


def bytes_needed(tile_px: int, n_scenes: int) -> int:
    """Return an upper bound of the memory of writing a tile and reading its masks back, in bytes.

    One byte a pixel and scene for `Writer.read_mask`; 24 bytes a pixel for a band on its way to
    int16 (float64 steps, their clipped copy, the result, the shard before and after compression).
    """
    return tile_px * tile_px * (n_scenes + 24)


@contextmanager
def open_writer(
    url: str, grid: Grid, *, title: str, run_key: str, overviews: bool = False
) -> Iterator[Writer]:
    """Open a store for one run, and make it if it is not there.

    Parameters
    ----------
    url
        Path or URL of the repository; see `pipeline.store.base.location.locate_store`.
    grid
        The region's grid. A store has one grid for ever (an empty one takes a new grid).
    title
        Name of the archive, given to a new store.
    run_key
        Identifies the work: a run with the same key continues where a killed one stopped. Letters,
        digits and ``._-``.
    overviews
        Make overviews of the sensors and composites that this run writes; existing overviews are
        always updated.

    Yields
    ------
    The writer. What it committed and did not publish when the block ends stays on the run's branch,
    and the next run with this key continues from it.

    Raises
    ------
    StoreError
        The store cannot be opened, or has another grid.
    StoreConflictError
        Another live run writes to it.
    """
    where = locate_store(url)
    with where.lock():
        if where.plain:
            assert where.path is not None
            plain_zarr.ensure_root(where.path, url, grid, _attributes(grid, title))
            yield Writer(plain_zarr.PlainWork(where.path), grid, overviews=overviews)
            return
        repository, checksums = where.open_or_create(), Checksums(where.path)
        with explained(f"cannot read the store {url}"):
            require_sound(repository, checksums, repository.lookup_branch(MAIN))
        _ensure_root(repository, url, grid, title)
        with explained(f"cannot make the branch of run {run_key} in {url}"):
            checksums.keep(repository, repository.lookup_branch(MAIN))
            _drop_damaged(repository, checksums, run_key)
            branch, base = own_branch(repository, run_key)
        try:
            work = BranchWork(repository, grid, branch, base, checksums)
            work.catch_up(strict=False)
            yield Writer(work, grid, overviews=overviews)
        except ICECHUNK_ERRORS:
            with explained(f"cannot go on with the store {url}"):
                raise


def require_sound(repository: icechunk.Repository, checksums: Checksums, snapshot: str) -> None:
    """Check all files that lead to the chunks of a state.

    Raises
    ------
    StoreDamagedError
        One is not what was written.
    """
    checksums.require(snapshot)
    checksums.require_below(repository, snapshot, "")


def _drop_damaged(repository: icechunk.Repository, checksums: Checksums, run_key: str) -> None:
    """Drop the branch of a killed run if it is damaged: no reader saw it, and it is made again."""
    head = tip(repository, RUN + run_key)
    if head is None:
        return
    try:
        require_sound(repository, checksums, head)
    except StoreDamagedError:
        drop(repository, RUN + run_key)


def _ensure_root(repository: icechunk.Repository, url: str, grid: Grid, title: str) -> None:
    """Write the grid into an empty store, or compare it with the one that is there."""
    # One session for both, so that a write of another run after the comparison is a conflict.
    with explained(f"cannot read the store {url}"):
        session = repository.writable_session(MAIN)
        root = open_root(repository, session)
    # No root: a run was killed right after it had made the repository.
    if root is not None and stored_grid.same_grid(root, grid, url):
        return
    with explained(f"cannot write to the store {url}"):
        zarr.open_group(session.store, mode="a").attrs.update(_attributes(grid, title))
        session.commit("grid of the region", metadata=PUBLISHED)


def _attributes(grid: Grid, title: str) -> dict[str, Any]:
    return {
        "format": stored_grid.FORMAT,
        "format_version": stored_grid.FORMAT_VERSION,
        "Conventions": "CF-1.11",
        "title": title,
        "grid": stored_grid.grid_attributes(grid),
    }
