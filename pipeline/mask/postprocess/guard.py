"""Finds permanent false positives: pixels that a model calls cloud although all around them is clear.

A model calls bright roofs, quarries and beaches cloud on nearly every date, so that they would never be in a
composite. One mask cannot tell them from clouds; a year of masks can, because clouds move. A place under
real clouds must not become clear, so a high share of cloud alone is no criterion: the cloudiest coasts have cloud
on nine dates of ten. The criterion is a cloud that stands alone. The plane is divided into square cells. On a date
on which the rest of a cell is clear, real cloud over one of its pixels is rare; over the same pixel date after
date, it is not weather.

Definition. A *clear date* of a cell: at least half of it was seen, and at least the share `clear` of
what was seen is usable. A pixel is *guarded* if it was seen on at least `min_dates` clear dates of
its cell and was cloud (thin or thick) on at least the share `share` of them. On a date, the cloud of a
guarded pixel counts as clear if its cell is clear without the guarded pixels, and stays cloud if
it is not: under an overcast sky a roof is as hidden as the street.

Four consequences. (1) Without clear dates nothing is guarded: neither in a cloudy season, nor in a desert or on a
glacier that a model takes for cloud as a whole, which masks alone cannot tell from a cloudy season. (2) At most
(1 - clear) / share of a cell is guarded, 12.5 % with the defaults, if its pixels were seen on the same dates; of a
quarry in two cells, only the part in the cell that it fills less may be guarded. (3) Snow that a model calls cloud
in winter and ground in summer is not guarded, unless the history covers the winter only. (4) Where real clouds do
stand alone, date after date, over one place, as at a cooling tower or a summit, they are taken for ground.

The defaults were measured on sixty simulated dates at 10 m, as cloudy as central Europe, with roofs, quarries, a
beach and a salt flat, masked by DL-L8S2-UV and by a threshold on blue, which calls all of these cloud:

    cell_px  clear  share   roof pixels guarded   really cloud, of pixels made clear
                            DL      threshold     DL      threshold
    256      .9     .8      1456    9203          3.3 %   3.4 %     the defaults
    256      .9     .9       959    9007          3.5 %   3.4 %
    256      .8     .8      1405    9202          5.8 %   4.9 %
    128      .9     .8      1388    7459           .9 %   2.7 %
     64      .9     .8      1214    4060           .8 %   2.9 %

No setting guarded any other ground. For comparison: of the pixels that the models call clear by themselves, 12.4 %
and 6.6 % are really cloud; and if guarded pixels were made clear on all dates, not only where their cloud stands
alone, 33 % and 39 % of them would be. The share is .8 and not 1 because on one clear date in five these models miss
an overcast, and call the roofs under it clear, too. Clouds that end at the same line every day, as at the foot of
mountains, are guarded along it if the line varies by less than 250 m (standard deviation); with `clear` at .8, by
less than 1 km.

The idea that cloudiness has no sharp edges but false positives do is that of Wilson, Parmentier and
Jetz 2014 (https://doi.org/10.1016/j.rse.2013.10.025), who find land cover in MODIS's mean cloudiness;
the rule is our own.

A pixel's result depends on its own cell only. Tiles and regions begin on chunks, and the size of a cell must divide
that of a chunk: tiles then cut no cell, and any tiling gives the same result. Masks in the store stay as the model
made them, each from one scene; the guard is applied to them when they are used.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import GridError
from pipeline.types import CLOUD, USABLE, Code, GuardSettings, Period

Flags = NDArray[np.bool_]
Codes = NDArray[np.uint8]

_PER = 1000
"""Shares are compared as integers, in thousandths, so that nothing is rounded."""


def history_of(period: Period, settings: GuardSettings) -> Period:
    """Return the time span whose masks decide which pixels are guarded in a period.

    It ends with the period, so that later scenes change no composite, and contains the whole period.
    """
    earliest = period.end - timedelta(days=settings.history_days)
    return Period(start=min(period.start, earliest), end=period.end)


class Counts:
    """The guard's counts over dates, which may be added and removed in any order.

    Removal is exact, so that a sliding window over an archive costs two masks per step. Takes 4 bytes per pixel for
    any number of dates.
    """

    def __init__(self, shape: tuple[int, int], settings: GuardSettings) -> None:
        """Start without dates.

        Parameters
        ----------
        shape
            (y, x) of the masks, whole cells; their first pixel is the first of a cell.
        settings
            Its ``min_dates``, ``share``, ``clear`` and ``cell_px`` are used.

        Raises
        ------
        GridError
            The shape is not one of whole cells.
        """
        _require_cells(shape, settings.cell_px)
        self._settings = settings
        self._seen = np.zeros(shape, np.uint16)
        self._cloudy = np.zeros(shape, np.uint16)

    def add(self, mask: Codes) -> None:
        """Count a date: (y, x) codes of `Code`."""
        self._count(mask, np.add)

    def remove(self, mask: Codes) -> None:
        """Remove a date that was added."""
        self._count(mask, np.subtract)

    def persistent(self) -> Flags:
        """Return the guarded pixels, (y, x)."""
        wanted = round(self._settings.share * _PER)
        often = self._cloudy.astype(np.uint32) * _PER >= self._seen.astype(np.uint32) * wanted
        guarded: Flags = often & (self._seen >= self._settings.min_dates)
        return guarded

    def _count(self, mask: Codes, count: np.ufunc) -> None:
        if mask.shape != self._seen.shape:
            raise ValueError(f"masks of {self._seen.shape} are counted, not of {mask.shape}")
        edge = self._settings.cell_px
        clear = _clear_cells(mask, None, self._settings)
        for row, col in np.argwhere(clear):
            cell = (
                slice(row * edge, (row + 1) * edge),
                slice(col * edge, (col + 1) * edge),
            )
            codes = mask[cell]
            count(self._seen[cell], codes != Code.NO_DATA, out=self._seen[cell])
            count(self._cloudy[cell], _CLOUD[codes], out=self._cloudy[cell])


def persistent(
    masks: Iterable[Codes], shape: tuple[int, int], settings: GuardSettings
) -> Flags:
    """Find the guarded pixels of a history, one mask in memory at a time.

    Parameters
    ----------
    masks
        (y, x) codes of `Code` each, in any order, all of one sensor: models differ in their false positives.
    shape
        (y, x) of each, whole cells.
    settings
        When a pixel is guarded.

    Returns
    -------
    (y, x) bool.

    Raises
    ------
    GridError
        The shape is not one of whole cells.
    """
    counts = Counts(shape, settings)
    for mask in masks:
        counts.add(mask)
    return counts.persistent()


def usable(mask: Codes, guarded: Flags, settings: GuardSettings) -> Flags:
    """Return where a mask shows the ground, lone clouds of guarded pixels included.

    Parameters
    ----------
    mask
        (y, x) codes of `Code`, whole cells.
    guarded
        (y, x), as `persistent` finds them.
    settings
        The settings by which they were found.

    Returns
    -------
    (y, x) bool: clear, water and snow, and cloud on guarded pixels of a cell whose other pixels were mostly seen
    and are clear. Shadows are never usable.
    """
    shown = _USABLE[mask]
    if guarded.any():
        alone = _spread(_clear_cells(mask, guarded, settings), settings.cell_px)
        shown |= _CLOUD[mask] & guarded & alone
    return shown


def _table(codes: Iterable[Code]) -> Flags:
    table = np.zeros(256, bool)
    table[[int(code) for code in codes]] = True
    return table


_CLOUD, _USABLE = _table(CLOUD), _table(USABLE)


def _require_cells(shape: tuple[int, int], cell_px: int) -> None:
    if any(size % cell_px for size in shape):
        raise GridError(
            f"a mask of {shape[0]} × {shape[1]} pixels is not cut into whole cells of "
            f"{cell_px} px; give mask.guard.cell_px a divisor of grid.chunk_px"
        )


def _clear_cells(mask: Codes, without: Flags | None, settings: GuardSettings) -> Flags:
    """Return which cells (row, column) are clear on a date, some pixels left out."""
    edge = settings.cell_px
    _require_cells((mask.shape[0], mask.shape[1]), edge)
    seen, shown = mask != Code.NO_DATA, _USABLE[mask]
    asked = np.full((mask.shape[0] // edge, mask.shape[1] // edge), edge * edge)
    if without is not None:
        seen, shown = seen & ~without, shown & ~without
        asked = asked - _sums(without, edge)
    of_seen, of_shown = _sums(seen, edge), _sums(shown, edge)
    clear: Flags = (of_seen > 0) & (2 * of_seen >= asked)
    clear &= of_shown * _PER >= of_seen * round(settings.clear * _PER)
    return clear


def _sums(flags: Flags, edge: int) -> NDArray[np.int64]:
    """Count the true pixels of each cell."""
    rows, cols = flags.shape[0] // edge, flags.shape[1] // edge
    lines = flags.reshape(rows, edge, cols * edge).sum(axis=1, dtype=np.int32)
    counts: NDArray[np.int64] = lines.reshape(rows, cols, edge).sum(axis=2, dtype=np.int64)
    return counts


def _spread(cells: Flags, edge: int) -> Flags:
    """Repeat each cell's value over its pixels."""
    return np.repeat(np.repeat(cells, edge, axis=0), edge, axis=1)
