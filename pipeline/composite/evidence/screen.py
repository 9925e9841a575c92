"""Evidence from time: observations that their pixel's own history contradicts are put aside.

A mask sees one date, and misses clouds and shadows. They are bright or dark for one date; ground that has
changed (harvest, snow, flood, fire, a new roof) stays as it is for a while. So an observation is judged by
its neighbours in time: the nearest observations before and after it, of the same pixel, that stand.
Neighbours may be up to ``history_days`` before or after the period.

Definition, of the usable observations of a pixel in order of time, with b, n, s their reflectance in
`EVIDENCE`; all stand at first.

0. Where a mask that the product brings along calls observations cloud or shadow (``second_opinion``), one of them stands only if all of its
   one or two nearest neighbours that are not called so confirm ground: b ≤ m + .01 + .1 · max(m, 0), n ≥ .9 of theirs − .01 and
   s ≥ .9 of theirs − .005, with m their blue; without such a neighbour it is put aside.
1. From the brightest in blue to the darkest (of equals the earliest): one is put aside for cloud if b > m + .02
   + .25 · max(m, 0), with m the larger blue of its one or two neighbours. The brightest go first, so that
   two clouds in a row do not confirm each other unless they are alike.
2. In order of time: two neighbours that both stand are put aside together if b of each exceeds, by as much, the larger b of
   the one that stands before them and the one after them, unless both are snow: (b − s) / (b + s) ≥ .4.
3. From the darkest in near infrared to the brightest, of those that stand: one is put aside for shadow if n is
   below .8 of the neighbours' least n by more than .02, and s below .8 of their least s by more than .01. A
   harvest lowers n alone.
4. Where nothing of the period stands, the observation with the least blue does (the earliest of equals):
   a period never loses a pixel. That pixel is *suspect*, and so is one with fewer than ``min_dates``
   observations that stand, within the period and its history.

Six consequences. (1) What a later date confirms is ground, unless just two are bright and the ground is back as it was. (2) The last date before a long gap and the last of an
archive have one neighbour only; a change that just they show is put aside until a later date confirms it, or
stands as suspect where the period has nothing else. (3) A single observation is never put aside. (4) An
observation that is not usable changes nothing. (5) Haze of less than .02 stays. (6) A pixel depends on its own
observations alone, so that no partition shows.

The limits were chosen on the simulated archive of seed 7 with the masks of ukis-csmask, and judged on seeds 11 and 23;
step 2 was added when 23 showed two such clouds, and ``min_dates`` of 2, since two dates that stand agree, was chosen on all
three (`benchmarks/screening.py`, docs/composites.md). That clouds are outliers of a pixel's series is old (Hagolle
et al. 2010, doi:10.1016/j.rse.2010.03.002, compare blue with the last clear date; Tmask, Zhu & Woodcock 2014,
doi:10.1016/j.rse.2014.06.012, fits a model of the year); this rule is our own, because it needs four dates
and not a year.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pipeline import lazy
from pipeline.composite.blocks import NOT_BANDS
from pipeline.composite.evidence.states import KEPT, RESTORED, UNUSABLE
from pipeline.types import Period, ScreenSettings

EVIDENCE = ("blue", "nir", "swir16")
"""Roles that are judged, (blue, near infrared, shortwave infrared)."""

SUSPECT = {"suspect": "1 = rests on too little evidence: too few dates, or all were put aside"}
"""Layer of a screened composite -> its description."""

VERSION = 1
"""Of the definition; part of the fingerprint of screened composites."""

SECOND_OPINION = 1
"""Version of step 0; part of the fingerprint where there is a second opinion."""

_LIMITS = (0.02, 0.25, 0.02, 0.2, 0.01, 0.4, 0.01, 0.1, 0.01, 0.1, 0.005)
"""Of steps 1 to 3, and of step 0."""
_STRIP_PX = 4000
"""Fits a processor's cache, and is no power of two: dates would take each other's places there."""


def history_window(period: Period, settings: ScreenSettings) -> Period:
    """Return the span of time whose observations judge those of a period: it contains the period."""
    reach = timedelta(days=settings.history_days)
    return Period(start=period.start - reach, end=period.end + reach)


def screen(
    cube: xr.Dataset,
    usable: xr.DataArray,
    settings: ScreenSettings,
    history: tuple[xr.Dataset, xr.DataArray] | None = None,
) -> xr.Dataset:
    """Put aside the observations of a period that their pixel's history contradicts.

    Parameters
    ----------
    cube, usable
        As of `pipeline.composite.compose`: the scenes of one period, with the bands `EVIDENCE` at least.
        What is not finite in all bands is not usable. Instead of booleans `usable` may be uint8: `UNUSABLE`, `KEPT`, or, of what is
        usable, `BRIGHT` (`DARK`) where a second opinion calls it cloud (shadow).
    settings
        Its ``min_dates`` is used.
    history
        Cube and usable of scenes before and after the period, with the bands `EVIDENCE`.

    Returns
    -------
    On the cube's pixels, lazy where it is: ``kept`` (time, y, x), the usable observations that stand;
    ``state`` (time, y, x) uint8, what became of each (`pipeline.composite.evidence.states`), and
    ``history_state`` (history, y, x), the same of the history's scenes, in its order, where there is one;
    ``suspect`` (y, x) float32: 1 = rests on too little evidence, 0 = does not, NaN = no observation.

    Raises
    ------
    ValueError
        A band is missing.
    """
    roles = [str(name) for name in cube.data_vars if name not in NOT_BANDS]
    missing = [role for role in EVIDENCE if role not in roles]
    if missing:
        raise ValueError(
            f"screening needs the bands {', '.join(EVIDENCE)}: add {', '.join(missing)}"
        )
    parts = [(cube, usable, [*EVIDENCE, *(role for role in roles if role not in EVIDENCE)])]
    if history is not None and history[0].sizes["time"]:
        parts.append((*history, list(EVIDENCE)))
    times = [part["time"].to_numpy() for part, _, _ in parts]
    block = _Screening(
        order=np.argsort(np.concatenate(times), kind="stable"),
        n_inside=len(times[0]),
        n_bands=len(roles),
        min_dates=settings.min_dates,
    )
    arrays = [
        each.transpose("time", "y", "x").data
        for part, shown, names in parts
        for each in (*(part[name] for name in names), shown)
    ]
    n_times = len(block.order)
    made = lazy.over(block, arrays, n_times + 1, np.uint8)
    inside, after = slice(block.n_inside), slice(block.n_inside, -1)
    taken = {
        "kept": lazy.Taken(partial(_kept, inside), np.bool_, block.n_inside),
        "state": lazy.Taken(itemgetter(inside), np.uint8, block.n_inside),
        "history_state": lazy.Taken(itemgetter(after), np.uint8, n_times - block.n_inside),
        "suspect": lazy.Taken(_suspect, np.float32),
    }
    if len(parts) == 1:
        del taken["history_state"]
    dims = {"history_state": ("history", "y", "x"), "suspect": ("y", "x")}
    variables = {
        name: (dims.get(name, ("time", "y", "x")), each)
        for name, each in lazy.parts_of(made, taken).items()
    }
    coords = {name: coord for name, coord in cube.coords.items() if coord.dims != ("time",)}
    screened = xr.Dataset(variables, {**coords, "time": cube["time"]})
    screened["suspect"].attrs["long_name"] = SUSPECT["suspect"]
    return screened


_NOTHING = 2
"""Of `suspect` while it is a whole number: no observation."""


def _kept(rows: slice, made: NDArray[np.uint8]) -> NDArray[np.bool_]:
    state = made[rows]
    kept: NDArray[np.bool_] = (state == KEPT) | (state == RESTORED)
    return kept


def _suspect(made: NDArray[np.uint8]) -> NDArray[np.float32]:
    last = made[-1]
    return np.where(last == _NOTHING, np.float32(np.nan), last.astype(np.float32))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Screening:
    """Screens one block; picklable, so that Dask's workers can."""

    order: NDArray[np.intp]
    """(T,) positions by time, the scenes of the period first."""
    n_inside: int
    n_bands: int
    """Of the period's scenes; the first three are `EVIDENCE`."""
    min_dates: int

    def __call__(self, *arrays: NDArray[Any]) -> NDArray[np.uint8]:
        """Screen one block.

        Parameters
        ----------
        arrays
            (T, Y, X): the period's bands and usable, then, where there is one, the history's.

        Returns
        -------
        (T + 1, Y, X): the state of each observation, the period's first, and then `suspect`.
        """
        from pipeline.composite.evidence.gather import admit, gather  # noqa: PLC0415 -- numba takes long to import
        from pipeline.composite.evidence.spikes import judge  # noqa: PLC0415

        n_times, (_, ny, nx) = len(self.order), arrays[0].shape
        flat = [np.ascontiguousarray(each).reshape(len(each), ny * nx) for each in arrays]
        rows = np.argsort(self.order)
        parts = [(flat[: self.n_bands + 1], rows[: self.n_inside])]
        if len(flat) > self.n_bands + 1:
            parts.append((flat[self.n_bands + 1 :], rows[self.n_inside :]))
        of_period, limits = self.order < self.n_inside, np.array(_LIMITS)
        made = np.empty((n_times + 1, ny * nx), np.uint8)
        for first in range(0, ny * nx, _STRIP_PX):
            part = slice(first, min(first + _STRIP_PX, ny * nx))
            bands = np.empty((3, n_times, part.stop - first), np.float32)
            state = np.empty(bands.shape[1:], np.uint8)
            for given, to in parts:
                state[to] = given[-1][:, part]
                for band, row in zip(given, bands, strict=False):
                    gather(band, first, to, row, state)
                for band in given[3:-1]:
                    admit(band, first, to, state)
            suspect = judge(bands, state, of_period, limits, self.min_dates)
            made[:-1, part] = state[rows]
            seen = (state[of_period] != UNUSABLE).any(axis=0)
            made[-1, part] = np.where(seen, suspect, _NOTHING)
        return made.reshape(len(made), ny, nx)
