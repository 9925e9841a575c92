"""The door of everybody who reads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import icechunk
import numpy as np
import xarray as xr
import zarr
from numpy.typing import NDArray

from pipeline.errors import StoreError
from pipeline.store import layout, ledger
from pipeline.store.places import MAIN, explained, place
from pipeline.types import Grid

SNAPSHOT_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{20}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One published state of a store."""

    id: str
    time: datetime
    """When it was written, UTC."""
    message: str


def open_archive(url: str, *, as_of: str | datetime | None = None) -> Archive:
    """Open a store for reading.

    Parameters
    ----------
    url
        Path or URL of the repository; see `pipeline.store.places.place`.
    as_of
        A snapshot id, a tag, or an instant (naive ones and dates are UTC): the store as it was
        then. None: as it is now; a later publish does not change an open archive. Instants are
        looked up in the history of today's state: what was rolled back is found by id or tag.

    Raises
    ------
    StoreError
        There is no store, or nothing that old in it.
    """
    repository = place(url).open()
    with explained(f"cannot read {url} as of {as_of}"):
        session = _session(repository, as_of)
        root = layout.open_root(session.store)
    if root is None:
        raise StoreError(f"the store {url} is still empty: run `cloudmask run` to fill it")
    return Archive(url, repository, session, root)


def find_archive(url: str) -> Archive | None:
    """Open a store as it is now; none: there is no store yet, or nothing in it."""
    where = place(url)
    with explained(f"cannot look for a store at {url}"):
        if not where.exists():
            return None
    repository = where.open()
    with explained(f"cannot read the store {url}"):
        session = repository.readonly_session(MAIN)
        empty = layout.open_root(session.store) is None
    return None if empty else open_archive(url)


def _session(
    repository: icechunk.Repository, as_of: str | datetime | None
) -> icechunk.session.Session:
    if as_of is None:
        return repository.readonly_session(MAIN)
    if isinstance(as_of, str):
        if as_of in repository.list_tags():
            return repository.readonly_session(tag=as_of)
        if SNAPSHOT_ID.fullmatch(as_of):
            return repository.readonly_session(snapshot_id=as_of)
    instant = _instant(as_of)
    for snapshot in published(repository, repository.lookup_branch(MAIN)):
        if snapshot.time <= instant:
            return repository.readonly_session(snapshot_id=snapshot.id)
    raise StoreError(f"nothing was published before {instant.isoformat()}")


def _instant(as_of: str | datetime) -> datetime:
    try:
        parsed = datetime.fromisoformat(as_of) if isinstance(as_of, str) else as_of
    except ValueError:
        raise StoreError(
            f"{as_of!r} is no tag or snapshot id of the store, and no date or time in ISO 8601"
        ) from None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed


def published(repository: icechunk.Repository, tip: str) -> Iterator[Snapshot]:
    """Yield what readers could see, latest first, without the steps between."""
    for each in repository.ancestry(snapshot_id=tip):
        if each.metadata.get("published"):
            yield Snapshot(id=each.id, time=each.written_at, message=each.message)


class Archive:
    """One state of a store, for reading; made by `open_archive`."""

    def __init__(
        self,
        url: str,
        repository: icechunk.Repository,
        session: icechunk.session.Session,
        root: zarr.Group,
    ) -> None:
        self.url = url
        self.grid: Grid = layout.stored_grid(root, url)
        self._repository = repository
        self._session = session
        self._root = root

    def require_grid(self, grid: Grid) -> None:
        """Check that a job's grid is the store's.

        Raises
        ------
        StoreError
            It is another, and the store has pixels.
        """
        layout.same_grid(self._root, grid, self.url)

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

    def masks(self, sensor: str, chunks: Mapping[str, int] | None = None) -> xr.Dataset:
        """Return the masks of a sensor, sorted by time; pixels are read when they are used.

        Parameters
        ----------
        sensor
            One of `sensors`.
        chunks
            Dask chunks of the pixels by dimension; {} takes the stored ones, none reads without
            Dask.

        Returns
        -------
        ``mask`` (time, y, x) uint8; ``fingerprint`` (time, tile_y, tile_x); ``histogram`` (time,
        tile_y, tile_x, class); ``items`` (time), JSON lists; coordinates ``platform`` (time),
        ``spatial_ref``. The edge of a tile is ``attrs["tile_px"]``.
        """
        return self._open("masks", sensor, chunks)

    def composite(self, name: str, chunks: Mapping[str, int] | None = None) -> xr.Dataset:
        """Return a composite, sorted by time; pixels are read when they are used.

        Parameters
        ----------
        name
            One of `composite_names`.
        chunks
            As in `masks`.

        Returns
        -------
        The Composite contract of `pipeline.types`, where ``source`` points into `item_ids`;
        ``fingerprint`` as in `masks`; coordinate ``time_bnds`` (time, nv).
        """
        return self._open("composites", name, chunks)

    def _open(self, kind: str, name: str, chunks: Mapping[str, int] | None) -> xr.Dataset:
        names = self._names(kind)
        if name not in names:
            raise StoreError(
                f"{self.url} has no {kind} {name!r}: it has {', '.join(names) or 'none'}"
            )
        with explained(f"cannot read {kind}/{name} of the store {self.url}"):
            dataset = self._decoded(f"{kind}/{name}")
        order = np.argsort(dataset["time"].to_numpy(), kind="stable")
        if not np.array_equal(order, np.arange(order.size)):
            dataset = dataset.isel(time=order)
        return dataset if chunks is None else self._chunked(dataset, chunks)

    def _decoded(self, group: str) -> xr.Dataset:
        stored = xr.open_zarr(
            self._session.store, group=group, consolidated=False, chunks=None, decode_cf=False
        )
        for variable in stored.data_vars.values():
            if "scale_factor" in variable.attrs:
                # JSON has one kind of number, and a float64 scale would make float64 reflectance.
                variable.attrs["scale_factor"] = np.float32(variable.attrs["scale_factor"])
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

    def records(self) -> list[dict[str, Any]]:
        """Return the records of the runs that made this state, oldest first."""
        found = self._ledger()
        with explained(f"cannot read the items of {self.url}"):
            return [] if found is None else found.records()

    def _ledger(self) -> ledger.Ledger | None:
        group = layout.group_of(self._root, ledger.NAME)
        return None if group is None else ledger.Ledger(group)

    def log(self) -> list[Snapshot]:
        """Return the published states up to this one, latest first."""
        return list(published(self._repository, self.snapshot))
