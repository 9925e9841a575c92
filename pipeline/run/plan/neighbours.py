"""The tiles around a tile whose masks decide its composites: distances to clouds do not end where tiles do.

Only methods that measure them look there (`reach_of`). What lies beyond the grid is unknown. Within the
grid every tile within reach of the AOI is masked, so that the distances of a pixel in the AOI are the same however the grid is cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from pipeline.composite import reach_px
from pipeline.run.common.method import reach_of
from pipeline.types import UNREADABLE, Grid, Job, Scene, Tile

Offset = tuple[int, int]
"""(rows, columns) from a tile to another."""


def job_reach_m(job: Job) -> float:
    """Return how far beyond a pixel masks count for a job's composites, in metres; 0: nowhere."""
    return max(map(reach_of, job.composed), default=0.0)


def offsets_within(grid: Grid, reach_m: float) -> list[Offset]:
    """Return from a tile to each other tile with a pixel within reach of one of its own, row by row."""
    pixels = reach_px(reach_m, grid.resolution_m)
    tiles = -(-pixels // grid.tile_px)
    span = range(-tiles, tiles + 1)
    return [(row, col) for row in span for col in span if (row, col) != (0, 0)]


def tiles_near(grid: Grid, tile: Tile, reach_m: float) -> tuple[Tile, ...]:
    """Return a tile and those of its grid within reach of it, the tile itself first; none where reach is 0."""
    if not reach_m:
        return ()
    rows, cols = grid.shape_in_tiles
    places = [(0, 0), *offsets_within(grid, reach_m)]
    found = [(tile.row + row, tile.col + col) for row, col in places]
    return tuple(
        grid.tile(row, col) for row, col in found if 0 <= row < rows and 0 <= col < cols
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Neighbours:
    """Fingerprints of the masks around the tiles of a plan."""

    offsets: Sequence[Offset]
    _cells: NDArray[np.uint64]
    """(scene, row, column) of the whole grid and `_margin` beyond it on all sides, 0 = no mask."""
    _margin: int
    _rows: NDArray[np.int64]
    _cols: NDArray[np.int64]
    """Of the plan's tiles."""

    @classmethod
    def of(
        cls,
        grid: Grid,
        tiles: Sequence[Tile],
        scenes: Sequence[Scene],
        fingerprints: NDArray[np.uint64],
        stored: Mapping[str, Mapping[datetime, NDArray[np.uint64]]],
        reach_m: float,
    ) -> Neighbours:
        """Gather what a run will find.

        Parameters
        ----------
        grid, tiles
            The grid, and the tiles of it that the plan works on.
        scenes, fingerprints
            Scenes, and (tile, scene) of the masks that the run leaves there, 0 = none.
        stored
            Sensor -> time -> fingerprints (tile_y, tile_x) that the store has, of other tiles as well.
        reach_m
            Of the composite's method; 0: no tile has neighbours.
        """
        offsets = offsets_within(grid, reach_m)
        margin = max((row for row, _ in offsets), default=0)
        rows, cols = (
            np.array([getattr(each, name) for each in tiles], np.int64)
            for name in ("row", "col")
        )
        n_scenes = len(scenes) if offsets else 0
        shape = [each + 2 * margin for each in grid.shape_in_tiles]
        cells = np.zeros((n_scenes, *shape), np.uint64)
        for at, scene in enumerate(scenes[:n_scenes]):
            known = stored.get(scene.sensor, {}).get(scene.time)
            if known is not None:
                inner = cells[at, margin : margin + known.shape[0], margin:]
                inner[:, : known.shape[1]] = np.where(known > UNREADABLE, known, 0)
            cells[at, rows + margin, cols + margin] = fingerprints[:, at]
        return cls(offsets=offsets, _cells=cells, _margin=margin, _rows=rows, _cols=cols)

    def around(self, scenes: Sequence[int]) -> NDArray[np.uint64]:
        """Return (tile, offset, scene) of the fingerprints around each tile of the plan, 0 = no mask."""
        found = np.zeros((len(self._rows), len(self.offsets), len(scenes)), np.uint64)
        for at, (row, col) in enumerate(self.offsets):
            y, x = self._rows + row + self._margin, self._cols + col + self._margin
            found[:, at] = self._cells[np.array(scenes, np.intp)][:, y, x].T
        return found
