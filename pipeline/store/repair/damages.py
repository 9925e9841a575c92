"""Reading everything that a store shows, to find what is damaged and how it can be mended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import product
from typing import Any, Literal

import icechunk
import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.errors import StoreDamagedError
from pipeline.store.arrays import items_and_records, layout
from pipeline.store.arrays.composites import MISSING
from pipeline.store.arrays.overviews import FACTORS, means, nearest
from pipeline.store.base.checksums import Checksums, arrays
from pipeline.store.base.reading import damaged_chunks, read
from pipeline.store.versions import copy_chunks
from pipeline.types import NEVER, UNREADABLE, Grid, Tile

THREADS = 8
GEOREFERENCE = ("y", "x", "spatial_ref")

Mend = Literal["again", "overview", "histogram", "georeference", "times", "state", "none"]
"""What brings it back: the next run makes the cells again; it follows from what is there (the next
four); an earlier state of the store; or nothing, but then readers of now miss nothing."""

Told = Callable[[int, int], None]
"""Hears of progress: cells read, of how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """One thing that is not what was written."""

    path: str
    """Of the array; or ``snapshots/ID``."""
    reason: str
    mend: Mend
    chunk: tuple[int, ...] | None = None
    time: datetime | None = None
    """Of the scene, or the start of the period."""
    cell: tuple[int, int, int] | None = None
    """Position of the cell (time, tile_y, tile_x)."""

    @property
    def tile(self) -> str:
        """Name of the tile."""
        return "" if self.cell is None else f"r{self.cell[1]:03d}c{self.cell[2]:03d}"

    @property
    def group(self) -> str:
        """``masks/sentinel-2``, whatever lies below it."""
        return "/".join(self.path.split("/")[:2])


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

    def find(self, told: Told) -> list[Damage]:
        """Read everything; return what is damaged."""
        if self.repository is not None:
            self.lost = wrong_manifests(self.repository, self.checksums, self.snapshot)
        groups = [
            (kind, name)
            for kind in ("masks", "composites")
            for name in copy_chunks.names(self.root, kind)
        ]
        cells = [self._cells(f"{kind}/{name}") for kind, name in groups]
        done, total = 0, sum(shape[0] * shape[1] * shape[2] for shape in cells)
        found = [
            *self._items(),
            *(each for kind, name in groups for each in self._small(f"{kind}/{name}")),
        ]
        told(0, total)
        with ThreadPoolExecutor(THREADS) as pool:
            for (kind, name), (times, rows, cols) in zip(groups, cells, strict=True):
                check = partial(
                    _MaskCell if kind == "masks" else _CompositeCell, self, f"{kind}/{name}"
                )
                for at in range(times):
                    # One time after the other: what waits in memory is a few cells.
                    where = [(at, row, col) for row, col in product(range(rows), range(cols))]
                    for some in pool.map(
                        lambda cell, check=check: check(cell).damages(), where
                    ):
                        found += some
                    done += len(where)
                    told(done, total)
        return found

    def array(self, path: str) -> zarr.Array[Any]:
        """Return an array."""
        return layout.array_of(self.root, path)

    def values(self, path: str, where: Any = ...) -> NDArray[Any] | None:  # noqa: ANN401
        """Read a part of an array; none: it is damaged."""
        if path in self.lost:
            return None
        try:
            return read(self.array(path), where)
        except StoreDamagedError:
            return None

    def pixel_arrays(self, group: str) -> Iterator[tuple[int, str]]:
        """Yield factor and path of the arrays of pixels of a group, overviews too."""
        opened = layout.group_of(self.root, group)
        assert opened is not None, group
        for factor, level in {1: opened, **copy_chunks.levels(opened)}.items():
            for _, array in level.arrays():
                if array.ndim == 3 and array.metadata.dimension_names[1] == "y":  # type: ignore[union-attr,index]
                    yield factor, array.path

    def _cells(self, group: str) -> tuple[int, int, int]:
        times, rows, cols = self.array(f"{group}/fingerprint").shape
        return times, rows, cols

    # -- what is small -------------------------------------------------------------------------

    def _small(self, group: str) -> Iterator[Damage]:
        """Yield the damage of time axes, coordinates and cells."""
        opened = layout.group_of(self.root, group)
        assert opened is not None, group
        pixels = {path for _, path in self.pixel_arrays(group)}
        for level in (opened, *copy_chunks.levels(opened).values()):
            for name, array in level.arrays():
                if array.path not in pixels:
                    yield from self._each(array, self._mend(group, level.path, name))
        for factor in copy_chunks.levels(opened):
            base, copy = f"{group}/time", f"{group}/by{factor}/time"
            theirs, ours = self.values(copy), self.values(base)
            if theirs is not None and ours is not None and not np.array_equal(theirs, ours):
                yield Damage(path=copy, reason="other times than its base", mend="times")

    @staticmethod
    def _mend(group: str, level: str, name: str) -> Mend:
        if name in GEOREFERENCE:
            return "georeference"
        if level != group and name == "time":
            return "times"
        return {"histogram": "histogram", "fingerprint": "again"}.get(name, "state")  # type: ignore[return-value]

    def _each(self, array: zarr.Array[Any], mend: Mend) -> Iterator[Damage]:
        if array.path in self.lost:
            yield Damage(path=array.path, reason=self.lost[array.path], mend=mend)
            return
        for chunk, reason in damaged_chunks(array):
            cell = (0, chunk[1], chunk[2]) if mend in ("again", "histogram") else None
            yield Damage(path=array.path, reason=reason, mend=mend, chunk=chunk, cell=cell)

    def _items(self) -> Iterator[Damage]:
        group = layout.group_of(self.root, items_and_records.NAME)
        if group is None:
            return
        for _, array in group.arrays():
            yield from self._each(array, "state")


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


