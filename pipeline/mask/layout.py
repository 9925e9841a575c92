"""How the windows of a scene are grouped into Dask blocks: pure integers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.mask.lattice import CoreBlock
from pipeline.types import Lattice, ModelCard


@dataclass(frozen=True, slots=True)
class Layout:
    """Blocks of windows: one row high, and at most a batch of windows wide."""

    lattice: Lattice
    cores: CoreBlock
    widths: tuple[int, ...]
    """Number of windows of each block of a row."""

    @classmethod
    def of(cls, card: ModelCard, cores: CoreBlock) -> Layout:
        """Lay out the windows of a block of cores for a model."""
        starts = range(0, cores.cols, card.batch)
        widths = tuple(min(card.batch, cores.cols - start) for start in starts)
        return cls(card.lattice, cores, widths)

    def first(self, col: int) -> int:
        """Return the position of a block's first window in its row."""
        return sum(self.widths[:col])

    def rectangle(self, row: int, col: int) -> tuple[slice, slice]:
        """Return the pixels (y, x) of a block of windows, halo included, counted in the region that is read."""
        core, halo = self.lattice.core_px, 2 * self.lattice.halo_px
        top, left = row * core, self.first(col) * core
        width = self.widths[col] * core
        return slice(top, top + core + halo), slice(left, left + width + halo)

    @property
    def chunks(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Sizes of the mask's blocks; the first one begins `reach` after the first core."""
        core, shared = self.lattice.core_px, self.lattice.blend_px
        rows, cols = [core] * self.cores.rows, [core * width for width in self.widths]
        return (rows[0] - shared, *rows[1:]), (cols[0] - shared, *cols[1:])

    def edges(self, row: int, col: int) -> tuple[bool, bool]:
        """Return whether a window may be shared with an earlier and with a later tile, in row-major order of tiles."""
        return row == 0 or col == 0, row == self.cores.rows - 1 or col == self.cores.cols - 1

    def blocks(self) -> Iterator[tuple[int, int]]:
        """Yield every block's row and column."""
        return itertools.product(range(self.cores.rows), range(len(self.widths)))
