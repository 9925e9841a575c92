"""A run's commits, replayed on top of what another run has published."""

from __future__ import annotations

from dataclasses import dataclass

import icechunk
import zarr

from pipeline.store.arrays.groups import Groups
from pipeline.store.base.checksums import Checksums
from pipeline.store.base.location import REPLAY
from pipeline.store.versions import branches
from pipeline.store.versions.rebase import Replay
from pipeline.types import Grid

CELLS_A_COMMIT = 4096
"""Cells that are moved between two commits: a session stays small."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchUp:
    """The replay of one branch, on a scratch branch that no other process uses."""

    repository: icechunk.Repository
    checksums: Checksums
    grid: Grid
    branch: str
    """Of the run."""

    def replay(self, base: str, tip: str, main: str, *, strict: bool) -> str:
        """Move what a run committed on top of another state; return the snapshot of the result.

        Parameters
        ----------
        base, tip
            Snapshots between which the run committed.
        main
            Snapshot that another run has published on top of `base`.
        strict
            Whether it is an error that both wrote the same cells; else theirs stay.

        Raises
        ------
        StoreConflictError
            Both wrote the same cells, or keep different arrays.
        StoreError
            They have another grid, or other bands.
        """
        scratch = REPLAY + self.branch
        branches.drop(self.repository, scratch)
        self.repository.create_branch(scratch, main)
        try:
            session = self.repository.writable_session(scratch)
            target = Groups(zarr.open_group(session.store, mode="r+"))
            replay = Replay(
                base=self._root_at(base),
                mine=self._root_at(tip),
                theirs=self._root_at(main),
                target=target,
                grid=self.grid,
                strict=strict,
            )
            moved = 0
            for cells in replay.steps():
                moved += cells
                if moved >= CELLS_A_COMMIT:
                    session, moved = self._commit(session, target, scratch), 0
            self._commit(session, target, scratch)
            return self.repository.lookup_branch(scratch)
        finally:
            branches.drop(self.repository, scratch)

    def _commit(
        self, session: icechunk.Session, target: Groups, scratch: str
    ) -> icechunk.Session:
        """Commit, if there is anything; return the session to go on with."""
        target.flush()
        if session.has_uncommitted_changes:
            session.commit("moved on top of what another run has published")
            branches.keep_checksums(self.repository, scratch, self.checksums)
            session = self.repository.writable_session(scratch)
            target.reopen(zarr.open_group(session.store, mode="r+"))
        return session

    def _root_at(self, snapshot: str) -> zarr.Group:
        session = self.repository.readonly_session(snapshot_id=snapshot)
        return zarr.open_group(session.store, mode="r")
