"""The door of everybody who reads."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, cached_property
from typing import Any

import icechunk
import numpy as np
import xarray as xr
import zarr
from numpy.typing import NDArray

from pipeline.errors import StoreError
from pipeline.store.arrays import items_and_records, layout
from pipeline.store.arrays.composites import require_alike, sensors_of
from pipeline.store.arrays.masks import SceneRow
from pipeline.store.arrays.overviews import Levels, level_name
from pipeline.store.base.checksums import Checksums
from pipeline.store.base.location import locate
from pipeline.store.base.reading import open_lazily
from pipeline.store.base.translate_errors import explained
from pipeline.store.versions.snapshots import Snapshot, published, shown_as
from pipeline.store.write import plain_zarr
from pipeline.types import Grid, Searched, outline_of
from pipeline.types.searched import searched_by

log = logging.getLogger(__name__)


@cache
def _tell_once(url: str, version: int) -> None:
    log.warning(
        "the store %s has format %s, older than this cloudmask, which writes %s: it is read as it is, "
        "without checksums (damage may not show) and with one scene a day; to have all that is new, "
        "run the job into a new store folder (docs/format.md)",
        url,
        version,
        layout.FORMAT_VERSION,
    )


class Archive:
    """One state of a store, for reading; made by `open_archive`."""

    def __init__(
        self,
        url: str,
        repository: icechunk.Repository | None,
        session: icechunk.session.Session | plain_zarr.PlainSession,
        root: zarr.Group,
    ) -> None:
        self.url = url
        self.grid: Grid = layout.stored_grid(root, url)
        if layout.format_of(root) != layout.FORMAT_VERSION:
            _tell_once(url, layout.format_of(root))
        self._repository = repository
        self._checksums = Checksums(None if repository is None else locate(url).path)
        self._session = session
        self._root = root

    def require_grid(self, grid: Grid) -> None:
        """Check that a run of a job can write here.

        Raises
        ------
        StoreError
            The store has pixels on another grid, or in an older format.
        """
        layout.same_grid(self._root, grid, self.url)

    @property
    def format(self) -> int:
        """Number of the format: see docs/format.md."""
        return int(layout.format_of(self._root))

    @property
    def snapshot(self) -> str:
        """Id of the state that is read."""
        return str(self._session.snapshot_id)

    @property
    def title(self) -> str:
        """Name of the archive."""
        return str(self._root.attrs.get("title", ""))

    @property
    def sensors(self) -> tuple[str, ...]:
        """Sensors that have masks, by name."""
        return self._names("masks")

    @property
    def composite_names(self) -> tuple[str, ...]:
        """Composites, by name."""
        return self._names("composites")

    def _names(self, kind: str) -> tuple[str, ...]:
        group = layout.group_of(self._root, kind)
        return () if group is None else tuple(sorted(name for name, _ in group.groups()))

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
        ``mask`` (time, y, x) uint8; ``confidence`` (time, y, x) uint8, if it was kept;
        ``fingerprint`` (time, tile_y, tile_x); ``histogram`` (time,
        tile_y, tile_x, class); ``items`` (time), JSON lists; coordinates ``platform`` (time),
        ``spatial_ref``. The edge of a tile is ``attrs["tile_px"]``; what runs looked for, with or
        without finding it, is ``encoding["searched"]``.
        """
        masks = self._open("masks", sensor, chunks, level)
        # Not among the attributes: what runs looked for is no part of the masks.
        masks.encoding["searched"] = tuple(each for each in self._searched if each.has(sensor))
        return masks

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

    def levels(self, kind: str, name: str) -> tuple[int, ...]:
        """Return the factors that pixels can be read by: 1, and those of the overviews.

        Parameters
        ----------
        kind, name
            ``masks`` and a sensor, or ``composites`` and a name.
        """
        group = layout.group_of(self._root, f"{kind}/{name}")
        kept = () if group is None else Levels(group).factors
        return (1, *kept)

    def _open(
        self, kind: str, name: str, chunks: Mapping[str, int] | None, level: int = 1
    ) -> xr.Dataset:
        names = self._names(kind)
        if name not in names:
            raise StoreError(
                f"{self.url} has no {kind} {name!r}: it has {', '.join(names) or 'none'}"
            )
        if level not in self.levels(kind, name):
            raise StoreError(
                f"{kind}/{name} of {self.url} has no overview of factor {level}: "
                f"it has {self.levels(kind, name)}"
            )
        group = f"{kind}/{name}" if level == 1 else f"{kind}/{name}/{level_name(level)}"
        with explained(f"cannot read {group} of the store {self.url}"):
            self._require_sound(group)
            dataset = self._decoded(group)
        order = np.argsort(dataset["time"].to_numpy(), kind="stable")
        if not np.array_equal(order, np.arange(order.size)):
            dataset = dataset.isel(time=order)
        return dataset if chunks is None else self._chunked(dataset, chunks)

    def _require_sound(self, group: str) -> None:
        """Check what leads to the chunks of a group; those check themselves when they are read."""
        if self._repository is not None:
            self._checksums.require_below(self._repository, self.snapshot, group)

    def _decoded(self, group: str) -> xr.Dataset:
        stored = open_lazily(self._session.store, group, self.url)
        for variable in stored.data_vars.values():
            if "scale_factor" in variable.attrs:
                # JSON has one kind of number, and a float64 scale would make float64 reflectance.
                variable.attrs["scale_factor"] = np.float32(variable.attrs["scale_factor"])
        if "day" in stored:
            # A number here, -1 = none, as the composite contract has it. Others read dates.
            for name in ("units", "calendar", "_FillValue"):
                stored["day"].attrs.pop(name, None)
        decoded: xr.Dataset = xr.decode_cf(stored, decode_coords="all")
        return decoded

    def _chunked(self, dataset: xr.Dataset, chunks: Mapping[str, int]) -> xr.Dataset:
        # Pixels alone: arrays of cells share dimensions with them, but not their chunks.
        edge = self.grid.chunk_px
        wanted = dict(chunks) or {"time": 1, "y": edge, "x": edge}
        return dataset.assign(
            {
                name: array.chunk({dim: n for dim, n in wanted.items() if dim in array.dims})
                for name, array in dataset.data_vars.items()
                if "y" in array.dims
            }
        )

    def scenes(self, sensor: str) -> list[SceneRow]:
        """Return the scenes of a sensor, by time: time, platform and ids of the items of each."""
        dataset = self._open("masks", sensor, None)
        with explained(f"cannot read masks/{sensor} of the store {self.url}"):
            instants = dataset["time"].to_numpy().astype("datetime64[us]").tolist()
            platforms, items = (dataset[name].to_numpy() for name in ("platform", "items"))
        return [
            (instant.replace(tzinfo=UTC), str(platform), json.loads(str(ids)))
            for instant, platform, ids in zip(instants, platforms, items, strict=True)
        ]

    def mask_fingerprints(self, sensor: str) -> dict[datetime, NDArray[np.uint64]]:
        """Return the fingerprints (tile_y, tile_x) of every scene of a sensor, by its time."""
        return self._fingerprints("masks", sensor)

    def composite_fingerprints(self, name: str) -> dict[datetime, NDArray[np.uint64]]:
        """Return the fingerprints (tile_y, tile_x) of every period, by its start."""
        return self._fingerprints("composites", name)

    def _fingerprints(self, kind: str, name: str) -> dict[datetime, NDArray[np.uint64]]:
        dataset = self._open(kind, name, None)
        with explained(f"cannot read {kind}/{name} of the store {self.url}"):
            cells = dataset["fingerprint"].to_numpy()
            instants = dataset["time"].to_numpy().astype("datetime64[us]").tolist()
        return {
            instant.replace(tzinfo=UTC): cells[index] for index, instant in enumerate(instants)
        }

    @property
    def item_ids(self) -> list[str]:
        """Ids of the items, in the order that ``source`` points into."""
        found = self._ledger()
        with explained(f"cannot read the items of {self.url}"):
            return [] if found is None else found.ids

    def items(self) -> list[dict[str, Any]]:
        """Return the items as STAC JSON, in the order of `item_ids`."""
        found = self._ledger()
        with explained(f"cannot read the items of {self.url}"):
            return [] if found is None else found.documents()

    def known_items(self, ids: Iterable[str]) -> dict[str, tuple[int, dict[str, Any]]]:
        """Return position in `item_ids` and STAC JSON of some items, by id."""
        found = self._ledger()
        with explained(f"cannot read the items of {self.url}"):
            return {} if found is None else found.known(ids)

    def scene_rows(self) -> dict[str, list[SceneRow]]:
        """Return the scenes of every sensor; see `scenes`."""
        return {sensor: self.scenes(sensor) for sensor in self.sensors}

    def require_composite(
        self, name: str, roles: Sequence[str], made_by: Mapping[str, str]
    ) -> None:
        """Check that a composite can take more steps.

        Raises
        ------
        StoreError
            It has other bands, or is made otherwise.
        """
        group = layout.group_of(self._root, f"composites/{name}")
        assert group is not None
        require_alike(group, name, roles, made_by)

    def composed_of(self, name: str) -> tuple[str, ...]:
        """Return the sensors whose scenes a composite is made of."""
        group = layout.group_of(self._root, f"composites/{name}")
        return () if group is None else sensors_of(group)

    def records(self) -> list[dict[str, Any]]:
        """Return the records of the runs that made this state, oldest first."""
        found = self._ledger()
        with explained(f"cannot read the items of {self.url}"):
            records = [] if found is None else found.records()
            return [{**each, **self._shown(each)} for each in records]

    def searched(self) -> list[Searched]:
        """Return where and when the runs that made this state searched, oldest first.

        Runs of before this was kept say so by their manifests: those dates, wherever in the region.
        """
        found = self._ledger()
        with explained(f"cannot read the items of {self.url}"):
            rows = [] if found is None else found.searched()
            if None not in rows:
                return [Searched.read(each) for each in rows if each is not None]
            region = outline_of(self.grid.geobox.geographic_extent.geom)
            return [each for record in self.records() for each in searched_by(record, region)]

    @cached_property
    def _searched(self) -> list[Searched]:
        return self.searched()

    def _shown(self, record: Mapping[str, Any]) -> dict[str, str]:
        """Return under ``snapshot`` the state that showed a run to readers, as `log` has it.

        A record is part of that state and cannot name it: it names the one with its last pixels.
        """
        shown = self._shows.get(str(record.get("snapshot")))
        return {} if shown is None else {"snapshot": shown}

    @cached_property
    def _shows(self) -> dict[str, str]:
        """What is not published -> the published state that it became part of."""
        return (
            {}
            if self._repository is None
            else shown_as(self._repository, self._checksums, self.snapshot)
        )

    def _ledger(self) -> items_and_records.Ledger | None:
        with explained(f"cannot read the items of {self.url}"):
            self._require_sound(items_and_records.NAME)
        group = layout.group_of(self._root, items_and_records.NAME)
        return None if group is None else items_and_records.Ledger(group)

    def log(self) -> list[Snapshot]:
        """Return the published states up to this one, latest first.

        Raises
        ------
        StoreError
            It is a plain Zarr store, which has no history; or a state in it is damaged.
        """
        if self._repository is None:
            locate(self.url).require_history("there is no log")
        assert self._repository is not None
        with explained(f"cannot read the history of the store {self.url}"):
            return list(published(self._repository, self._checksums, self.snapshot))
