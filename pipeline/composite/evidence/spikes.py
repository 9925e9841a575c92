"""Which observations stand out of their pixel's own series: compiled, a pixel at a time.

Numbers are compared and added in a fixed order without fused or reordered arithmetic, so that every
machine and any partition decides alike.

What stands of a pixel is packed by time: the neighbours of observation k = 1 … n are k − 1 and k + 1, and at either
end stands one that nothing is compared with. Until one is put aside nobody's neighbours change, so one look at all
of them tells whether any will be; afterwards only two are looked at again. Pixels in which nothing comes near the limits
are told by such a look at many of them at a time, and are done.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.composite.evidence.look import look_over
from pipeline.composite.evidence.states import BRIGHT, DARK, KEPT, RESTORED, UNUSABLE
from pipeline.composite.kernels.compiled import compiled

Series = NDArray[np.float64]
"""(4, T + 2): blue, near infrared, shortwave infrared and the time of what stands."""


@compiled
def judge(
    bands: NDArray[np.float32],
    state: NDArray[np.uint8],
    inside: NDArray[np.bool_],
    limits: NDArray[np.float64],
    min_dates: int,
) -> NDArray[np.bool_]:
    """Judge the observations of some pixels; see `pipeline.composite.evidence.screen` for the definition.

    Parameters
    ----------
    bands
        (3, T, N) blue, near infrared and shortwave infrared reflectance, by time; finite where usable.
    state
        (T, N) `UNUSABLE`, `KEPT`, or what a second opinion calls the observation: `BRIGHT` (cloud) or `DARK` (shadow). Written:
        states of `pipeline.composite.evidence.states`.
    inside
        (T,) which observations are of the period.
    limits
        By how much an observation must stand out: of blue the least and the share of the neighbours'
        blue; of near infrared the least and the share; of shortwave infrared the least; and from which
        (blue − swir) / (blue + swir) on a pair is snow. Then the first five again, for what is doubted.
    min_dates
        A pixel is suspect with fewer observations that stand.

    Returns
    -------
    (N,) whether a pixel is suspect.
    """
    n_times = len(state)
    # What is usable stands, where nothing is put aside.
    count, odd = look_over(bands, state, limits.astype(np.float32))
    suspect = (count > 0) & (count < min_dates)
    series, flags = np.empty((4, n_times + 2)), np.zeros(n_times + 2, np.bool_)
    series[0, 0], series[1, 0], series[2, 0] = _END
    became = np.empty(n_times, np.uint8)
    for p in np.flatnonzero(odd):
        n, doubted = 0, False
        for t in range(n_times):
            # Without a branch, which a processor would guess wrong half of the time.
            series[0, n + 1], series[1, n + 1] = bands[0, t, p], bands[1, t, p]
            series[2, n + 1], series[3, n + 1] = bands[2, t, p], t
            became[t] = state[t, p]
            n += became[t] == KEPT
            doubted |= became[t] > KEPT
        series[0, n + 1], series[1, n + 1], series[2, n + 1] = _END
        if doubted:
            n = _confirm(bands, p, series, n, limits[6:], became)
        n = _drop(BRIGHT, series, n, flags, limits, became)
        n = _drop_bright_pairs(series, n, flags, limits, became)
        n = _drop(DARK, series, n, flags, limits, became)
        settled = _settle(bands[0], inside, became, p)
        suspect[p] = settled or 0 < n < min_dates
        for t in range(n_times):
            state[t, p] = became[t]
    return suspect


_END = (-np.inf, np.inf, np.inf)
"""Blue, near and shortwave infrared that nothing is compared with."""


@compiled
def _confirm(
    bands: NDArray[np.float32],
    p: np.intp,
    series: Series,
    n: int,
    limits: NDArray[np.float64],
    became: NDArray[np.uint8],
) -> int:
    """Let what is doubted stand where the undoubted before and after it confirm it; return how many stand."""
    k = 0
    for t in range(len(became)):
        # The undoubted 1 … k are earlier.
        while k < n and series[3, k + 1] < t:
            k += 1
        if became[t] > KEPT:
            blue, nir, swir = bands[0, t, p], bands[1, t, p], bands[2, t, p]
            alike = n > 0
            for j in range(max(k, 1), min(k + 1, n) + 1):
                alike &= blue <= _above(series[0, j], limits)
                alike &= nir >= series[1, j] * (1.0 - limits[3]) - limits[2]
                alike &= swir >= series[2, j] * (1.0 - limits[3]) - limits[4]
            if alike:
                became[t] = KEPT
    n = 0
    for t in range(len(became)):
        if became[t] == KEPT:
            for row in range(3):
                series[row, n + 1] = bands[row, t, p]
            series[3, n + 1] = t
            n += 1
    series[0, n + 1], series[1, n + 1], series[2, n + 1] = _END
    return n


@compiled
def _drop(
    kind: int,
    series: Series,
    n: int,
    flags: NDArray[np.bool_],
    limits: NDArray[np.float64],
    became: NDArray[np.uint8],
) -> int:
    """Put aside for cloud, from the brightest on, or for shadow, from the darkest on; return how many stand."""
    row, sign, some = (0, 1.0, False) if kind == BRIGHT else (1, -1.0, False)
    for k in range(1, n + 1):
        flags[k] = _stands_out(kind, series, k, limits)
        some |= flags[k]
    while some:
        k = 0
        for other in range(1, n + 1):
            if flags[other] and (k == 0 or sign * series[row, other] > sign * series[row, k]):
                k = other
        if k == 0:
            break
        value = sign * series[row, k]
        n = _remove(kind, series, k, n, flags, became)
        # What came before it in this order has been judged.
        if k > 1 and sign * series[row, k - 1] < value:
            flags[k - 1] = _stands_out(kind, series, k - 1, limits)
        if k <= n and sign * series[row, k] <= value:
            flags[k] = _stands_out(kind, series, k, limits)
    return n


@compiled
def _remove(
    kind: int,
    series: Series,
    k: int,
    n: int,
    flags: NDArray[np.bool_],
    became: NDArray[np.uint8],
) -> int:
    """Take observation `k` out of those that stand; return how many are left."""
    became[int(series[3, k])] = kind
    for j in range(k, n + 1):
        flags[j] = flags[j + 1]
        for row in range(4):
            series[row, j] = series[row, j + 1]
    return n - 1


@compiled
def _stands_out(kind: int, series: Series, k: int, limits: NDArray[np.float64]) -> bool:
    """Return whether an observation is brighter or darker than its neighbours; not where it has none."""
    if kind == BRIGHT:
        level = max(series[0, k - 1], series[0, k + 1])
        bright: bool = (series[0, k] > _above(level, limits)) & (level > -np.inf)
        return bright
    share = 1.0 - limits[3]
    nir = min(series[1, k - 1], series[1, k + 1])
    swir = min(series[2, k - 1], series[2, k + 1])
    dark: bool = (series[1, k] < nir * share - limits[2]) & (nir < np.inf)
    dark &= series[2, k] < swir * share - limits[4]
    return dark


@compiled
def _above(level: float, limits: NDArray[np.float64]) -> float:
    """Return the blue from which on an observation stands out of a level."""
    limit: float = level + limits[0] + limits[1] * max(level, 0.0)
    return limit


@compiled
def _drop_bright_pairs(
    series: Series,
    n: int,
    flags: NDArray[np.bool_],
    limits: NDArray[np.float64],
    became: NDArray[np.uint8],
) -> int:
    blue, k = series[0], 2
    while k + 2 <= n:
        limit = _above(max(blue[k - 1], blue[k + 2]), limits)
        out = min(blue[k], blue[k + 1]) > limit
        if out and min(_snow(series, k), _snow(series, k + 1)) < limits[5]:
            n = _remove(BRIGHT, series, k, n, flags, became)
            n = _remove(BRIGHT, series, k, n, flags, became)
        else:
            k += 1
    return n


@compiled
def _snow(series: Series, k: int) -> float:
    blue, swir = series[0, k], series[2, k]
    return (blue - swir) / (blue + swir) if blue + swir > 0.0 else 0.0


@compiled
def _settle(
    blue: NDArray[np.float32],
    inside: NDArray[np.bool_],
    became: NDArray[np.uint8],
    p: np.intp,
) -> bool:
    """Where nothing of the period stands, let the one least blue stand; return whether that was so."""
    best = -1
    for t in range(len(became)):
        if inside[t] and became[t] != UNUSABLE:
            if became[t] == KEPT:
                return False
            if best < 0 or blue[t, p] < blue[best, p]:
                best = t
    if best >= 0:
        became[best] = RESTORED
    return best >= 0
