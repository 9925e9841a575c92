"""The geometric median of pixels that are hard to find: compiled, in float64, a pixel at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.composite.kernels.compiled import compiled

Doubles = NDArray[np.float64]

AT = 1e-6
"""Reflectance: an observation so near stands at y."""
_STEPS = 100
_SHARES = (1.0, 0.5, 0.25, 0.1)
"""Of Newton's step: it leads too far where an observation is near."""


@compiled
def careful(x: Doubles, start: Doubles, aim: float, near: float, beside: float) -> Doubles:
    """Find geometric medians.

    Parameters
    ----------
    x
        (N, T, B) reflectance.
    start
        (N, B) where to begin.
    aim, near
        It ends at a plain step's end where the next one is shorter than `aim`, and `near` the best point known.
    beside
        So near an observation, what has been found is not begun with.

    Returns
    -------
    (N, B), each an observation or a plain step's end.
    """
    found = np.empty_like(start)
    for p in range(len(x)):
        _descend(x[p], start[p], found[p], (aim, near, beside))
    return found


@compiled
def _descend(
    x: Doubles, start: Doubles, found: Doubles, limits: tuple[float, float, float]
) -> None:
    aim, near, beside = limits
    n_bands = x.shape[1]
    pull, to, best = np.empty(n_bands), np.empty(n_bands), np.empty(n_bands)
    distance = np.empty(len(x))
    closest = _closest(x, start, distance)
    # Not a number, where float32 overflowed, is not apart either.
    apart = distance[closest] >= beside
    found[:] = x[closest]
    if _step(x, found, distance, pull, to) == 0.0:
        return
    y = start.copy() if apart else to.copy()
    # Whether y is a plain step's end, a mean of observations, and so may be given.
    stepped = False
    for number in range(_STEPS):
        residual = _step(x, y, distance, pull, to)
        gain = _better(x, y, to, distance, pull, best)
        short = residual <= aim and gain < near
        if short and stepped:
            found[:] = y
            return
        found[:] = to
        # Two kinds of steps may go round in circles; plain ones only descend.
        stepped = short or number > _STEPS // 4
        y[:] = to if stepped else best


@compiled
def _closest(x: Doubles, y: Doubles, distance: Doubles) -> int:
    """Fill in the distances of x (T, B) from y; return which is least."""
    closest = 0
    for t in range(len(x)):
        square = 0.0
        for b in range(len(y)):
            square += (x[t, b] - y[b]) ** 2
        distance[t] = np.sqrt(square)
        if distance[t] < distance[closest]:
            closest = t
    return closest


@compiled
def _step(x: Doubles, y: Doubles, distance: Doubles, pull: Doubles, to: Doubles) -> float:
    """Set `to` to Vardi & Zhang's step from y, and `pull` to the sum of unit vectors; return its length."""
    _closest(x, y, distance)
    pull[:] = 0.0
    total, there = 0.0, 0
    for t in range(len(x)):
        if distance[t] <= AT:
            there += 1
            continue
        total += 1.0 / distance[t]
        for b in range(len(y)):
            pull[b] += (x[t, b] - y[b]) / distance[t]
    strength = np.sqrt((pull * pull).sum())
    residual: float = max(strength - there, 0.0) / max(total, 1e-300)
    share = residual / strength if strength > 0.0 else 0.0
    for b in range(len(y)):
        to[b] = y[b] + pull[b] * share
    return residual


@compiled
def _better(
    x: Doubles, y: Doubles, to: Doubles, distance: Doubles, pull: Doubles, best: Doubles
) -> float:
    """Set `best` to the lowest of a plain step, shares of Newton's and the closest observation; return how far it is."""
    n_bands = len(y)
    bend = np.zeros((n_bands, n_bands))
    for t in range(len(x)):
        if distance[t] <= AT:
            continue
        weight = 1.0 / distance[t]
        for b in range(n_bands):
            off = (x[t, b] - y[b]) * weight
            # A little more on the diagonal: of observations on one line the bend is 0 along it.
            bend[b, b] += weight * (1.0 + 1e-9)
            for c in range(b + 1):
                bend[b, c] -= off * (x[t, c] - y[c]) * weight * weight
    closest = np.argmin(distance)
    newton = _solved(bend, pull)
    best[:] = to
    lowest = _cost(x, best)
    place = x[closest].copy()
    for share in (0.0, *_SHARES):
        if share > 0.0:
            place[:] = y + share * newton
        cost = _cost(x, place)
        if cost < lowest:
            lowest = cost
            best[:] = place
            if share == 1.0:
                break
    gain: float = np.sqrt(((best - y) ** 2).sum())
    return gain


@compiled
def _cost(x: Doubles, y: Doubles) -> float:
    total = 0.0
    for t in range(len(x)):
        square = 0.0
        for b in range(len(y)):
            square += (x[t, b] - y[b]) ** 2
        total += np.sqrt(square)
    return total


@compiled
def _solved(matrix: Doubles, right: Doubles) -> Doubles:
    """Solve a symmetric positive definite system, of which the lower half is read and written over (Cholesky)."""
    n, out = len(right), right.copy()
    for b in range(n):
        for c in range(b + 1):
            rest = matrix[b, c]
            for k in range(c):
                rest -= matrix[b, k] * matrix[c, k]
            matrix[b, c] = np.sqrt(rest) if b == c else rest / matrix[c, c]
    for b in range(n):
        for k in range(b):
            out[b] -= matrix[b, k] * out[k]
        out[b] /= matrix[b, b]
    for b in range(n - 1, -1, -1):
        for k in range(b + 1, n):
            out[b] -= matrix[k, b] * out[k]
        out[b] /= matrix[b, b]
    return out