# -- cells -------------------------------------------------------------------------------------


class _Cell:
    """The pixels of one cell, and whether they agree with what is known of it."""

    def __init__(self, state: State, group: str, cell: tuple[int, int, int]) -> None:
        self.state, self.group, self.cell = state, group, cell
        self.tile: Tile = state.grid.tile(cell[1], cell[2])
        self.pixels: dict[str, NDArray[Any]] = {}

    def damages(self) -> list[Damage]:
        """Read all pixels; return what is damaged."""
        found: list[Damage] = []
        for factor, path in self.state.pixel_arrays(self.group):
            found += self._read(factor, path)
        fingerprint = self.state.values(f"{self.group}/fingerprint", self.cell)
        if not any(each.mend == "again" for each in found) and fingerprint is not None:
            found += self.disagreements(int(fingerprint))
        return found

    def _read(self, factor: int, path: str) -> Iterator[Damage]:
        mend: Mend = "again" if factor == 1 else "overview"
        array = self.state.array(path)
        where = (self.cell[0], *shrunk(self.tile, factor, array.shape[1:]))
        if path in self.state.lost:
            yield self.damage(path, self.state.lost[path], mend)
            return
        values = self.state.values(path, where)
        if values is not None:
            self.pixels[path] = values
            return
        for chunk, reason in damaged_chunks(array, where):
            yield self.damage(path, reason, mend, chunk)

    def damage(
        self, path: str, reason: str, mend: Mend, chunk: tuple[int, ...] | None = None
    ) -> Damage:
        """Return a damage of this cell."""
        times = self.state.values(f"{self.group}/time")
        time = (
            None
            if times is None
            else layout.instants(times[self.cell[0] : self.cell[0] + 1])[0]
        )
        return Damage(
            path=path, reason=reason, mend=mend, chunk=chunk, time=time, cell=self.cell
        )

    def disagreements(self, fingerprint: int) -> Iterator[Damage]:
        """Yield what contradicts something else."""
        raise NotImplementedError

    def overviews(self, name: str, missing: int | None) -> Iterator[Damage]:
        """Yield the overviews of an array that are not its own."""
        base = self.pixels[f"{self.group}/{name}"]
        smaller = (
            {factor: nearest(base, factor) for factor in FACTORS}
            if missing is None
            else dict(zip(FACTORS, means(base, missing), strict=True))
        )
        for factor, expected in smaller.items():
            path = f"{self.group}/by{factor}/{name}"
            if path in self.pixels and not np.array_equal(self.pixels[path], expected):
                yield self.damage(path, "an overview of other pixels", "overview")


class _MaskCell(_Cell):
    def disagreements(self, fingerprint: int) -> Iterator[Damage]:
        """Compare the pixels with their histogram and overviews."""
        if fingerprint <= UNREADABLE:
            return
        codes = self.pixels[f"{self.group}/mask"]
        kept = self.state.values(f"{self.group}/histogram", self.cell)
        counts = np.bincount(codes.ravel(), minlength=layout.CLASSES)
        if kept is not None and not np.array_equal(kept, counts):
            yield self.damage(
                f"{self.group}/mask", "its pixels are not those that were counted", "again"
            )
        else:
            yield from self.overviews("mask", None)


class _CompositeCell(_Cell):
    def disagreements(self, fingerprint: int) -> Iterator[Damage]:
        """Compare bands, count, day, source and overviews."""
        if fingerprint == NEVER:
            return
        roles = [str(each) for each in self.state.root[self.group].attrs["roles"]]  # type: ignore[union-attr]
        count, day, source = (
            self.pixels[f"{self.group}/{each}"] for each in ("count", "day", "source")
        )
        empty = count == 0
        filled = np.any(
            [self.pixels[f"{self.group}/{role}"] != MISSING for role in roles], axis=0
        )
        items = self.state.root.get(f"{items_and_records.NAME}/id")
        known = items.shape[0] if isinstance(items, zarr.Array) else 0
        if (
            (filled & empty).any()
            or ((source >= 0) & empty).any()
            or ((day >= 0) & empty).any()
        ):
            yield self.damage(
                f"{self.group}/count", "pixels of no observation have values", "again"
            )
        elif (source >= known).any():
            yield self.damage(
                f"{self.group}/source", "it points at items that are not there", "again"
            )
        else:
            for role in roles:
                yield from self.overviews(role, MISSING)


def shrunk(tile: Tile, factor: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Return the window of a tile in an overview."""
    rows, cols = (
        slice(part.start // factor, min(-(-part.stop // factor), size))
        for part, size in zip(tile.window, shape, strict=True)
    )
    return rows, cols


def shown(damage: Damage) -> dict[str, str]:
    """Return a damage in words, for a table or JSON."""
    return {
        "array": damage.path,
        "chunk": "" if damage.chunk is None else "/".join(map(str, damage.chunk)),
        "time": "" if damage.time is None else f"{damage.time:%Y-%m-%dT%H:%M:%SZ}",
        "tile": damage.tile,
        "damage": damage.reason,
        "mended by": MENDS[damage.mend],
    }


MENDS: dict[Mend, str] = {
    "again": "--repair, then run: made again",
    "overview": "--repair",
    "histogram": "--repair",
    "georeference": "--repair",
    "times": "--repair",
    "state": "an earlier state",
    "none": "nothing: an older state",
}
