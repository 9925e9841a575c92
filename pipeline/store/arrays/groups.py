"""The groups of one session of a store, opened at first use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import zarr

from pipeline.errors import StoreError
from pipeline.store.arrays import layout
from pipeline.store.arrays.cell_group import CellGroup
from pipeline.store.arrays.composites import CompositeGroup
from pipeline.store.arrays.masks import MaskGroup
from pipeline.types import Grid

Kind = TypeVar("Kind", bound=CellGroup)


class Groups:
    """Masks and composites under a root, and their buffered cells.

    `careful`: for stores without transactions, see `Cells.clear_one`.
    """

    def __init__(self, root: zarr.Group, *, careful: bool = False) -> None:
        self.root = root
        self._careful = careful
        self._opened: dict[str, CellGroup] = {}
        """Path -> group."""

    def has(self, kind: str, name: str) -> bool:
        """Say whether ``masks`` or ``composites`` has a group of a name."""
        return layout.group_of(self.root, f"{kind}/{name}") is not None

    def masks(self, sensor: str) -> MaskGroup:
        """Return the masks of a sensor.

        Raises
        ------
        StoreError
            There are none.
        """
        return self._open(MaskGroup, sensor)

    def composites(self, name: str) -> CompositeGroup:
        """Return a composite.

        Raises
        ------
        StoreError
            There is none.
        """
        return self._open(CompositeGroup, name)

    def _open(self, kind: type[Kind], name: str) -> Kind:
        path = f"{kind.KIND}/{name}"
        if path not in self._opened:
            group = layout.group_of(self.root, path)
            if group is None:
                raise StoreError(f"the store has no {path}: call {kind.CALL_FIRST} first")
            self._opened[path] = kind(group, name, careful=self._careful)
        found = self._opened[path]
        assert isinstance(found, kind)
        return found

    def masks_made(self, sensor: str, grid: Grid) -> MaskGroup:
        """Return the masks of a sensor, made if they are not there."""
        if not self.has("masks", sensor):
            MaskGroup.create(self.root.require_group("masks"), sensor, grid)
        return self.masks(sensor)

    def composites_made(
        self, name: str, grid: Grid, roles: Sequence[str], layers: Mapping[str, str]
    ) -> CompositeGroup:
        """Return a composite, made if it is not there."""
        if not self.has("composites", name):
            parent = self.root.require_group("composites")
            CompositeGroup.create(parent, name, grid, roles, layers)
        return self.composites(name)

    # -- all of them ---------------------------------------------------------------------------

    def reopen(self, root: zarr.Group) -> None:
        """Use the same groups of another session."""
        self.root = root
        for path, group in self._opened.items():
            found = layout.group_of(root, path)
            assert found is not None, path
            group.reopen(found)

    def settle(self) -> None:
        """Drop what is cached of single tiles, so that memory does not grow with the tiles that are done."""
        for group in self._opened.values():
            group.settle()

    def forget(self) -> None:
        """Drop the cached cells: another process has written some."""
        for group in self._opened.values():
            group.forget()

    def flush(self) -> None:
        """Write the buffered cells."""
        for group in self._opened.values():
            group.flush()

    @property
    def dirty(self) -> bool:
        """Whether cells are buffered that `flush` would write."""
        return any(group.dirty for group in self._opened.values())
