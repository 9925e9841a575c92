"""`Archive`: everything that can be read from one state of a store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from pipeline.store.arrays import contents, items_and_records, layout
from pipeline.store.arrays.composites import composite_sensors, require_alike
from pipeline.store.arrays.contents import SceneRow
from pipeline.store.base.location import locate_store
from pipeline.store.base.translate_errors import explained
from pipeline.store.read.groups import Groups
from pipeline.store.read.pixels import Reading
from pipeline.store.read.runs import MOST_PX
from pipeline.store.versions.snapshots import Snapshot, published, shown_as
from pipeline.types import Period, Searched, StoredMasks, outline_of
from pipeline.types.searched import searched_by

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr


class Archive(Groups):
    """One state of a store, for reading; made by `open_archive`."""

    def masks(
        self, sensor: str, chunks: Mapping[str, int] | None = None, *, level: int = 1
    ) -> xr.Dataset:
        """Return the masks of a sensor, sorted by time; pixels are read when they are used.

        Parameters
        ----------
        sensor
            One of `sensors`.
        chunks
            Dask chunks of the pixels by dimension; {} takes the stored ones, none reads without
            Dask.
        level
            Factor of an overview, one of `levels`: ``mask`` alone, in larger pixels.

        Returns
        -------
        ``mask`` (time, y, x) uint8; ``confidence`` (time, y, x) uint8, if it was stored;
        ``fingerprint`` (time, tile_y, tile_x); ``histogram`` (time,
        tile_y, tile_x, class); ``items`` (time), JSON lists; coordinates ``platform`` (time),
        ``spatial_ref``. The edge of a tile is ``attrs["tile_px"]``; what runs looked for, with or
        without finding it, is ``encoding["searched"]``.
        """
        masks = self._open("masks", sensor, chunks, level)
        # Not among the attributes: what runs looked for is no part of the masks.
        masks.encoding["searched"] = tuple(each for each in self._searched if each.has(sensor))
        return masks

    def stored_masks(self, sensor: str) -> StoredMasks:
        """Return cells and pixels of a sensor to be read part by part, without xarray."""
        group = self._group("masks", sensor)
        with self._reading(group.path):
            scenes = contents.stored_scenes(group)
        reading = Reading(group, self.url, self._cache)
        return StoredMasks(
            geobox=self.grid.geobox,
            tile_px=self.grid.tile_px,
            scenes=tuple(scenes),
            searched=tuple(each for each in self._searched if each.has(sensor)),
            reader=reading.part,
            runs=reading.runs,
            chunk_px=self.grid.chunk_px,
            has_blocks="blocks" in group and self.grid.chunk_px <= MOST_PX,
        )

    def periods(self, name: str) -> list[Period]:
        """Return the periods of a composite in stored order."""
        group = self._group("composites", name)
        with self._reading(group.path):
            bounds = contents.period_bounds(group)
        edges = (layout.instants(each) for each in bounds)
        return [Period(start=start, end=end) for start, end in edges]

    def composite(
        self, name: str, chunks: Mapping[str, int] | None = None, *, level: int = 1
    ) -> xr.Dataset:
        """Return a composite, sorted by time; pixels are read when they are used.

        Parameters
        ----------
        name
            One of `composite_names`.
        chunks
            As in `masks`.
        level
            As in `masks`: the bands alone, in larger pixels.

        Returns
        -------
        The Composite contract of `pipeline.types`, where ``source`` points into `item_ids`;
        ``fingerprint`` as in `masks`; coordinate ``time_bnds`` (time, nv).
        """
        return self._open("composites", name, chunks, level)

    def _open(
        self, kind: str, name: str, chunks: Mapping[str, int] | None, level: int
    ) -> xr.Dataset:
        from pipeline.store.read import datasets  # noqa: PLC0415 -- brings xarray along

        path = self._level(kind, name, level).path
        with self._reading(path):
            dataset = datasets.open_sorted(self._session.store, path, self.url)
        if chunks is None:
            return dataset
        return datasets.chunked(dataset, chunks, self.grid.chunk_px)

    def scenes(self, sensor: str) -> list[SceneRow]:
        """Return the scenes of a sensor, by time: time, platform and ids of the items of each."""
        group = self._group("masks", sensor)
        with self._reading(group.path):
            return sorted(contents.scene_rows(group), key=lambda row: row[0])

    def scene_rows(self) -> dict[str, list[SceneRow]]:
        """Return the scenes of every sensor; see `scenes`."""
        return {sensor: self.scenes(sensor) for sensor in self.sensors}

    def mask_fingerprints(self, sensor: str) -> dict[datetime, NDArray[np.uint64]]:
        """Return the fingerprints (tile_y, tile_x) of every scene of a sensor, by its time."""
        return self._fingerprints("masks", sensor)

    def composite_fingerprints(self, name: str) -> dict[datetime, NDArray[np.uint64]]:
        """Return the fingerprints (tile_y, tile_x) of every period, by its start."""
        return self._fingerprints("composites", name)

    def _fingerprints(self, kind: str, name: str) -> dict[datetime, NDArray[np.uint64]]:
        group = self._group(kind, name)
        with self._reading(group.path):
            return dict(sorted(contents.fingerprints(group).items()))

    @property
    def item_ids(self) -> list[str]:
        """Ids of the items, in the order that ``source`` points into."""
        with self._ledger() as found:
            return [] if found is None else found.ids

    def items(self) -> list[dict[str, Any]]:
        """Return the items as STAC JSON, in the order of `item_ids`."""
        with self._ledger() as found:
            return [] if found is None else found.documents()

    def known_items(self, ids: Iterable[str]) -> dict[str, tuple[int, dict[str, Any]]]:
        """Return position in `item_ids` and STAC JSON of some items, by id."""
        with self._ledger() as found:
            return {} if found is None else found.known(ids)

    def require_composite(
        self, name: str, roles: Sequence[str], made_by: Mapping[str, Any]
    ) -> None:
        """Refuse, with `StoreError`, periods of other bands or made otherwise."""
        require_alike(self._group("composites", name), name, roles, made_by)

    def composed_of(self, name: str) -> tuple[str, ...]:
        """Return the sensors whose scenes a composite is made of."""
        group = layout.group_of(self._root, f"composites/{name}")
        return () if group is None else composite_sensors(group)

    def records(self) -> list[dict[str, Any]]:
        """Return the records of the runs that made this state, oldest first."""
        with self._ledger() as found:
            records = [] if found is None else found.records()
            # A record is part of a state and cannot name it: it names the one with its last pixels.
            for each in records:
                if shown := self._shown_as.get(str(each.get("snapshot"))):
                    each["snapshot"] = shown
        return records

    def searched(self) -> list[Searched]:
        """Return where and when the runs that made this state searched, oldest first.

        Of older runs, which did not record it, the dates of their manifests count, in the whole region.
        """
        with self._ledger() as found:
            rows = [] if found is None else found.searched()
            if None not in rows:
                return [Searched.read(each) for each in rows if each is not None]
            region = outline_of(self.grid.geobox.geographic_extent.geom)
            return [each for record in self.records() for each in searched_by(record, region)]

    @cached_property
    def _searched(self) -> list[Searched]:
        return self.searched()

    @cached_property
    def _shown_as(self) -> dict[str, str]:
        """Commit of a run -> the published state that contains it, which `log` lists."""
        if self._repository is None:
            return {}
        return shown_as(self._repository, self._checksums, self.snapshot)

    @contextmanager
    def _ledger(self) -> Iterator[items_and_records.Ledger | None]:
        with self._reading(items_and_records.NAME):
            group = layout.group_of(self._root, items_and_records.NAME)
            yield None if group is None else items_and_records.Ledger(group)

    def log(self) -> list[Snapshot]:
        """Return the published states up to this one, latest first.

        Raises
        ------
        StoreError
            It is a plain Zarr store, which has no history; or a state in it is damaged.
        """
        if self._repository is None:
            locate_store(self.url).require_history("there is no log")
        assert self._repository is not None
        with explained(f"cannot read the history of the store {self.url}"):
            return list(published(self._repository, self._checksums, self.snapshot))
