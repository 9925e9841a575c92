"""Class counts where the edge of an area crosses a tile: pixels are read only where a count does not tell.

A tile is cut into squares whose classes are counted in the store. A square that lies wholly in the area is answered
by its count; one that the edge crosses too, if all of it is one class. The others are read, as far as they go.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from pipeline.query.area import Part
from pipeline.query.rasterize import Window
from pipeline.types import Code, StoredMasks

CLASSES = len(Code)
FIRST_PIXEL = (1 << 24) - 1
"""The bits of a run that number its first pixel."""
AT_ONCE = 64
"""Scenes whose chunks are read together: memory is bounded however long the series is, and what chunks of a tile have in
common is still kept when the next one is asked for."""

Ints = NDArray[np.int64]


def edge_counts(masks: StoredMasks, part: Part, scenes: Ints) -> Ints:
    """Count the classes (scene, class) of a part that does not fill its tile, in some scenes."""
    blocks = masks.blocks(part.row, part.col)
    if len(scenes) < len(blocks):
        blocks = blocks[scenes]
    squares = _Squares.of(masks, part, masks.tile_px // blocks.shape[1])
    whole = squares.pixels == squares.sizes
    counts: Ints = squares.counted(blocks, whole).sum(axis=1, dtype=np.int64)
    if (counts.sum(axis=1) != squares.pixels[whole].sum()).any():
        # Some were never counted: their pixels say.
        whole[...], counts[...] = False, 0
    crossed = (squares.pixels > 0) & ~whole
    if crossed.any():
        _add_crossed(masks, scenes, blocks, (squares, crossed), counts)
    return counts


@dataclass(frozen=True, slots=True)
class _Squares:
    """The squares that a part touches, of a tile."""

    corner: tuple[int, int]
    """Row and column of the grid where the first begins."""
    first: tuple[int, int]
    """Row and column of the first among the squares of the tile."""
    edge_px: int
    inside: NDArray[np.bool_]
    """Which pixels (y, x) of them belong to the area; those beyond the region do not."""
    pixels: Ints
    """How many of each square (y, x) that are."""
    sizes: Ints
    """How many pixels of the region each (y, x) has: fewer where the region ends."""

    @classmethod
    def of(cls, masks: StoredMasks, part: Part, edge_px: int) -> _Squares:
        """Cut a part into squares."""
        assert part.inside is not None, "a part that fills its tile has a histogram"
        ys, xs = (
            _Axis.of(number * masks.tile_px, span, end, edge_px)
            for number, span, end in zip(
                (part.row, part.col), part.window, masks.geobox.shape, strict=True
            )
        )
        inside = np.zeros((ys.sizes.size * edge_px, xs.sizes.size * edge_px), bool)
        inside[ys.span, xs.span] = part.inside
        pixels, sizes = _summed(inside, edge_px), np.outer(ys.sizes, xs.sizes)
        corner, first = (ys.start, xs.start), (ys.first, xs.first)
        return cls(corner, first, edge_px, inside, pixels, sizes)

    def counted(
        self, blocks: NDArray[np.uint16], chosen: NDArray[np.bool_]
    ) -> NDArray[np.uint16]:
        """Return what is counted (scene, square, class) of the chosen squares (y, x)."""
        rows, cols = np.nonzero(chosen)
        return blocks[:, rows + self.first[0], cols + self.first[1]]


@dataclass(frozen=True, slots=True)
class _Axis:
    """The squares along one axis."""

    first: int
    """Number within the tile."""
    start: int
    """Pixel of the grid where it begins."""
    sizes: Ints
    """Pixels of the region that each has."""
    span: slice
    """Pixels of the part, counted from `start`."""

    @classmethod
    def of(cls, tile: int, span: slice, end: int, edge_px: int) -> _Axis:
        first = (span.start - tile) // edge_px
        start = tile + first * edge_px
        starts = np.arange(start, span.stop, edge_px)
        span = slice(span.start - start, span.stop - start)
        return cls(first, start, np.minimum(edge_px, end - starts), span)


def _summed(inside: NDArray[np.bool_], edge_px: int) -> Ints:
    """Count the pixels of squares (y, x)."""
    strips = inside.view(np.uint8).reshape(-1, edge_px, inside.shape[1])
    # Up to 64 rows fit into bytes, which add up quickest.
    columns = strips.sum(axis=1, dtype=np.uint8)
    found: Ints = columns.reshape(len(strips), -1, edge_px).sum(axis=2, dtype=np.int64)
    return found


def _add_crossed(
    masks: StoredMasks,
    scenes: Ints,
    blocks: NDArray[np.uint16],
    crossed: tuple[_Squares, NDArray[np.bool_]],
    counts: Ints,
) -> None:
    """Add the counts of squares that the edge crosses."""
    squares, chosen = crossed
    known = squares.counted(blocks, chosen)
    total = known.sum(axis=-1, dtype=np.int64)
    # Not counted, or of several classes: the pixels say.
    unclear = (known.max(axis=-1) != total) | (total == 0)
    groups = list(_groups(masks, squares, chosen))
    for each in groups:
        unclear[:, each.squares] = unclear[:, each.squares].any(axis=1, keepdims=True)
    pixels = np.where(unclear, 0, squares.pixels[chosen])
    counts += ((known > 0) * pixels[..., np.newaxis]).sum(axis=1)
    for first in range(0, len(scenes), AT_ONCE):
        for each in groups:
            there = unclear[first : first + AT_ONCE, each.squares[0]]
            read = first + np.flatnonzero(there)
            if read.size:
                counts[read] += each.counts(masks, scenes[read].tolist())


@dataclass(frozen=True, slots=True)
class _Group:
    """Crossed squares that are read together, because the chunks that hold them are read as a whole."""

    squares: Ints
    """Their numbers among those that the edge crosses."""
    chunks: list[tuple[int, int, NDArray[np.int32]]]
    """Row and column of each chunk; how many of its pixels before each, and before its end, are in these squares and in
    the area."""

    def counts(self, masks: StoredMasks, scenes: Sequence[int]) -> Ints:
        """Count the classes (scene, class) in some scenes."""
        return sum(
            (
                _counts(masks.runs_of(scenes, row, col), before)
                for row, col, before in self.chunks
            ),
            np.zeros((len(scenes), CLASSES), np.int64),
        )


def _counts(runs: Sequence[NDArray[np.uint32]], before: NDArray[np.int32]) -> Ints:
    """Count the classes (scene, class) in the wanted pixels of a chunk."""
    lengths = [each.size for each in runs]
    every = np.concatenate(runs)
    wanted = before.take(every & FIRST_PIXEL)
    ends = np.append(wanted[1:], 0)
    ends[np.cumsum(lengths) - 1] = before[-1]
    classes = (every >> 24) + CLASSES * np.repeat(np.arange(len(runs)), lengths)
    found = np.bincount(classes, ends - wanted, minlength=CLASSES * len(runs))
    return found.astype(np.int64).reshape(len(runs), CLASSES)


def _groups(
    masks: StoredMasks, squares: _Squares, chosen: NDArray[np.bool_]
) -> Iterator[_Group]:
    """Group the chosen squares (y, x), such that no chunk is of two groups."""
    where = np.argwhere(chosen)
    # Both divide a tile, and so does this.
    edge = math.lcm(squares.edge_px, masks.chunk_px)
    origins = where * squares.edge_px + squares.corner
    places, number = np.unique(origins // edge, axis=0, return_inverse=True)
    for each, place in enumerate(places.tolist()):
        numbers = np.flatnonzero(number.ravel() == each)
        inside = np.zeros((edge, edge), bool)
        for at, square in zip(origins[numbers] % edge, where[numbers], strict=True):
            to, of = (
                _window(start, squares.edge_px) for start in (at, square * squares.edge_px)
            )
            inside[to] = squares.inside[of]
        yield _Group(numbers, list(_chunks(inside, place, masks.chunk_px)))


def _window(start: Ints, edge_px: int) -> Window:
    top, left = start.tolist()
    return slice(top, top + edge_px), slice(left, left + edge_px)


def _chunks(
    inside: NDArray[np.bool_], place: Sequence[int], chunk_px: int
) -> Iterator[tuple[int, int, NDArray[np.int32]]]:
    """Yield the chunks of a group that have pixels of it; see `_Group.chunks`."""
    along = len(inside) // chunk_px
    for row, col in product(range(along), repeat=2):
        part = inside[_window(np.array([row, col]) * chunk_px, chunk_px)]
        before = np.zeros(part.size + 1, np.int32)
        np.cumsum(part, out=before[1:])
        if before[-1]:
            yield place[0] * along + row, place[1] * along + col, before
