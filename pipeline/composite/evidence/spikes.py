"""Which observations stand out of their pixel's own series: compiled, a pixel at a time.

Numbers are compared and added in a fixed order without fused or reordered arithmetic, so that every
machine and any partition decides alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., object])

UNUSABLE, KEPT, BRIGHT, DARK = range(4)
"""What becomes of an observation: was not usable; stands; is put aside for cloud, or for shadow."""


def compiled(function: F) -> F:
    """Compile a function when it is first called, and keep the result on disk for the next process."""
    try:
        return cast("F", njit(cache=True, nogil=True)(function))
    except RuntimeError:
        # No folder can be written, as in a container whose file system is read-only: each process compiles anew.
        return cast("F", njit(nogil=True)(function))


@compiled
def judge(
    bands: NDArray[np.float32],
    usable: NDArray[np.bool_],
    inside: NDArray[np.bool_],
    limits: NDArray[np.float64],
    min_dates: int,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Judge the observations of some pixels; see `pipeline.composite.evidence.screen` for the definition.

    Parameters
    ----------
    bands
        (3, T, N) blue, near infrared and shortwave infrared reflectance, by time; finite where usable.
    usable
        (T, N).
    inside
        (T,) which observations are of the period.
    limits
        By how much an observation must stand out: of blue the least and the share of the neighbours'
        blue; of near infrared the least and the share; of shortwave infrared the least; and from which
        (blue − swir) / (blue + swir) on a pair is snow.
    min_dates
        A pixel is suspect with fewer observations that stand.

    Returns
    -------
    (T, N) `UNUSABLE`, `KEPT`, `BRIGHT` or `DARK`; and (N,) whether a pixel is suspect.
    """
    n_times, n_px = usable.shape
    state = np.zeros((n_times, n_px), np.uint8)
    suspect = np.zeros(n_px, np.bool_)
    seen = np.empty(n_times, np.int64)
    for p in range(n_px):
        n = 0
        for t in range(n_times):
            if usable[t, p]:
                seen[n] = t
                state[t, p] = KEPT
                n += 1
        _drop_bright(state, bands[0], seen[:n], limits, p)
        _drop_bright_pairs(state, bands, seen[:n], limits, p)
        _drop_dark(state, bands, seen[:n], limits, p)
        few = n > 0 and _standing(state, seen[:n], p) < min_dates
        suspect[p] = _settle(state, bands[0], inside, seen[:n], p) or few
    return state, suspect


@compiled
def _drop_bright(
    state: NDArray[np.uint8],
    blue: NDArray[np.float32],
    seen: NDArray[np.int64],
    limits: NDArray[np.float64],
    p: int,
) -> None:
    done = np.zeros(len(seen), np.bool_)
    least = np.inf
    for t in seen:
        least = min(least, float(blue[t, p]))
    # No level is below the least blue: what does not stand out of it stands out of none.
    floor = _above(least, limits)
    for _ in seen:
        k = -1
        for other, t in enumerate(seen):
            if not done[other] and (k < 0 or blue[t, p] > blue[seen[k], p]):
                k = other
        if float(blue[seen[k], p]) <= floor:
            return
        done[k] = True
        level = -np.inf
        for t in _neighbours(state, seen, k, p):
            if t >= 0:
                level = max(level, float(blue[t, p]))
        # Nothing stands out where there is no neighbour.
        if level > -np.inf and float(blue[seen[k], p]) > _above(level, limits):
            state[seen[k], p] = BRIGHT


@compiled
def _above(level: float, limits: NDArray[np.float64]) -> float:
    """Return the blue from which on an observation stands out of a level."""
    limit: float = level + limits[0] + limits[1] * max(level, 0.0)
    return limit


@compiled
def _drop_bright_pairs(
    state: NDArray[np.uint8],
    bands: NDArray[np.float32],
    seen: NDArray[np.int64],
    limits: NDArray[np.float64],
    p: int,
) -> None:
    blue, swir = bands[0], bands[2]
    before, first, second = -1, -1, -1
    for t in seen:
        if state[t, p] != KEPT:
            continue
        if before >= 0:
            limit = _above(max(float(blue[before, p]), float(blue[t, p])), limits)
            low = min(float(blue[first, p]), float(blue[second, p]))
            snow = min(
                _snow(float(blue[first, p]), float(swir[first, p])),
                _snow(float(blue[second, p]), float(swir[second, p])),
            )
            if low > limit and snow < limits[5]:
                state[first, p] = BRIGHT
                state[second, p] = BRIGHT
                # What stood before them now stands before this one.
                second, first = before, -1
        before, first, second = first, second, t


@compiled
def _snow(blue: float, swir: float) -> float:
    total = blue + swir
    return (blue - swir) / total if total > 0.0 else 0.0


@compiled
def _drop_dark(
    state: NDArray[np.uint8],
    bands: NDArray[np.float32],
    seen: NDArray[np.int64],
    limits: NDArray[np.float64],
    p: int,
) -> None:
    nir, swir = bands[1], bands[2]
    done = np.zeros(len(seen), np.bool_)
    most = -np.inf
    for t in seen:
        most = max(most, float(nir[t, p]))
    # As for clouds: what is not dark beside the brightest is dark beside none.
    ceiling = most * (1.0 - limits[3]) - limits[2]
    for _ in seen:
        k = -1
        for other, t in enumerate(seen):
            first = k < 0 or nir[t, p] < nir[seen[k], p]
            if not done[other] and state[t, p] == KEPT and first:
                k = other
        if k < 0 or float(nir[seen[k], p]) >= ceiling:
            return
        done[k] = True
        low_nir, low_swir = np.inf, np.inf
        for t in _neighbours(state, seen, k, p):
            if t >= 0:
                low_nir = min(low_nir, float(nir[t, p]))
                low_swir = min(low_swir, float(swir[t, p]))
        dark_nir = float(nir[seen[k], p]) < low_nir * (1.0 - limits[3]) - limits[2]
        dark_swir = float(swir[seen[k], p]) < low_swir * (1.0 - limits[3]) - limits[4]
        if low_nir < np.inf and dark_nir and dark_swir:
            state[seen[k], p] = DARK


@compiled
def _neighbours(
    state: NDArray[np.uint8], seen: NDArray[np.int64], k: int, p: int
) -> tuple[int, int]:
    """Return the times of the nearest standing observations before and after one, -1 = none."""
    before, after = -1, -1
    for other in range(k - 1, -1, -1):
        if state[seen[other], p] == KEPT:
            before = seen[other]
            break
    for other in range(k + 1, len(seen)):
        if state[seen[other], p] == KEPT:
            after = seen[other]
            break
    return before, after


@compiled
def _standing(state: NDArray[np.uint8], seen: NDArray[np.int64], p: int) -> int:
    count = 0
    for t in seen:
        if state[t, p] == KEPT:
            count += 1
    return count


@compiled
def _settle(
    state: NDArray[np.uint8],
    blue: NDArray[np.float32],
    inside: NDArray[np.bool_],
    seen: NDArray[np.int64],
    p: int,
) -> bool:
    """Where nothing of the period stands, let the one least blue stand; return whether that was so."""
    best = -1
    for t in seen:
        if inside[t]:
            if state[t, p] == KEPT:
                return False
            if best < 0 or blue[t, p] < blue[best, p]:
                best = t
    if best >= 0:
        state[best, p] = KEPT
    return best >= 0
