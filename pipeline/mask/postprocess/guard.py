"""Pixels that a model calls cloud whenever one can see that there is none: permanent false positives.

Bright roofs, quarries and beaches are cloud to a model on nearly every date, and would never be in a
composite. One mask cannot tell them from clouds; a year of masks can, because clouds move on. What
must not happen is that a place under real clouds becomes clear, so cloudiness alone is no sign: the
cloudiest coasts have cloud on nine dates of ten. The sign is a cloud that stands alone. The plane is
cut into square cells; on a date on which a cell is clear all around, a pixel of it under real cloud
is rare, and the same one date after date is not weather.

Definition. A *clear date* of a cell: at least half of it was seen, and at least the share `clear` of
what was seen is usable. A pixel is *guarded* if it was seen on at least `min_dates` clear dates of
its cell and was cloud (thin or thick) on at least the share `share` of them. On a date, the cloud of a
guarded pixel counts as clear if its cell is clear without the guarded pixels, and stays cloud if
it is not: under an overcast sky a roof is as hidden as the street.

Four things follow. Without clear dates nothing is guarded: neither in a truly cloudy season nor in a
desert or on a glacier that a model takes for cloud as a whole, which masks alone cannot tell from
one. At most (1 - clear) / share of a cell is guarded, 12.5 % with the defaults, if its pixels were
seen on the same dates; a quarry that fills more of one cell than of the next is guarded as far as
the line between them. Snow that is cloud to a model in winter and ground in summer is guarded by
neither, unless the history knows the winter alone. And where real clouds do stand alone, date after
date, over one place, as at a cooling tower or a summit that wears a cap, they are taken for ground.

The defaults. Sixty simulated dates at 10 m, as cloudy as central Europe, with roofs, quarries, a beach
and a salt flat; masked by DL-L8S2-UV, and by a threshold on blue that is wrong about all of them:

    cell_px  clear  share   roof pixels guarded   really cloud, of what is given back
                            DL      threshold     DL      threshold
    256      .9     .8      1456    9203          3.3 %   3.4 %     the defaults
    256      .9     .9       959    9007          3.5 %   3.4 %
    256      .8     .8      1405    9202          5.8 %   4.9 %
    128      .9     .8      1388    7459           .9 %   2.7 %
     64      .9     .8      1214    4060           .8 %   2.9 %

No other ground was guarded by any of these. Of what the models call clear anyway, 12.4 % and 6.6 % is
really cloud, and given back on all dates, not only where it stands alone, guarded cloud would be 33 %
and 39 %. A share of .8 stands for more: one clear date in five, to these models, is an overcast that
they miss, and roofs with it. Clouds that end at the same line every day, at a foot of mountains,
are guarded along it if that line varies by less than 250 m (standard deviation); with .8 as `clear`,
by less than 1 km.

The idea that cloudiness has no sharp edges but false positives do is that of Wilson, Parmentier and
Jetz 2014 (https://doi.org/10.1016/j.rse.2013.10.025), who find land cover in MODIS's mean cloudiness;
the rule is our own.

What becomes of a pixel depends on its own cell only. A cell must divide the chunk, on which tiles and
regions begin, so that tiles cut no cell and any tiles give the same result. Masks in the store stay as
the model made them, functions of one scene; the guard is a function of them, applied where they are
used.
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
"""Shares are compared in whole thousandths: counts by counts, without rounding."""


def history_of(period: Period, settings: GuardSettings) -> Period:
    """Return the span whose masks decide what is guarded in a period.

    It ends where the period ends, so that scenes to come change nothing that was composed, and
    holds the whole period however long it is.
    """
    earliest = period.end - timedelta(days=settings.history_days)
    return Period(start=min(period.start, earliest), end=period.end)


class Counts:
    """What the guard counts over dates; dates may come and go in any order.

    Adding and taking away are exact, so that a window that slides along the archive costs two masks
    a step. Holds 4 bytes a pixel, whatever the number of dates.
    """

    def __init__(self, shape: tuple[int, int], settings: GuardSettings) -> None:
        """Start without dates.

        Parameters
        ----------
        shape
            (y, x) of the masks to come, whole cells; their first pixel is the first of a cell.
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
        """Take a date away that was added."""
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
        (y, x) codes of `Code` each, in any order, all of one sensor: what is a roof to one model is
        none to another.
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
    """Return where a mask shows the ground, guarded clouds included.

    Parameters
    ----------
    mask
        (y, x) codes of `Code`, whole cells.
    guarded
        (y, x), as `persistent` finds them.
    settings
        Those by which they were found.

    Returns
    -------
    (y, x) bool: clear, water and snow; and of the clouds those that are guarded and alone, in a cell
    whose other pixels were mostly seen and are clear. Shadows stay shadows.
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
    """Give every pixel what its cell has."""
    return np.repeat(np.repeat(cells, edge, axis=0), edge, axis=1)
