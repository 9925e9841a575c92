"""Class counts where the edge of an area crosses a tile: pixels are read only where a count does not tell.

A tile is cut into squares whose classes are counted in the store. A square that lies wholly in the area is answered
by its count; one that the edge crosses too, if all of it is one class. The others are read, as far as they go.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.query.area import Part
from pipeline.types import Code, StoredMasks

CLASSES = len(Code)
READ_PX = 256
"""Squares are read together within blocks of this edge: a chunk, as stores have them by default."""


@dataclass(frozen=True, slots=True)
class Square:
    """A square of a tile that the edge of an area crosses."""

    row: int
    col: int
    inside: NDArray[np.bool_]
    """Which pixels (y, x) of it belong to the area; cut where the part's window ends."""
    ys: slice
    xs: slice
    """The same pixels on the grid."""

    @property
    def pixels(self) -> int:
        """How many belong to the area."""
        return int(np.count_nonzero(self.inside))


def edge_counts(masks: StoredMasks, part: Part, scenes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count the classes (scene, class) of a part that does not fill its tile, in some scenes."""
    blocks = masks.blocks(part.row, part.col)
    if len(scenes) < len(blocks):
        blocks = blocks[scenes]
    edge_px = masks.tile_px // blocks.shape[1]
    squares = list(_squares(masks, part, edge_px))
    counts = np.zeros((len(scenes), CLASSES), np.int64)
    crossed: list[Square] = []
    for each in squares:
        known = blocks[:, each.row, each.col]
        if (
            each.pixels == _size(masks, part, (each.row, each.col), edge_px)
            and known.any(axis=1).all()
        ):
            counts += known
        else:
            crossed.append(each)
    if crossed:
        _count_crossed(masks, scenes, blocks, crossed, counts)
    return counts


def _squares(masks: StoredMasks, part: Part, edge_px: int) -> Iterator[Square]:
    """Yield the squares of a tile that have pixels of the area."""
    assert part.inside is not None, "a part that fills its tile has a histogram"
    top, left = part.row * masks.tile_px, part.col * masks.tile_px
    rows, cols = (
        list(_cuts(each, start, edge_px))
        for each, start in zip(part.window, (top, left), strict=True)
    )
    for row, ys in rows:
        for col, xs in cols:
            inside = part.inside[_within(ys, part.window[0]), _within(xs, part.window[1])]
            if inside.any():
                yield Square(row, col, inside, ys, xs)


def _cuts(window: slice, start: int, edge_px: int) -> Iterator[tuple[int, slice]]:
    """Yield the squares along one axis: number within the tile, and the pixels of the window."""
    first, last = (window.start - start) // edge_px, (window.stop - 1 - start) // edge_px
    for number in range(first, last + 1):
        at = start + number * edge_px
        yield number, slice(max(at, window.start), min(at + edge_px, window.stop))


def _within(pixels: slice, window: slice) -> slice:
    return slice(pixels.start - window.start, pixels.stop - window.start)


def _size(masks: StoredMasks, part: Part, at: tuple[int, int], edge_px: int) -> int:
    """Return how many pixels of the region a square has: fewer where the region ends."""
    ends = masks.geobox.shape
    sizes = [
        min(edge_px, end - (tile * masks.tile_px + number * edge_px))
        for tile, number, end in zip((part.row, part.col), at, ends, strict=True)
    ]
    return sizes[0] * sizes[1]


def _count_crossed(
    masks: StoredMasks,
    scenes: NDArray[np.int64],
    blocks: NDArray[np.uint16],
    crossed: list[Square],
    counts: NDArray[np.int64],
) -> None:
    """Add the counts of squares that the edge crosses."""
    rows, cols = [each.row for each in crossed], [each.col for each in crossed]
    known = blocks[:, rows, cols].astype(np.int64)
    total = known.sum(axis=-1)
    # Not counted, or of several classes: the pixels say.
    unclear = (known.max(axis=-1) != total) | (total == 0)
    pixels = np.array([each.pixels for each in crossed])
    one = np.where(unclear[..., np.newaxis], 0, (known > 0) * pixels[:, np.newaxis])
    counts += one.sum(axis=1)
    for group in _neighbours(crossed):
        wanted = unclear[:, group]
        for at in np.flatnonzero(wanted.any(axis=1)):
            chosen = [crossed[group[n]] for n in np.flatnonzero(wanted[at])]
            counts[at] += _counted(masks, int(scenes[at]), chosen)


def _neighbours(crossed: list[Square]) -> list[list[int]]:
    """Group squares that lie in one chunk, so that it is read once."""
    found: dict[tuple[int, int], list[int]] = {}
    for number, each in enumerate(crossed):
        found.setdefault((each.ys.start // READ_PX, each.xs.start // READ_PX), []).append(
            number
        )
    return list(found.values())


def _counted(masks: StoredMasks, scene: int, squares: list[Square]) -> NDArray[np.int64]:
    """Read some squares of a scene and count."""
    ys = slice(min(each.ys.start for each in squares), max(each.ys.stop for each in squares))
    xs = slice(min(each.xs.start for each in squares), max(each.xs.stop for each in squares))
    codes = masks.codes(scene, (ys, xs))
    seen = [codes[_within(each.ys, ys), _within(each.xs, xs)][each.inside] for each in squares]
    return np.bincount(np.concatenate(seen), minlength=CLASSES)[:CLASSES]
