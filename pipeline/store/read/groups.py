"""The groups of one state of a store: which there are, how coarse they can be read, and what checks them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import icechunk
import zarr

from pipeline.errors import StoreError
from pipeline.store.arrays import contents, layout, stored_grid
from pipeline.store.base.checksums import Checksums
from pipeline.store.base.location import locate_store
from pipeline.store.base.translate_errors import explained
from pipeline.store.read.changes import Changes, later
from pipeline.store.read.chunk_cache import ChunkCache
from pipeline.store.read.pixels import Reading
from pipeline.store.read.plain import PlainSession
from pipeline.types import Grid
from pipeline.types.series import Reader

KEPT_BYTES = 64 << 20
"""Of what readers of one state read, unless `Groups.keep_chunks` gives them another memory: an area's edge comes back to
the stored objects of a tile a dozen times."""


class Groups:
    """The groups of one state of a store, and its grid."""

    def __init__(
        self,
        url: str,
        repository: icechunk.Repository | None,
        session: icechunk.session.Session | PlainSession,
        root: zarr.Group,
    ) -> None:
        self.url = url
        stored_grid.require_ours(root, url)
        if stored_grid.format_of(root) != stored_grid.FORMAT_VERSION:
            stored_grid.warn_once(url, stored_grid.format_of(root))
        self._repository = repository
        self._checksums = Checksums(None if repository is None else locate_store(url).path)
        self._session = session
        self._root = root
        # A plain store changes while it is open.
        self._cache = ChunkCache(0 if repository is None else KEPT_BYTES)
        self._changes = Changes("")

    @cached_property
    def grid(self) -> Grid:
        """The grid of all pixels."""
        return stored_grid.grid_of(self._root, self.url)

    def require_grid(self, grid: Grid) -> None:
        """Refuse a run on another grid, or on a store of an older format, with `StoreError`."""
        stored_grid.same_grid(self._root, grid, self.url)

    def keep_chunks(self, cache: ChunkCache, before: Groups | None = None) -> None:
        """Keep what readers read from now on in a cache, which archives may share.

        Parameters
        ----------
        cache
            The memory.
        before
            An earlier state of the store that used it: what was not written since is found there.
        """
        known = None
        # One that used no cache has nothing there, and no name.
        if before is not None and before._changes.first and self._repository is not None:
            known = later(before._changes, self._repository, before.snapshot, self.snapshot)
        self._changes = known or Changes(f"{self.url}@{self.snapshot}")
        self._cache = cache.of(self._changes)

    @property
    def format(self) -> int:
        """Number of the format: see docs/format.md."""
        return int(stored_grid.format_of(self._root))

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
        return tuple(contents.group_names(self._root, "masks"))

    @property
    def composite_names(self) -> tuple[str, ...]:
        """Composites, by name."""
        return tuple(contents.group_names(self._root, "composites"))

    def reader(self, kind: str, name: str, *, level: int = 1) -> Reader:
        """Return what reads parts of the arrays of a group as they are stored, without xarray; as in `levels`."""
        group = self._level(kind, name, level)
        with self._reading(group.path):
            return Reading(group, self.url, self._cache).part

    def attributes(self, kind: str, name: str) -> dict[str, Any]:
        """Return the attributes of a group, such as the roles of a composite; see `levels`."""
        return dict(self._group(kind, name).attrs)

    def arrays(self, kind: str, name: str) -> tuple[str, ...]:
        """Return the names of the arrays of a group; see `levels`."""
        return tuple(self._group(kind, name).array_keys())

    def levels(self, kind: str, name: str) -> tuple[int, ...]:
        """Return the factors that pixels can be read by: 1, and those of the overviews.

        Parameters
        ----------
        kind, name
            ``masks`` and a sensor, or ``composites`` and a name.
        """
        group = layout.group_of(self._root, f"{kind}/{name}")
        return (1,) if group is None else (1, *contents.levels(group))

    def _level(self, kind: str, name: str, level: int) -> zarr.Group:
        group = self._group(kind, name)
        if level == 1:
            return group
        if found := contents.levels(group).get(level):
            return found
        raise StoreError(
            f"{group.path} of {self.url} has no overview of factor {level}: "
            f"it has {self.levels(kind, name)}"
        )

    def _group(self, kind: str, name: str) -> zarr.Group:
        names = contents.group_names(self._root, kind)
        group = layout.group_of(self._root, f"{kind}/{name}") if name in names else None
        if group is None:
            raise StoreError(
                f"{self.url} has no {kind} {name!r}: it has {', '.join(names) or 'none'}"
            )
        return group

    @contextmanager
    def _reading(self, group: str) -> Iterator[None]:
        """Check what leads to the chunks of a group; those check themselves when they are read."""
        with explained(f"cannot read {group} of the store {self.url}"):
            if self._repository is not None:
                self._checksums.require_below(self._repository, self.snapshot, group)
            yield
