"""`Writer`: everything that a run can write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from pipeline.store.arrays import contents, items_and_records, layout
from pipeline.store.arrays.contents import SceneRow
from pipeline.store.arrays.groups import Groups
from pipeline.store.arrays.items_and_records import Ledger
from pipeline.store.base.translate_errors import explained
from pipeline.store.write.fork import Fork, Origin
from pipeline.store.write.tilestore import TileStore
from pipeline.types import Grid, Period


class Work(Protocol):
    """The transactions below a writer: one class for each kind of store."""

    def groups(self) -> Groups:
        """Return the groups of the open session."""
        ...

    def fork(self) -> Origin:
        """Return what a fork of the last commit writes to."""
        ...

    def merge(self, origins: Sequence[Origin]) -> None:
        """Add what forks have written."""
        ...

    @property
    def changed(self) -> bool:
        """Whether there is anything to publish."""
        ...

    def commit(self, message: str) -> str:
        """Commit what was written since the last commit; return the snapshot."""
        ...

    def discard(self) -> None:
        """Drop what was written since the last commit."""
        ...

    def publish(self, record: Mapping[str, Any]) -> str:
        """Save the record and show the work to readers."""
        ...

    def keep_failure(self, record: Mapping[str, Any]) -> None:
        """Save the record of a run that shows nothing to readers."""
        ...

    def bytes_stored(self) -> int:
        """Return the size of all chunks that can still be read."""
        ...


class Writer(TileStore):
    """What a run may do to a store; made by `open_writer`.

    Nothing is durable before `commit`, and no reader sees anything before `publish`.
    """

    def __init__(self, work: Work, grid: Grid, *, overviews: bool = False) -> None:
        self._work = work
        self._grid = grid
        self._overviews = overviews

    def _groups(self) -> Groups:
        return self._work.groups()

    # -- time axes and items -------------------------------------------------------------------

    def set_scenes(
        self, sensor: str, scenes: Sequence[SceneRow], *, confidence: bool = False
    ) -> None:
        """Give scenes a position on the time axis of a sensor.

        Scenes of a known time keep their position and get the new platform and items. So do scenes
        whose time moved, which an item in common with a stored scene identifies. Others are appended.
        No scene is ever removed. The axis need not be sorted: readers sort.

        Parameters
        ----------
        sensor
            E.g. ``sentinel-2``.
        scenes
            (time, platform, item ids) each; times are unique and timezone-aware.
        confidence
            Make an array for the confidence of masks; a sensor that has one keeps it.
        """
        with explained(f"cannot write the scenes of {sensor}"):
            group = self._groups().masks_made(sensor, self._grid)
            group.set_scenes(scenes)
            if confidence:
                group.keep_confidence(self._grid)
            if self._overviews:
                group.keep_levels(self._grid)

    def set_composite(
        self,
        name: str,
        roles: Sequence[str],
        periods: Sequence[Period],
        attributes: Mapping[str, Any],
        *,
        layers: Mapping[str, str] | None = None,
    ) -> None:
        """Give periods a position on the time axis of a composite, and make it if it is new.

        Parameters
        ----------
        name
            Of the composite.
        roles
            Its bands, the same as those of a stored composite.
        periods
            One time each.
        attributes
            JSON values for the group: ``method`` and ``period``, which are the same for all periods;
            ``sensors``, which are added to those that are there; ``options`` of the method, as text, and
            ``layers``, the names of what it gives besides the bands, where there are any.
        layers
            Those names, each with its description; none: it gives only the bands.

        Raises
        ------
        StoreError
            The composite is there with other roles, or made otherwise, or a period of it begins
            when a stored one begins and ends at another time.
        """
        with explained(f"cannot write the periods of composite {name}"):
            group = self._groups().composites_made(name, self._grid, roles, layers or {})
            group.require(roles, attributes)
            group.set_attributes(attributes)
            group.set_periods(periods)
            if self._overviews:
                group.keep_levels(self._grid)

    def item_names(self, positions: Sequence[int]) -> list[str]:
        """Return the names that items have in the store's list, as a rule their ids."""
        names = Ledger.of(self._groups().root).ids
        return [names[position] for position in positions]

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
        by_id = items_and_records.documents_by_id(ids, documents)
        with explained("cannot write the items"):
            return Ledger.of(self._groups().root).register(by_id)

    def known_items(self, ids: Iterable[str]) -> dict[str, tuple[int, dict[str, Any]]]:
        """Return position and STAC JSON of some items, by id, those of this run included."""
        with explained("cannot read the items"):
            return Ledger.of(self._groups().root).known(ids)

    def scene_rows(self) -> dict[str, list[SceneRow]]:
        """Return time, platform and item ids of every scene, by sensor, this run's included."""
        with explained("cannot read the scenes"):
            root = self._groups().root
            return {
                sensor: contents.scene_rows(layout.group_of(root, f"masks/{sensor}"))
                for sensor in contents.group_names(root, "masks")
            }

    # -- workers -------------------------------------------------------------------------------

    def fork(self) -> Fork:
        """Return what another process writes tiles through, for as many tiles as it likes.

        It sees what is committed: commit scenes and periods first. It may be merged after later
        commits of this writer, too, as long as the time axes have not grown between.

        Raises
        ------
        StoreConflictError
            Another run has made the work impossible.
        """
        return Fork(self._work.fork())

    def merge(self, forks: Sequence[Fork]) -> None:
        """Add what forks have written to the next commit.

        Each tile was written through one of them, or here. Fingerprints that were read before are stale then: read
        them again.

        Raises
        ------
        StoreError
            A fork's cells cannot be written.
        """
        for fork in forks:
            fork.flush()
        self._work.merge([fork.origin for fork in forks])

    # -- transactions --------------------------------------------------------------------------

    @property
    def changed(self) -> bool:
        """Whether this run, or the killed one that it continues, has anything to publish."""
        return self._work.changed

    def commit(self, message: str) -> str:
        """Commit what was written since the last commit, all of it or nothing.

        Returns
        -------
        The snapshot's id; the id before if nothing was written.
        """
        return self._work.commit(message)

    def discard(self) -> None:
        """Drop what was written since the last commit."""
        self._work.discard()

    def publish(self, record: Mapping[str, Any]) -> str:
        """Show the run's work to readers: save its record and move ``main``, in one step.

        Does nothing if nothing changed. The last call: the run's branch is gone afterwards.

        Parameters
        ----------
        record
            JSON values; ``snapshot`` is set to the snapshot of the last commit of pixels.

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
        return self._work.publish(record)

    def keep_failure(self, record: Mapping[str, Any]) -> None:
        """Save the record of a run that publishes nothing: see `pipeline.store.versions.failed_runs`.

        What the run has committed stays on its branch for the next try.

        Raises
        ------
        StoreError
            The store cannot be written to.
        """
        self._work.keep_failure(record)

    def bytes_stored(self) -> int:
        """Return the size of all chunks of the store that can still be read, as far as committed.

        Raises
        ------
        StoreError
            The store cannot be read.
        """
        return self._work.bytes_stored()
