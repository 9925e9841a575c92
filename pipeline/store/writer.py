"""What the one run that writes may do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import chain
from typing import Any
from uuid import uuid4

import icechunk
import numpy as np
import xarray as xr
import zarr
from numpy.typing import NDArray

from pipeline.errors import StoreConflictError, StoreError
from pipeline.store import branches, layout, ledger
from pipeline.store.composites import CompositeGroup
from pipeline.store.ledger import Ledger
from pipeline.store.masks import MaskGroup, SceneRow
from pipeline.store.places import PUBLISHED, TROUBLES, explained
from pipeline.types import Grid, Period, Tile


class Writer:
    """What a run may do to a store; made by `open_writer`.

    Nothing is kept before `commit`, and no reader sees anything before `publish`.
    """

    def __init__(
        self, repository: icechunk.Repository, grid: Grid, branch: str, base: str
    ) -> None:
        self._repository = repository
        self._grid = grid
        self._branch = branch
        self._base = base
        self._head: str | None = None
        self._lost: StoreConflictError | None = None
        self._published = False
        self._begin()

    def _begin(self) -> None:
        """Open a session on the tip of the branch; what was not committed is forgotten."""
        # Until it is open: whatever the session before holds must never be committed.
        self._stale = True
        self._require_branch()
        self._head = None
        with self._guarded("cannot go on with the store"):
            branches.take_back(self._repository, self._branch, self._base)
            self._session = self._repository.writable_session(self._branch)
            self._root = zarr.open_group(self._session.store, mode="r+")
        self._head = self._tip
        self._masks: dict[str, MaskGroup] = {}
        self._composites: dict[str, CompositeGroup] = {}
        self._stale = False

    def _go_on(self) -> None:
        """Open a session after a commit, which ends the one before."""
        self._session = self._repository.writable_session(self._branch)
        self._root = zarr.open_group(self._session.store, mode="r+")
        self._head = self._tip
        groups = {f"masks/{name}": each for name, each in self._masks.items()} | {
            f"composites/{name}": each for name, each in self._composites.items()
        }
        for path, group in groups.items():
            found = layout.group_of(self._root, path)
            assert found is not None, path
            group.reopen(found)

    # -- masks ---------------------------------------------------------------------------------

    def set_scenes(self, sensor: str, scenes: Sequence[SceneRow]) -> None:
        """Give scenes a place on the time axis of a sensor.

        Known times keep their place and take the new platform and items; a scene whose time moved
        (known by an item that it shares with a stored scene) keeps its place and its cells; others
        are appended. No scene is ever removed. The axis need not be sorted: readers sort.

        Parameters
        ----------
        sensor
            E.g. ``sentinel-2``.
        scenes
            (time, platform, item ids) each; times are unique and timezone-aware.
        """
        with explained(f"cannot write the scenes of {sensor}"):
            parent = self._open_root().require_group("masks")
            if layout.group_of(parent, sensor) is None:
                self._masks[sensor] = MaskGroup.create(parent, sensor, self._grid)
            self._mask_group(sensor).set_scenes(scenes)

    def fingerprints(self, sensor: str) -> dict[datetime, NDArray[np.uint64]]:
        """Return the fingerprints (tile_y, tile_x) of every stored scene; {} for a new sensor.

        They are read-only views, kept in memory: later writes show in them.
        """
        with explained(f"cannot read what is there of {sensor}"):
            parent = layout.group_of(self._open_root(), "masks")
            if parent is None or layout.group_of(parent, sensor) is None:
                return {}
            return self._mask_group(sensor).fingerprints()

    def write_mask(
        self,
        sensor: str,
        time: datetime,
        tile: Tile,
        mask: NDArray[np.uint8] | None,
        fingerprint: int,
    ) -> None:
        """Write one cell: pixels, class counts and fingerprint.

        Parameters
        ----------
        sensor, time
            A scene given to `set_scenes`.
        tile
            Of the grid.
        mask
            Codes (y, x) of the tile; none writes no data everywhere, for the cells that are
            `UNCOVERED` or `UNREADABLE`.
        fingerprint
            Hash of what made the cell, or one of the two.
        """
        group = self._mask_group(sensor)
        with explained(f"cannot write tile {tile.name} of {sensor}, {time.isoformat()}"):
            group.write(time, tile, mask, fingerprint)

    def read_mask(
        self, sensor: str, times: Sequence[datetime], tile: Tile
    ) -> NDArray[np.uint8]:
        """Return masks (time, y, x) of a tile in the order of `times`, uncommitted ones too."""
        with explained(f"cannot read masks of {sensor}, tile {tile.name}"):
            return self._mask_group(sensor).read(times, tile)

    def _mask_group(self, sensor: str) -> MaskGroup:
        root = self._open_root()
        if sensor not in self._masks:
            parent = layout.group_of(root, "masks")
            group = parent and layout.group_of(parent, sensor)
            if not isinstance(group, zarr.Group):
                raise StoreError(f"the store has no masks of {sensor!r}: call set_scenes first")
            self._masks[sensor] = MaskGroup(group, sensor)
        return self._masks[sensor]

    # -- composites ----------------------------------------------------------------------------

    def set_composite(
        self,
        name: str,
        roles: Sequence[str],
        periods: Sequence[Period],
        attributes: Mapping[str, Any],
    ) -> None:
        """Give the periods of a composite a place on its time axis, and make it if it is new.

        A stored period whose end moved loses its fingerprints, and so is composed again.

        Parameters
        ----------
        name
            Of the composite.
        roles
            Its bands; a stored composite keeps those that it has.
        periods
            One time each.
        attributes
            JSON values for the group, e.g. method and settings.

        Raises
        ------
        StoreError
            The composite is there with other roles.
        """
        with explained(f"cannot write the periods of composite {name}"):
            parent = self._open_root().require_group("composites")
            if layout.group_of(parent, name) is None:
                self._composites[name] = CompositeGroup.create(parent, name, self._grid, roles)
            group = self._composite_group(name)
            group.require_roles(roles)
            group.set_attributes(attributes)
            group.set_periods(periods)

    def composite_fingerprints(self, name: str) -> dict[datetime, NDArray[np.uint64]]:
        """Return the fingerprints (tile_y, tile_x) of every stored period, by its start."""
        with explained(f"cannot read what is there of composite {name}"):
            parent = layout.group_of(self._open_root(), "composites")
            if parent is None or layout.group_of(parent, name) is None:
                return {}
            return self._composite_group(name).fingerprints()

    def write_composite(
        self, name: str, start: datetime, tile: Tile, composite: xr.Dataset, fingerprint: int
    ) -> None:
        """Write one period of a composite in one tile.

        Reflectance is rounded half to even to whole 1e-4 and clipped to ±3.2767.

        Parameters
        ----------
        name, start
            A composite and the start of a period given to `set_composite`.
        tile
            Of the grid.
        composite
            One period of the Composite contract of `pipeline.types`, except that ``source`` holds
            positions of the store's item list, as `item_positions` gives them.
        fingerprint
            Hash of what made it.
        """
        group = self._composite_group(name)
        with explained(f"cannot write tile {tile.name} of {name}, {start.isoformat()}"):
            group.write(start, tile, composite, fingerprint)

    def _composite_group(self, name: str) -> CompositeGroup:
        root = self._open_root()
        if name not in self._composites:
            parent = layout.group_of(root, "composites")
            group = parent and layout.group_of(parent, name)
            if not isinstance(group, zarr.Group):
                raise StoreError(
                    f"the store has no composite {name!r}: call set_composite first"
                )
            self._composites[name] = CompositeGroup(group, name)
        return self._composites[name]

    # -- items ---------------------------------------------------------------------------------

    def item_positions(
        self, ids: Sequence[str], documents: Sequence[Mapping[str, Any]]
    ) -> list[int]:
        """Save items and return their positions in the store's list, which never change.

        A known item keeps its document unless its properties changed.

        Parameters
        ----------
        ids
            Unique item ids.
        documents
            Their STAC JSON, in the same order. Signed hrefs are the caller's to strip.
        """
        by_id = ledger.documents_by_id(ids, documents)
        with explained("cannot write the items"):
            return self._ledger().register(by_id)

    def _ledger(self) -> Ledger:
        root = self._open_root()
        group = layout.group_of(root, ledger.NAME)
        return Ledger.create(root) if group is None else Ledger(group)

    # -- transactions --------------------------------------------------------------------------

    @property
    def changed(self) -> bool:
        """Whether this run, or the killed one that it goes on with, has anything to publish."""
        if self._stale:
            self._begin()
        waiting = any(group.dirty for group in self._groups())
        return waiting or self._session.has_uncommitted_changes or self._tip != self._base

    @property
    def _tip(self) -> str:
        return str(self._session.snapshot_id)

    def commit(self, message: str) -> str:
        """Keep what was written since the last commit, all of it or nothing.

        Returns
        -------
        The snapshot's id; the id before if nothing was written.
        """
        self._open_root()
        return self._commit(message)

    def _commit(self, message: str, metadata: dict[str, Any] | None = None) -> str:
        with explained("cannot write; what was committed before is kept"):
            for group in self._groups():
                group.flush()
        if not self._session.has_uncommitted_changes:
            return self._tip
        self._require_branch()
        token = uuid4().hex
        try:
            with explained("cannot commit; what was committed before is kept"):
                self._session.commit(message, metadata={**(metadata or {}), "commit": token})
        except StoreError:
            # An object store may have done what was asked, and the answer was lost.
            with explained("cannot commit, nor see what became of it; start this run again"):
                kept = branches.committed(self._repository, self._branch, token)
            if not kept:
                self._require_branch()
                raise
        self._head = None
        with self._guarded("it is committed, but the store cannot be read"):
            self._go_on()
        return self._tip

    @contextmanager
    def _guarded(self, what: str) -> Iterator[None]:
        """Raise errors of the store as conflicts if another run is their cause."""
        try:
            with explained(what):
                yield
        except StoreError:
            self._require_branch()
            raise

    def _require_branch(self) -> None:
        """Check that the work can still be published: better now than hours later, at the end."""
        with explained(f"cannot look for the branch {self._branch}"):
            cause = branches.taken(self._repository, self._branch, self._base, self._head)
        if cause is not None:
            self._lost = StoreConflictError(
                f"{cause}: start this run again, it takes up what is there"
            )
            raise self._lost

    def discard(self) -> None:
        """Forget what was written since the last commit."""
        self._stale = True
        self._open_root()

    def publish(self, record: Mapping[str, Any]) -> str:
        """Show the run's work to readers: save its record and move ``main``, in one step.

        Does nothing if nothing changed. The last call: the run's branch is gone afterwards.

        Parameters
        ----------
        record
            JSON values; ``snapshot`` is set to the snapshot that holds the last of the pixels.

        Returns
        -------
        The id of the snapshot that readers now see.

        Raises
        ------
        StoreConflictError
            Another run has published since this one started; start this one again.
        StoreError
            The store does not answer: call again, or start the run again. If it had published
            and only the answer was lost, the next start finds nothing left to do.
        """
        self._open_root()
        if self.changed:
            try:
                self._record_and_show(record)
            except StoreError:
                # The record may be on the branch already: the next use takes it back.
                self._stale = True
                raise
        tip, self._published = self._tip, True
        # Readers see the run: a branch that cannot be deleted is dropped by a later run.
        with suppress(*TROUBLES):
            self._repository.delete_branch(self._branch)
        return tip

    def _record_and_show(self, record: Mapping[str, Any]) -> None:
        last = self.commit("end of the run")
        with explained("cannot write the record of the run"):
            self._ledger().record({**record, "snapshot": last})
        message = f"run {record.get('run_id', self._branch)}"
        self._move_main(self._commit(message, metadata=PUBLISHED))

    def _move_main(self, tip: str) -> None:
        with explained("cannot publish"):
            branches.move_main(self._repository, self._base, tip)

    def _groups(self) -> Iterator[MaskGroup | CompositeGroup]:
        return chain(self._masks.values(), self._composites.values())

    def _open_root(self) -> zarr.Group:
        if self._published:
            raise StoreError("this run is published: open another writer to write more")
        if self._lost is not None:
            raise self._lost
        if self._stale:
            self._begin()
        return self._root
