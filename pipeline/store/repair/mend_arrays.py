"""What mending does to the arrays of one state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.core.sync import sync

from pipeline.errors import StoreDamagedError
from pipeline.store.arrays import create, layout
from pipeline.store.arrays.composites import MISSING
from pipeline.store.arrays.masks import count_blocks
from pipeline.store.arrays.overviews import Levels, level_grids
from pipeline.store.repair.check import GEOREFERENCE
from pipeline.store.repair.damages import Damage
from pipeline.store.repair.state import State
from pipeline.store.versions import copy_chunks
from pipeline.types import NEVER, UNREADABLE, Tile


@dataclass(slots=True, kw_only=True)
class MendArrays:
    """The mending of the arrays of one state; `run` does it."""

    root: zarr.Group
    """Writable."""
    state: State
    """The same, as it was."""
    damages: Sequence[Damage]

    def run(self) -> None:
        """Mend everything."""
        for damage in self.damages:
            if damage.mend == "georeference":
                self._georeference(damage.path)
            elif (damage.path.endswith("/fingerprint") and damage.chunk is not None) or (
                damage.mend == "histogram" and damage.chunk is not None
            ):
                self._delete(damage.path, damage.chunk)
        for damage in self.damages:
            if damage.mend == "times":
                times = layout.values_of(self.root, f"{damage.group}/time")
                layout.array_of(self.root, damage.path)[...] = times
        for group, cell in sorted(self._again()):
            self._never(group, cell)
        for group in sorted({each.group for each in self.damages if each.mend == "histogram"}):
            self._histograms(group)
        for group, cell in sorted(self._overviews() - self._again()):
            self._overview(group, cell)

    def _again(self) -> set[tuple[str, tuple[int, int, int]]]:
        found = set()
        for each in self.damages:
            if each.mend != "again":
                continue
            if each.cell is not None and not each.path.endswith("/fingerprint"):
                found.add((each.group, each.cell))
                continue
            times, rows, cols = layout.array_of(self.root, f"{each.group}/fingerprint").shape
            one = each.cell
            found |= {
                (each.group, (at, row, col))
                for at in range(times)
                for row in ([one[1]] if one else range(rows))
                for col in ([one[2]] if one else range(cols))
                if one is None or each.chunk is None or at // create.CELL_TIMES == each.chunk[0]
            }
        return found

    def _overviews(self) -> set[tuple[str, tuple[int, int, int]]]:
        return {
            (each.group, each.cell)
            for each in self.damages
            if each.mend == "overview" and each.cell is not None
        }

    # -- arrays --------------------------------------------------------------------------------

    def _georeference(self, path: str) -> None:
        """Write coordinates again, from the grid."""
        group, _, name = path.rpartition("/")
        factor = int(group.rpartition("/by")[2]) if "/by" in group else 1
        grid = self.state.grid if factor == 1 else level_grids(self.state.grid)[factor]
        parent = self.root[group]
        assert isinstance(parent, zarr.Group)
        assert name in GEOREFERENCE
        create.write_coordinates(parent, grid, name)

    def _delete(self, path: str, chunk: tuple[int, ...]) -> None:
        array = layout.array_of(self.root, path)
        key = f"{path}/{array.metadata.encode_chunk_key(chunk)}"
        sync(self.root.store_path.store.delete(key))

    # -- cells ---------------------------------------------------------------------------------

    def _tile(self, cell: tuple[int, int, int]) -> Tile:
        return self.state.grid.tile(cell[1], cell[2])

    def _never(self, group: str, cell: tuple[int, int, int]) -> None:
        """Mark a cell as never made, and delete its pixels."""
        for factor, path in self.state.pixel_arrays(group):
            array = layout.array_of(self.root, path)
            for y, x in copy_chunks.objects_of(array, self._tile(cell), factor):
                self._delete(path, (cell[0], y, x))
        layout.array_of(self.root, f"{group}/fingerprint")[cell] = NEVER
        if group.startswith("masks/"):
            for name in {"histogram", "blocks"} & set(self._opened(group).array_keys()):
                layout.array_of(self.root, f"{group}/{name}")[cell] = 0

    def _opened(self, group: str) -> zarr.Group:
        found = self.root[group]
        assert isinstance(found, zarr.Group)
        return found

    def _histograms(self, group: str) -> None:
        """Count the pixels of every cell whose counts are lost."""
        fingerprints = layout.values_of(self.root, f"{group}/fingerprint")
        for name in {"histogram", "blocks"} & set(self._opened(group).array_keys()):
            counts = layout.array_of(self.root, f"{group}/{name}")
            for row, col in np.ndindex(fingerprints.shape[1:]):
                stored = layout.values_of(self.root, f"{group}/{name}", (slice(None), row, col))
                lost = stored.reshape(len(stored), -1).sum(axis=-1) == 0
                for at in np.flatnonzero(lost & (fingerprints[:, row, col] != NEVER)):
                    cell = (int(at), row, col)
                    counts[cell] = self._counted(name, self._pixels(f"{group}/mask", cell))

    def _counted(self, name: str, codes: NDArray[np.uint8]) -> NDArray[np.int64]:
        if name == "blocks":
            return count_blocks(codes, self.state.grid.tile_px)
        return np.bincount(codes.ravel(), minlength=layout.CLASSES)

    def _pixels(self, path: str, cell: tuple[int, int, int]) -> Any:  # noqa: ANN401
        found = self.state.values(path, (cell[0], *self._tile(cell).window))
        if found is None:
            raise StoreDamagedError(path, cell, "it was readable a moment ago")
        return found

    def _overview(self, group: str, cell: tuple[int, int, int]) -> None:
        """Make the overviews of a cell again."""
        opened = self.root[group]
        assert isinstance(opened, zarr.Group)
        tile, levels = self._tile(cell), Levels(opened)
        fingerprint = int(layout.values_of(opened, "fingerprint")[cell])
        for path in {
            each.path
            for each in self.damages
            if each.group == group and each.mend == "overview"
        }:
            factor = int(path.split("/by")[1].split("/")[0])
            array = layout.array_of(self.root, path)
            for y, x in copy_chunks.objects_of(array, tile, factor):
                self._delete(path, (cell[0], y, x))
        names = {
            each.path.rpartition("/")[2]
            for each in self.damages
            if each.group == group and each.mend == "overview"
        }
        for name in sorted(names) if fingerprint > UNREADABLE else ():
            pixels = self._pixels(f"{group}/{name}", cell)
            if group.startswith("masks/"):
                levels.write_codes(name, cell[0], tile, pixels)
            else:
                levels.write_steps(name, cell[0], tile, pixels, MISSING)
