"""Which parts of a raster are decoded and cached as one: its blocks, or several where they are tiny."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, int]
Span = tuple[int, int]
"""First, and first after."""
Part = tuple[Span, Span]
"""Rows and columns of a raster."""
Unit = tuple[int, int]
"""Row and column of a unit."""


class Soon(NamedTuple):
    """What will soon be wanted of a raster, in windows: of a server it is asked for together, if it is little."""

    part: Part
    in_rows: bool
    """Whether otherwise its columns in the rows of a window are asked for together."""


SMALLEST_PX = 2**14
"""A unit has at least so many pixels, lest a window be made of thousands: a block of 128 × 128, or two rows of a scene."""

LARGEST_BYTES = 2**23
"""Blocks larger than this are not cached here: a JPEG 2000 of one tile has 240 MB."""


def unit_shape(block: Shape, raster: Shape, itemsize: int) -> Shape | None:
    """Return the (rows, columns) of a raster's units; None: its blocks are too large to be cached."""
    rows, cols = (min(size, edge) for size, edge in zip(block, raster, strict=True))
    if rows * cols * itemsize > LARGEST_BYTES:
        return None
    edge = math.isqrt(SMALLEST_PX)
    cols = min(_grown(cols, edge if cols < edge else cols), raster[1])
    rows = min(_grown(rows, SMALLEST_PX // cols), raster[0])
    return rows, cols


def _grown(size: int, wanted: int) -> int:
    """Return the smallest multiple of a size that is at least `wanted`."""
    return size * max(1, -(-wanted // size))


def units(window: Sequence[Span], unit: Shape) -> list[Unit]:
    """Return the units that a window, ((top, bottom), (left, right)), needs."""
    rows, cols = (
        range(first // size, -(-last // size))
        for (first, last), size in zip(window, unit, strict=True)
    )
    return list(itertools.product(rows, cols))


def place(at: Unit, unit: Shape, raster: Shape) -> tuple[Span, Span]:
    """Return the pixels of a unit, cut at the edge of the raster."""
    (top, bottom), (left, right) = (
        (index * size, min((index + 1) * size, edge))
        for index, size, edge in zip(at, unit, raster, strict=True)
    )
    return (top, bottom), (left, right)


def rectangles(wanted: Iterable[Unit]) -> Iterator[tuple[Span, Span]]:
    """Divide units into rectangles, as ((first row, end), (first column, end)) in units, so that few reads suffice."""
    open_runs: dict[Span, Span] = {}
    for row, group in itertools.groupby(sorted(wanted), key=lambda unit: unit[0]):
        runs = set(_runs([col for _, col in group]))
        for run, rows in list(open_runs.items()):
            if run not in runs or rows[1] != row:
                yield open_runs.pop(run), run
        for run in sorted(runs):
            first = open_runs[run][0] if run in open_runs else row
            open_runs[run] = (first, row + 1)
    for run, rows in open_runs.items():
        yield rows, run


def _runs(cols: Sequence[int]) -> Iterator[Span]:
    """Return the runs of consecutive numbers, each as (first, first after)."""
    start = cols[0]
    for before, col in itertools.pairwise([*cols, cols[-1] + 2]):
        if col != before + 1:
            yield start, before + 1
            start = col


def part_of(
    block: NDArray[Any], window: Sequence[Span], pixels: Sequence[Span]
) -> NDArray[Any]:
    """Return a window that a block, which holds some pixels of a raster, has whole, without a copy."""
    rows, cols = (
        slice(start - first, stop - first)
        for (start, stop), (first, _) in zip(window, pixels, strict=True)
    )
    return block[rows, cols]


def copy_part(
    target: NDArray[Any], window: Sequence[Span], block: NDArray[Any], pixels: Sequence[Span]
) -> None:
    """Copy what a block, which holds some pixels of a raster, has of a window, in place."""
    into, out = [], []
    for (start, stop), (first, last) in zip(window, pixels, strict=True):
        low, high = max(start, first), min(stop, last)
        into.append(slice(low - start, high - start))
        out.append(slice(low - first, high - first))
    np.copyto(target[tuple(into)], block[tuple(out)])
