"""Which windows of a scene stand in which block: pure integers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.mask.lattice import Cover
from pipeline.types import Lattice, ModelCard


@dataclass(frozen=True, slots=True)
class Layout:
    """Which windows of a scene stand in which block: one row, and up to a batch side by side."""

    lattice: Lattice
    held: Cover
    widths: tuple[int, ...]
    """Number of windows of each block of a row."""

    @classmethod
    def of(cls, card: ModelCard, held: Cover) -> Layout:
        """Lay out the windows of a cover for a model."""
        starts = range(0, held.cols, card.batch)
        widths = tuple(min(card.batch, held.cols - start) for start in starts)
        return cls(card.lattice, held, widths)

    def first(self, col: int) -> int:
        """Return the position of a block's first window in its row."""
        return sum(self.widths[:col])

    def rectangle(self, row: int, col: int) -> tuple[slice, slice]:
        """Return the pixels (y, x) that a block of windows sees, counted in what is read."""
        core, halo = self.lattice.core_px, 2 * self.lattice.halo_px
        top, left = row * core, self.first(col) * core
        width = self.widths[col] * core
        return slice(top, top + core + halo), slice(left, left + width + halo)

    @property
    def chunks(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Sizes of the blocks of what is made of the scores; the first one begins `reach` into the cover."""
        core, shared = self.lattice.core_px, self.lattice.blend_px
        rows, cols = [core] * self.held.rows, [core * width for width in self.widths]
        return (rows[0] - shared, *rows[1:]), (cols[0] - shared, *cols[1:])

    def edges(self, row: int, col: int) -> tuple[bool, bool]:
        """Say of a window, by its row and column, whether other covers may hold it: before this one, or after it.

        Covers come row by row.
        """
        return row == 0 or col == 0, row == self.held.rows - 1 or col == self.held.cols - 1

    def blocks(self) -> Iterator[tuple[int, int]]:
        """Yield every block's row and column."""
        return itertools.product(range(self.held.rows), range(len(self.widths)))
