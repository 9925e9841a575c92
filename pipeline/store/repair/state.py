"""One state of a store, opened to be checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import icechunk
import zarr
from numpy.typing import NDArray

from pipeline.errors import StoreDamagedError, StoreError
from pipeline.store.arrays import contents, layout, stored_grid
from pipeline.store.base.checksums import Checksums, arrays
from pipeline.store.base.location import StoreLocation
from pipeline.store.base.reading import read
from pipeline.store.base.translate_errors import explained
from pipeline.store.read import plain
from pipeline.types import Grid


@dataclass(slots=True, kw_only=True)
class State:
    """One state of a store, open for reading."""

    root: zarr.Group
    grid: Grid
    snapshot: str
    repository: icechunk.Repository | None
    checksums: Checksums
    lost: dict[str, str] = field(default_factory=dict)
    """Array -> what is wrong with its manifests: none of its chunks can be trusted."""

    _arrays: dict[str, zarr.Array[Any]] = field(default_factory=dict)
    _pixels: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    """Cache of open arrays, which every cell needs."""

    def array(self, path: str) -> zarr.Array[Any]:
        """Return an array."""
        if path not in self._arrays:
            self._arrays[path] = layout.array_of(self.root, path)
        return self._arrays[path]

    def values(self, path: str, where: Any = ...) -> NDArray[Any] | None:  # noqa: ANN401
        """Read a part of an array; none: it is damaged."""
        if path in self.lost:
            return None
        try:
            return read(self.array(path), where)
        except StoreDamagedError:
            return None

    def pixel_arrays(self, group: str) -> list[tuple[int, str]]:
        """Return factor and path of the arrays of pixels of a group, overviews too."""
        if group not in self._pixels:
            opened = layout.group_of(self.root, group)
            assert opened is not None, group
            self._pixels[group] = [
                (factor, array.path)
                for factor, level in {1: opened, **contents.levels(opened)}.items()
                for _, array in level.arrays()
                if array.ndim == 3 and layout.dimensions_of(array)[1] == "y"
            ]
        return self._pixels[group]


def wrong_manifests(
    repository: icechunk.Repository, checksums: Checksums, snapshot: str
) -> dict[str, str]:
    """Return the arrays of which manifests are wrong, and which."""
    wrong = {name.removeprefix("manifests/") for name in checksums.wrong_files(snapshot)}
    return {
        path: f"manifest {', '.join(sorted(wrong & set(manifests)))} is not what was written"
        for path, manifests in arrays(repository, snapshot).items()
        if wrong & set(manifests)
    }


def open_state(
    where: StoreLocation, repository: icechunk.Repository, checksums: Checksums, snapshot: str
) -> State:
    """Open a state of an Icechunk store; its root must be readable."""
    session = repository.readonly_session(snapshot_id=snapshot)
    root = zarr.open_group(session.store, mode="r")
    return State(
        root=root,
        grid=stored_grid.grid_of(root, where.url),
        snapshot=snapshot,
        repository=repository,
        checksums=checksums,
        lost=wrong_manifests(repository, checksums, snapshot),
    )


def open_plain_state(where: StoreLocation) -> State:
    """Open what a plain store has.

    Raises
    ------
    StoreError
        There is no store.
    """
    assert where.path is not None
    with explained(f"cannot read the store {where.url}"):
        root = plain.open_root(where.path)
        if root is None:
            raise StoreError(f"there is no store at {where.url}: check the path")
        return State(
            root=root,
            grid=stored_grid.grid_of(root, where.url),
            snapshot=str(root.attrs.get(plain.PUBLISHED, "")),
            repository=None,
            checksums=Checksums(None),
        )
