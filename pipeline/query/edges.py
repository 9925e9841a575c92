"""Class counts where the edge of an area crosses a tile: pixels are read only where a count does not tell.

A tile is cut into squares whose classes are counted in the store. A square that lies wholly in the area is answered
by its count; one that the edge crosses too, if all of it is one class. The others are read, as far as they go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.query.area import Part
from pipeline.types import Code, StoredMasks

CLASSES = len(Code)
READ_PX = 256
"""Squares are read together within blocks of this edge: a chunk, as stores have them by default."""

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
    return columns.reshape(len(strips), -1, edge_px).sum(axis=2, dtype=np.int64)


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
    groups = list(_chunks(masks, squares, chosen))
    for numbers, _ in groups:
        unclear[:, numbers] = unclear[:, numbers].any(axis=1, keepdims=True)
    pixels = np.where(unclear, 0, squares.pixels[chosen])
    counts += ((known > 0) * pixels[..., np.newaxis]).sum(axis=1)
    for numbers, chunk in groups:
        there = known[:, numbers].any(axis=1).tolist()
        for at in np.flatnonzero(unclear[:, numbers[0]]).tolist():
            counts[at] += chunk.counts(masks, int(scenes[at]), there[at])


@dataclass(frozen=True, slots=True)
class _Chunk:
    """What is read of a scene at once."""

    window: tuple[slice, slice]
    """Pixels (y, x) of the grid."""
    wanted: Ints
    """Those of them that count, as positions in the flat window."""

    def counts(self, masks: StoredMasks, scene: int, there: Sequence[bool]) -> list[int]:
        """Count the classes in a scene; `there` says which are counted in its squares."""
        codes = masks.codes(scene, self.window).ravel().take(self.wanted)
        # Comparing bytes takes less time than numpy's bincount, and most classes are not there.
        found = [has and np.count_nonzero(codes == code) for code, has in enumerate(there)]
        if sum(found) != codes.size:
            return [np.count_nonzero(codes == code) for code in range(CLASSES)]
        return found


def _chunks(
    masks: StoredMasks, squares: _Squares, chosen: NDArray[np.bool_]
) -> Iterator[tuple[Ints, _Chunk]]:
    """Yield the numbers of the chosen squares (y, x) that lie in one chunk, and what is read of it."""
    edge = squares.edge_px
    where = np.argwhere(chosen)
    places, number = np.unique(
        (where * edge + squares.corner) // READ_PX, axis=0, return_inverse=True
    )
    for each, place in enumerate(places.tolist()):
        numbers = np.flatnonzero(number.ravel() == each)
        window = tuple(
            _chunk_span(at, corner, masks.tile_px, end)
            for at, corner, end in zip(place, squares.corner, masks.geobox.shape, strict=True)
        )
        yield numbers, _Chunk((window[0], window[1]), _wanted(squares, where[numbers], window))


def _chunk_span(number: int, inside_tile: int, tile_px: int, end: int) -> slice:
    """Return the pixels of a chunk along one axis, as far as tile and region go."""
    tile = inside_tile // tile_px * tile_px
    return slice(
        max(number * READ_PX, tile), min((number + 1) * READ_PX, tile + tile_px, end)
    )


def _wanted(squares: _Squares, chosen: Ints, window: tuple[slice, ...]) -> Ints:
    """Return the positions in a flat window of the pixels of some squares (square, 2) that belong to the area."""
    edge = squares.edge_px
    low, high = chosen.min(axis=0), chosen.max(axis=0) + 1
    mask = np.zeros(high - low, bool)
    mask[tuple((chosen - low).T)] = True
    held = tuple(slice(a * edge, b * edge) for a, b in zip(low, high, strict=True))
    rows, cols = np.nonzero(squares.inside[held] & mask.repeat(edge, 0).repeat(edge, 1))
    top, left = (
        corner + at.start - span.start
        for corner, at, span in zip(squares.corner, held, window, strict=True)
    )
    found: Ints = (rows + top) * (window[1].stop - window[1].start) + cols + left
    return found
