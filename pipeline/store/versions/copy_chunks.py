"""Copying cells from one state of a store to another, as stored bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from pipeline.errors import StoreConflictError
from pipeline.store.arrays import contents, layout
from pipeline.store.arrays.cell_group import CellGroup
from pipeline.store.arrays.composites import CompositeGroup
from pipeline.store.base.reading import read
from pipeline.types import NEVER, Grid, Tile

AT_ONCE = 16
"""Objects copied at the same time: a few MB each at most."""

# -- what changed ------------------------------------------------------------------------------


def places(
    mine: NDArray[np.int64], known: int, axis: Mapping[datetime, int]
) -> NDArray[np.int64]:
    """Return the position of each scene or period of a run on another time axis, -1 = none.

    The first `known`, which the common base has, are at the same position on both.
    """
    found = [axis.get(each, -1) for each in layout.instants(mine[known:])]
    return np.array([*range(known), *found], np.int64)


@dataclass(slots=True, kw_only=True)
class States:
    """Which run changed which cells (time, tile_y, tile_x); times are those of this run's axis."""

    fingerprints: NDArray[np.uint64]
    """Of this run."""
    mine_changed: NDArray[np.bool_]
    theirs_changed: NDArray[np.bool_]
    """On *their* time axis."""
    same: NDArray[np.bool_]
    """Whether both runs made the same."""
    rival: NDArray[np.bool_]
    """Whether the other run changed what this one changes, or its inputs."""

    def block(self, at: Sequence[int]) -> None:
        """Leave whole scenes to the other run, without counting their cells as overlaps."""
        self.mine_changed[list(at)] = False

    def block_where(self, at: int, tiles: NDArray[np.bool_]) -> None:
        """Mark tiles of a period as changed by the other run."""
        self.rival[at] |= tiles

    def overlaps(self) -> Iterator[tuple[int, str]]:
        """Yield time and tile of the cells that both changed, each in its own way."""
        for at, row, col in np.argwhere(self.mine_changed & self.rival & ~self.same):
            yield int(at), f"r{row:03d}c{col:03d}"

    def moved(self) -> NDArray[np.bool_]:
        """Return the cells to move."""
        return self.mine_changed & ~self.rival & ~self.same


def changed_cells(
    base: zarr.Group | None,
    mine: zarr.Group,
    theirs: zarr.Group | None,
    at: NDArray[np.int64],
) -> States:
    """Compare fingerprints; `at` is the position of each of this run's times on their axis."""
    made = layout.values_of(mine, "fingerprint")
    count = max(made.shape[0], contents.length(theirs), int(at.max(initial=-1)) + 1)
    before, now = _cells(base, made, count), _cells(theirs, made, count)
    theirs_changed = now != before
    old = before[: made.shape[0]]
    # Times that this run appended are not in the base, even if the other run has cells at their positions.
    there, touched = now[at], theirs_changed[at]
    return States(
        fingerprints=made,
        mine_changed=(made != old) & (made != NEVER),
        theirs_changed=theirs_changed,
        same=there == made,
        rival=touched,
    )


def _cells(
    group: zarr.Group | None, like: NDArray[np.uint64], count: int
) -> NDArray[np.uint64]:
    cells = np.zeros((count, *like.shape[1:]), np.uint64)
    if group is not None:
        stored = layout.values_of(group, "fingerprint")
        cells[: stored.shape[0]] = stored
    return cells


# -- moving ------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class Move:
    """The cells of one group that are copied to another state of it."""

    mine: zarr.Group
    group: CellGroup
    states: States
    places: NDArray[np.int64]
    positions: NDArray[np.int64] | None = None
    """New position of each item, where ``source`` points at items."""

    def run(self, grid: Grid) -> Iterator[int]:
        """Move tile by tile; yield the number of cells of each tile.

        Raises
        ------
        StoreConflictError
            The other state keeps other arrays.
        """
        moved = self.states.moved()
        if not moved.any():
            return
        for row, col in np.argwhere(moved.any(axis=0)):
            tile = grid.tile(int(row), int(col))
            chosen = np.flatnonzero(moved[:, row, col])
            # Open arrays for each tile: a commit in between closes those that were open.
            sync(self._copy(list(self._pairs()), tile, chosen))
            for at in chosen:
                self._put(tile, int(at))
            yield int(chosen.size)

    def _pairs(self) -> Iterator[tuple[int, zarr.Array[Any], zarr.Array[Any]]]:
        """Yield the factor, this run's array and the one to write to."""
        there = self.group.group
        for factor, mine in {1: self.mine, **contents.levels(self.mine)}.items():
            theirs = there if factor == 1 else contents.levels(there)[factor]
            arrays = {name: array for name, array in mine.arrays() if array.ndim >= 3}
            others = {name for name, array in theirs.arrays() if array.ndim >= 3}
            if set(arrays) != others or set(contents.levels(self.mine)) != set(
                contents.levels(there)
            ):
                raise StoreConflictError(
                    f"another run has published meanwhile, and {self.mine.path} keeps other arrays "
                    "since: start this run again"
                )
            for name, array in arrays.items():
                if "y" in layout.dimensions_of(array):
                    yield factor, array, layout.array_of(theirs, name)

    async def _copy(
        self,
        pairs: Sequence[tuple[int, zarr.Array[Any], zarr.Array[Any]]],
        tile: Tile,
        chosen: NDArray[np.int64],
    ) -> None:
        limit = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(
            *(
                _copy_object(limit, mine, theirs, (int(at), y, x), int(self.places[at]))
                for (factor, mine, theirs), at in product(pairs, chosen)
                for y, x in objects_of(mine, tile, factor)
            )
        )

    def _put(self, tile: Tile, at: int) -> None:
        place, cell = int(self.places[at]), (at, tile.row, tile.col)
        known: dict[str, Any] = {"fingerprint": int(self.states.fingerprints[cell])}
        for name in {"histogram", "blocks"} & set(self.group.group.array_keys()):
            known[name] = read(layout.array_of(self.mine, name), cell)
        self.group.put(place, tile, known)
        if (
            isinstance(self.group, CompositeGroup)
            and self.positions is not None
            and not _unmoved(self.positions)
        ):
            stored = read(layout.array_of(self.mine, "source"), (at, *tile.window))
            moved = np.where(stored < 0, stored, self.positions[stored])
            self.group.put_source(place, tile, moved)


def _unmoved(positions: NDArray[np.int64]) -> bool:
    return bool(np.array_equal(positions, np.arange(positions.size)))


def objects_of(array: zarr.Array[Any], tile: Tile, factor: int) -> Iterator[tuple[int, int]]:
    """Yield the stored objects (y, x) of a tile; no object belongs to two tiles."""
    edges = (array.shards or array.chunks)[1:]
    spans = []
    for part, edge, size in zip(tile.window, edges, array.shape[1:], strict=True):
        stop = min(-(-part.stop // factor), size)
        spans.append(range(part.start // factor // edge, -(-stop // edge)))
    yield from product(*spans)


async def _copy_object(
    limit: asyncio.Semaphore,
    mine: zarr.Array[Any],
    theirs: zarr.Array[Any],
    where: tuple[int, int, int],
    place: int,
) -> None:
    at, y, x = where
    source, target = (
        f"{array.path}/{array.metadata.encode_chunk_key((n, y, x))}"
        for array, n in ((mine, at), (theirs, place))
    )
    async with limit:
        stored = await mine.store_path.store.get(source, default_buffer_prototype())
        if stored is None:
            await theirs.store_path.store.delete(target)
        else:
            await theirs.store_path.store.set(target, stored)
