"""The groups of one session of a store, opened when they are first asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

import zarr

from pipeline.errors import StoreError
from pipeline.store.arrays import layout
from pipeline.store.arrays.composites import CompositeGroup
from pipeline.store.arrays.masks import MaskGroup
from pipeline.types import Grid


class Groups:
    """Masks and composites under a root, and the cells of them that wait to be written.

    `careful`: for stores without transactions, see `Cells.clear_one`.
    """

    def __init__(self, root: zarr.Group, *, careful: bool = False) -> None:
        self.root = root
        self._careful = careful
        self._masks: dict[str, MaskGroup] = {}
        self._composites: dict[str, CompositeGroup] = {}

    def has(self, kind: str, name: str) -> bool:
        """Say whether ``masks`` or ``composites`` has a group of a name."""
        return self._stored(kind, name) is not None

    def masks(self, sensor: str) -> MaskGroup:
        """Return the masks of a sensor.

        Raises
        ------
        StoreError
            There are none.
        """
        if sensor not in self._masks:
            group = self._stored("masks", sensor)
            if group is None:
                raise StoreError(f"the store has no masks of {sensor!r}: call set_scenes first")
            self._masks[sensor] = MaskGroup(group, sensor)
            self._masks[sensor].careful = self._careful
        return self._masks[sensor]

    def composites(self, name: str) -> CompositeGroup:
        """Return a composite.

        Raises
        ------
        StoreError
            There is none.
        """
        if name not in self._composites:
            group = self._stored("composites", name)
            if group is None:
                raise StoreError(
                    f"the store has no composite {name!r}: call set_composite first"
                )
            self._composites[name] = CompositeGroup(group, name)
            self._composites[name].careful = self._careful
        return self._composites[name]

    def masks_made(self, sensor: str, grid: Grid) -> MaskGroup:
        """Return the masks of a sensor, made if they are not there."""
        if not self.has("masks", sensor):
            parent = self.root.require_group("masks")
            MaskGroup.create(parent, sensor, grid)
        return self.masks(sensor)

    def composites_made(self, name: str, grid: Grid, roles: Sequence[str]) -> CompositeGroup:
        """Return a composite, made if it is not there."""
        if not self.has("composites", name):
            parent = self.root.require_group("composites")
            CompositeGroup.create(parent, name, grid, roles)
        return self.composites(name)

    def _stored(self, kind: str, name: str) -> zarr.Group | None:
        parent = layout.group_of(self.root, kind)
        return None if parent is None else layout.group_of(parent, name)

    # -- all of them ---------------------------------------------------------------------------

    def reopen(self, root: zarr.Group) -> None:
        """Go on with the same groups of another session."""
        self.root = root
        for path, group in self._opened():
            found = layout.group_of(root, path)
            assert found is not None, path
            group.reopen(found)

    def forget(self) -> None:
        """Read cells anew when they are next asked for: somebody else has written some."""
        for _, group in self._opened():
            group.forget()

    def flush(self) -> None:
        """Hand waiting cells to Zarr."""
        for _, group in self._opened():
            group.flush()

    @property
    def dirty(self) -> bool:
        """Whether cells wait for `flush`."""
        return any(group.dirty for _, group in self._opened())

    def _opened(self) -> Iterator[tuple[str, MaskGroup | CompositeGroup]]:
        return chain(
            ((f"masks/{name}", each) for name, each in self._masks.items()),
            ((f"composites/{name}", each) for name, each in self._composites.items()),
        )
