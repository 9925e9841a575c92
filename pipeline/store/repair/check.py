"""Reading all that a state of a store shows, to find what is damaged and how it can be mended."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.store.arrays import contents, items_and_records, layout
from pipeline.store.arrays.composites import LAYERS, MISSING
from pipeline.store.arrays.contents import FACTORS
from pipeline.store.arrays.masks import BLOCKS, count_blocks
from pipeline.store.arrays.overviews import means, middle_pixels
from pipeline.store.base.reading import damaged_chunks
from pipeline.store.repair.damages import Damage, Mend, Progress
from pipeline.store.repair.state import State
from pipeline.types import NEVER, UNREADABLE, Tile

THREADS = 8
GEOREFERENCE = ("y", "x", "spatial_ref")


def find_damages(state: State, progress: Progress) -> tuple[list[Damage], int]:
    """Read everything; return what is damaged, and how many cells there are."""
    groups = [
        f"{kind}/{name}"
        for kind in ("masks", "composites")
        for name in contents.group_names(state.root, kind)
    ]
    found = [*_items(state), *(each for group in groups for each in _small(state, group))]
    done, total = 0, sum(_count(state, group) for group in groups)
    progress(0, total)
    with ThreadPoolExecutor(THREADS) as pool:
        for group in groups:
            times, rows, cols = state.array(f"{group}/fingerprint").shape
            # One time after the other, so that only a few cells are in memory.
            for at in range(times):
                cells = [
                    _cell(state, group, (at, row, col))
                    for row, col in product(range(rows), range(cols))
                ]
                for damages in pool.map(_Cell.damages, cells):
                    found += damages
                done += len(cells)
                progress(done, total)
    return found, total


def _count(state: State, group: str) -> int:
    return int(np.prod(state.array(f"{group}/fingerprint").shape))


# -- what is small -----------------------------------------------------------------------------


def _small(state: State, group: str) -> Iterator[Damage]:
    """Yield the damage of time axes, coordinates and cells."""
    opened = layout.group_of(state.root, group)
    assert opened is not None, group
    pixels = {path for _, path in state.pixel_arrays(group)}
    for level in (opened, *contents.levels(opened).values()):
        for name, array in level.arrays():
            if array.path not in pixels:
                yield from _each(state, array, _mend(group, level.path, name))
    for factor in contents.levels(opened):
        base, copy = f"{group}/time", f"{group}/by{factor}/time"
        theirs, ours = state.values(copy), state.values(base)
        if theirs is not None and ours is not None and not np.array_equal(theirs, ours):
            yield Damage(
                path=copy, reason="its times differ from those of the pixels", mend="times"
            )


def _mend(group: str, level: str, name: str) -> Mend:
    if name in GEOREFERENCE:
        return "georeference"
    if level != group and name == "time":
        return "times"
    return {"histogram": "histogram", "blocks": "histogram", "fingerprint": "again"}.get(
        name, "state"
    )  # type: ignore[return-value]


def _each(state: State, array: zarr.Array[Any], mend: Mend) -> Iterator[Damage]:
    if array.path in state.lost:
        yield Damage(path=array.path, reason=state.lost[array.path], mend=mend)
        return
    for chunk, reason in damaged_chunks(array):
        cell = (0, chunk[1], chunk[2]) if mend in ("again", "histogram") else None
        yield Damage(path=array.path, reason=reason, mend=mend, chunk=chunk, cell=cell)


def _items(state: State) -> Iterator[Damage]:
    group = layout.group_of(state.root, items_and_records.NAME)
    if group is None:
        return
    for _, array in group.arrays():
        yield from _each(state, array, "state")


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
        """Yield pixels that contradict other arrays."""
        raise NotImplementedError

    def overviews(self, name: str, missing: int | None) -> Iterator[Damage]:
        """Yield the overviews that do not match their array."""
        base = self.pixels[f"{self.group}/{name}"]
        smaller = (
            {factor: middle_pixels(base, factor) for factor in FACTORS}
            if missing is None
            else dict(zip(FACTORS, means(base, missing), strict=True))
        )
        for factor, expected in smaller.items():
            path = f"{self.group}/by{factor}/{name}"
            if path in self.pixels and not np.array_equal(self.pixels[path], expected):
                yield self.damage(
                    path, "it does not match the pixels that it is an overview of", "overview"
                )


def _cell(state: State, group: str, cell: tuple[int, int, int]) -> _Cell:
    return (_MaskCell if group.startswith("masks/") else _CompositeCell)(state, group, cell)


class _MaskCell(_Cell):
    def disagreements(self, fingerprint: int) -> Iterator[Damage]:
        """Compare the pixels with their counts and overviews."""
        if fingerprint <= UNREADABLE:
            return
        codes = self.pixels[f"{self.group}/mask"]
        stored = self.state.values(f"{self.group}/histogram", self.cell)
        counts = np.bincount(codes.ravel(), minlength=layout.CLASSES)
        if stored is not None and not np.array_equal(stored, counts):
            yield self.damage(
                f"{self.group}/mask", "its pixels do not match their histogram", "again"
            )
            return
        yield from self._blocks(codes)
        yield from self.overviews("mask", None)

    def _blocks(self, codes: NDArray[np.uint8]) -> Iterator[Damage]:
        """Compare the pixels with the counts of squares, which stores with overviews have."""
        path = f"{self.group}/{BLOCKS}"
        if path not in self.state.root:
            return
        stored = self.state.values(path, self.cell)
        expected = count_blocks(codes, self.state.grid.tile_px)
        if stored is not None and not np.array_equal(stored, expected):
            yield self.damage(path, "it does not match the pixels that it counts", "again")


class _CompositeCell(_Cell):
    def disagreements(self, fingerprint: int) -> Iterator[Damage]:
        """Compare bands, count, day, source and overviews."""
        if fingerprint == NEVER:
            return
        attributes = self.state.root[self.group].attrs
        roles = [str(each) for each in attributes["roles"]]  # type: ignore[union-attr]
        layers = [str(each) for each in attributes.get(LAYERS, ())]  # type: ignore[union-attr]
        count, day, source = (
            self.pixels[f"{self.group}/{each}"] for each in ("count", "day", "source")
        )
        empty = count == 0
        filled = np.any(
            [
                *(self.pixels[f"{self.group}/{role}"] != MISSING for role in roles),
                *(~np.isnan(self.pixels[f"{self.group}/{layer}"]) for layer in layers),
            ],
            axis=0,
        )
        items = self.state.root.get(f"{items_and_records.NAME}/id")
        known = items.shape[0] if isinstance(items, zarr.Array) else 0
        if (
            (filled & empty).any()
            or ((source >= 0) & empty).any()
            or ((day >= 0) & empty).any()
        ):
            yield self.damage(
                f"{self.group}/count", "pixels without an observation have values", "again"
            )
        elif (source >= known).any():
            yield self.damage(
                f"{self.group}/source", "it points at items that do not exist", "again"
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
