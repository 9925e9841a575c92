"""The transactions of one run: commits on its own branch, published once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, NoReturn
from uuid import uuid4

import icechunk
import zarr
from icechunk.session import ForkSession

from pipeline.access import RetryPolicy, Verdict
from pipeline.errors import StoreConflictError, StoreError, StoreUnavailableError
from pipeline.store.arrays.groups import Groups
from pipeline.store.arrays.items_and_records import Ledger
from pipeline.store.base.checksums import Checksums
from pipeline.store.base.location import MAIN, PUBLISHED
from pipeline.store.base.translate_errors import ICECHUNK_ERRORS, explained
from pipeline.store.versions import branches, failed_runs
from pipeline.store.write.catch_up import CatchUp
from pipeline.store.write.fork import Origin
from pipeline.store.write.moving_store import MovingStore
from pipeline.types import Grid

PUBLISH = RetryPolicy(attempts=5, first_wait_s=0.7)
"""Retry policy of a run that loses the race to publish."""


class _OvertakenError(StoreConflictError):
    """Another run published between two lines of ours; on top of it the same may succeed."""


def _verdict(error: Exception) -> Verdict:
    overtaken = isinstance(error, _OvertakenError)
    return Verdict.TRANSIENT if overtaken else Verdict.PERMANENT


class BranchWork:
    """A run's work on a branch of an Icechunk repository; see `pipeline.store.write.writer.Work`."""

    def __init__(
        self,
        repository: icechunk.Repository,
        grid: Grid,
        branch: str,
        base: str,
        checksums: Checksums,
    ) -> None:
        self._repository = repository
        self._checksums = checksums
        self._grid = grid
        self._branch = branch
        self._base = base
        self._head: str | None = None
        self._lost: StoreConflictError | None = None
        self._published = False
        self._begin()

    def _begin(self) -> None:
        """Open a session on the tip of the branch; uncommitted changes are dropped."""
        # Until the new session is open, changes of the old one must never be committed.
        self._stale = True
        self._require_branch()
        self._head = None
        with self._guarded("cannot go on with the store"):
            branches.take_back(self._repository, self._branch, self._base)
            self._open_session()
            self._store = MovingStore(self._session.store)
            self._open_groups = Groups(zarr.open_group(self._store, mode="r+", zarr_format=3))
        self._head = self._tip
        self._stale = False

    def _open_session(self) -> None:
        self._session = self._repository.writable_session(self._branch)
        # Forks need a separate session: Icechunk cannot fork one that has changes.
        self._pristine: icechunk.Session | None = None

    def _go_on(self) -> None:
        """Open a new session after a commit, which closed the old one."""
        self._open_session()
        self._head = self._tip
        self._store.move(self._session.store)
        self._open_groups.settle()

    def groups(self) -> Groups:
        """Return the groups of the open session.

        Raises
        ------
        StoreError
            The run is published.
        StoreConflictError
            Another run has made the work impossible.
        """
        if self._published:
            raise StoreError("this run is published: open another writer to write more")
        if self._lost is not None:
            raise self._lost
        if self._stale:
            self._begin()
        return self._open_groups

    # -- forks ---------------------------------------------------------------------------------

    def fork(self) -> Origin:
        """Return what a fork of the last commit writes to."""
        self.groups()
        with explained("cannot make a fork for a worker"):
            if self._pristine is None:
                self._pristine = self._repository.writable_session(self._branch)
            return self._pristine.fork()

    def merge(self, origins: Sequence[Origin]) -> None:
        """Add what forks of this commit, or of earlier ones, have written."""
        groups = self.groups()
        for origin in origins:
            if not isinstance(origin, ForkSession):
                raise TypeError(f"a fork of another kind of store: {type(origin).__qualname__}")
            with explained("cannot merge what a worker has written"):
                self._session.merge(origin)
        groups.forget()

    # -- commits -------------------------------------------------------------------------------

    @property
    def changed(self) -> bool:
        """Whether this run, or the killed one that it continues, has anything to publish."""
        if self._stale:
            self._begin()
        waiting = self._open_groups.dirty or self._session.has_uncommitted_changes
        return waiting or self._tip != self._base

    @property
    def _tip(self) -> str:
        return str(self._session.snapshot_id)

    def commit(self, message: str) -> str:
        """Commit what was written since the last commit, all of it or nothing."""
        self.groups()
        return self._commit(message)

    def _commit(self, message: str, metadata: dict[str, Any] | None = None) -> str:
        with explained("cannot write; what was committed before is kept"):
            self._open_groups.flush()
        if not self._session.has_uncommitted_changes:
            return self._tip
        self._require_branch()
        token = uuid4().hex
        try:
            with explained("cannot commit; what was committed before is kept"):
                self._session.commit(message, metadata={**(metadata or {}), "commit": token})
        except StoreError:
            # An object store may have committed although its answer was lost.
            with explained("cannot commit, nor see what became of it; start this run again"):
                kept = branches.committed(self._repository, self._branch, token)
            if not kept:
                self._require_branch()
                raise
        self._head = None
        with explained("it is committed, but its checksums cannot be written"):
            branches.keep_checksums(self._repository, self._branch, self._checksums)
        with self._guarded("it is committed, but the store cannot be read"):
            self._go_on()
        return self._tip

    @contextmanager
    def _guarded(self, what: str) -> Iterator[None]:
        """Raise a conflict instead of an error of the store if another run caused it."""
        try:
            with explained(what):
                yield
        except StoreError:
            self._require_branch()
            raise

    def _require_branch(self) -> None:
        """Check that the branch is still this run's: a conflict should not show hours later, at the end."""
        with explained(f"cannot look for the branch {self._branch}"):
            if self._head == self._base:
                # Another run may have dropped an empty branch as abandoned; nothing was lost.
                branches.revive(self._repository, self._branch, self._base)
            cause = branches.taken(self._repository, self._branch, self._head)
        if cause is not None:
            self._lose(cause)

    def _lose(self, cause: str) -> NoReturn:
        self._lost = StoreConflictError(
            f"{cause}: start this run again, it takes up what is there"
        )
        raise self._lost

    def discard(self) -> None:
        """Drop what was written since the last commit."""
        self._stale = True
        self.groups()

    # -- publishing ----------------------------------------------------------------------------

    def publish(self, record: Mapping[str, Any]) -> str:
        """Save the record and move ``main``, in one step."""
        self.groups()
        if self.changed:
            try:
                self._record_and_show(record)
            except StoreError:
                # The record may be committed already: the next use removes it.
                self._stale = True
                raise
        tip, self._published = self._tip, True
        # Readers see the run already: a branch that cannot be deleted now is dropped by a later run.
        with suppress(*ICECHUNK_ERRORS):
            self._repository.delete_branch(self._branch)
        return tip

    def keep_failure(self, record: Mapping[str, Any]) -> None:
        """Save the record of a run that shows nothing to readers."""
        failed_runs.keep_failure(self._repository, record, self._checksums)

    def bytes_stored(self) -> int:
        """Return the size of all chunks that can still be read; it looks at every state."""
        with explained("cannot measure the store"):
            return int(self._repository.chunk_storage_stats().native_bytes)

    def _record_and_show(self, record: Mapping[str, Any]) -> None:
        self.commit("end of the run")
        PUBLISH.call(partial(self._catch_up_and_show, record), judge=_verdict)

    def _catch_up_and_show(self, record: Mapping[str, Any]) -> None:
        self.catch_up(strict=True)
        try:
            self._show(record)
        except StoreConflictError as error:
            if self._lost is not None:
                raise
            # Another run was quicker between two lines: what is recorded is taken back.
            self._begin()
            raise _OvertakenError(str(error)) from error

    def _show(self, record: Mapping[str, Any]) -> None:
        with explained("cannot write the record of the run"):
            Ledger.of(self._open_groups.root).record({**record, "snapshot": self._tip})
        message = f"run {record.get('run_id', self._branch)}"
        self._move_main(self._commit(message, metadata=PUBLISHED))

    def _move_main(self, tip: str) -> None:
        with explained("cannot publish"):
            branches.move_main(self._repository, self._base, tip)

    # -- on top of what others publish ---------------------------------------------------------

    def catch_up(self, *, strict: bool) -> None:
        """Replay the commits on top of ``main``, if ``main`` has moved.

        Parameters
        ----------
        strict
            Whether it is an error that another run wrote the same cells; else theirs stay.

        Raises
        ------
        StoreConflictError
            It did, or the state that this run builds on was rolled back.
        """
        self.groups()
        with explained("cannot look for what other runs have published"):
            main = self._repository.lookup_branch(MAIN)
            if main == self._base:
                return
            if branches.root(self._repository, self._tip, main) != self._base:
                self._lose(f"what this run builds on was rolled back (main is at {main})")
        head = main if self._tip == self._base else self._moved_if_it_can(main, strict=strict)
        with self._guarded("cannot take up what another run has published"):
            branches.advance(self._repository, self._branch, self._tip, head)
        self._base, self._head = main, head
        self._begin()

    def _moved_if_it_can(self, main: str, *, strict: bool) -> str:
        try:
            with explained("cannot take up what another run has published"):
                return CatchUp(
                    repository=self._repository,
                    checksums=self._checksums,
                    grid=self._grid,
                    branch=self._branch,
                ).replay(self._base, self._tip, main, strict=strict)
        except StoreError as error:
            if strict or isinstance(error, StoreUnavailableError):
                raise
            # Commits of a killed run that cannot be replayed, e.g. of another grid, are made again.
            return main
