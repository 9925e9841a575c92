"""The geometric median over all bands, and the median deviations from it.

Definition: m = arg min over y of Σ_t ‖x_t − y‖₂, the bands of an observation together (Roberts, Mueller &
McIntyre 2017, doi:10.1109/TGRS.2017.2723896). It keeps the relations between bands, and half of the
observations may be wrong before it has to follow them.

Deviations, medians over t (Roberts, Dunn & Mueller 2018, doi:10.1109/IGARSS.2018.8518312):

- EMAD: ‖x_t − m‖₂, reflectance;
- SMAD: 1 − ⟨x_t, m⟩ / (‖x_t‖ ‖m‖), 0 to 2;
- BCMAD: Σ_b |x_t − m| / Σ_b |x_t + m|. Quotients with nothing below the line count as 0.

How it is found. T(y) = Σ w_t x_t / Σ w_t, w_t = 1/‖x_t − y‖, is Weiszfeld's step, for observations that
do not stand at y; with those that do, Vardi & Zhang's (2000, doi:10.1073/pnas.97.4.1423):
y + max(0, 1 − k/R) (T(y) − y), k their number and R = ‖Σ (x_t − y)/‖x_t − y‖‖ of the others. Steps start
at the median of each band and are accelerated by secants (Anderson 1965, depth 2).
What is returned is a step itself, a weighted mean of observations, hence in their convex hull.

Certificate: the residual max(0, R − k) / Σ 1/‖x_t − y‖ is the length of the step that is left, in
reflectance; m is the minimum where it is 0. It ends below `RESIDUAL`. Most pixels get there in a few
steps of float32; the others go on in float64, first from the test whether the nearest observation is
itself the minimum (R ≤ k).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.composite.observations import Composed, Observations, Plain
from pipeline.composite.ranks import middle, sort

RESIDUAL = 1e-5
"""Reflectance: length of the step that would still be taken, at most."""

_AIM = 0.8 * RESIDUAL
_NEAR = 3e-5
"""Reflectance: how far the minimum may be by the secants, or by Newton's step. Where the sum of distances is
flat, steps are short far from it."""
_AT = 1e-6
"""Reflectance: an observation so near stands at y."""
_SHORT = np.float32(_AT**2)
_BESIDE = 5e-4
"""Reflectance: so near an observation float32 cannot tell whether the minimum is there."""
_FIRST_STEPS = 6
_MORE_STEPS = 6
_CAREFUL_STEPS = 100
_SHARES = (1, 0.5, 0.25, 0.1)
"""Of Newton's step: it leads too far where an observation is near."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Geomedian(Plain):
    """The geometric median."""

    mads: bool = False
    """Whether to give the median deviations: layers ``emad``, ``smad``, ``bcmad``."""

    @property
    def layers(self) -> Mapping[str, str]:
        """See `pipeline.composite.observations.Method`."""
        if not self.mads:
            return {}
        return {
            "emad": "median Euclidean distance from the geometric median",
            "smad": "median spectral distance from the geometric median",
            "bcmad": "median Bray-Curtis distance from the geometric median",
        }

    def compose(self, seen: Observations) -> Composed:
        """See `pipeline.composite.observations.Method`."""
        bands = seen.bands.transpose(1, 0, 2)
        values = geomedian(bands)
        layers = median_deviations(bands, values) if self.mads else {}
        return Composed(values=values, layers=layers)


def geomedian(bands: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (B, N), the geometric median of (B, T, N)."""
    if bands.shape[2] == 1:
        # With one pixel einsum would add along time in another order.
        return geomedian(np.repeat(bands, 2, axis=2))[:, :1]
    ranked, n = sort(bands.transpose(1, 0, 2)), bands.shape[1]
    # Halves before the sum: that of two large numbers is beyond float32.
    half = np.float32(0.5)
    start: NDArray[np.float32] = ranked[(n - 1) // 2] * half + ranked[n // 2] * half
    if n <= 2:
        # Between two observations every point is a minimum.
        return start
    values, sure = _quick(bands, start)
    left = np.flatnonzero(~sure)
    if left.size:
        some = np.ascontiguousarray(bands[:, :, left].T, np.float64)
        values[:, left] = _careful(some, values[:, left].T.astype(np.float64)).T
    inside: NDArray[np.float32] = np.clip(values, ranked[0], ranked[-1])
    return inside


def _quick(
    bands: NDArray[np.float32], start: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Find most medians in float32; say (N,) of which it is sure."""
    # From the start on, numbers are small and squares precise.
    x = bands - start[:, np.newaxis]
    square = np.einsum("btn,btn->tn", x, x)
    moved, sure = _accelerated(x, square, np.zeros_like(start), _FIRST_STEPS)
    left = np.flatnonzero(~sure)
    if left.size > 1:
        x, square = np.take(x, left, axis=2), np.take(square, left, axis=1)
        moved[:, left], sure[left] = _accelerated(x, square, moved[:, left], _MORE_STEPS)
    return moved + start, sure


def _accelerated(
    x: NDArray[np.float32], square: NDArray[np.float32], y: NDArray[np.float32], steps: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Take steps from `y`; return the last, and of which pixels (N,) it was surely short enough."""
    weight = np.empty_like(square)
    secants = _Secants()
    for _ in range(steps - 1):
        to = _weiszfeld(x, square, y, weight)
        y = secants.end(to, to - y)
    to = _weiszfeld(x, square, y, weight)
    step = to - y
    # Beside an observation steps are short wherever the minimum is.
    apart = weight.max(axis=0) < np.float32(1 / _BESIDE)
    left = secants.end(to, step) - to
    near = _dot(left, left) < np.float32(_NEAR**2)
    return to, apart & near & (_dot(step, step) < np.float32(_AIM**2))


def _weiszfeld(
    x: NDArray[np.float32],
    square: NDArray[np.float32],
    y: NDArray[np.float32],
    weight: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Return T(y), (B, N); `square` is (T, N) ‖x‖², `weight` (T, N) is written over."""
    np.einsum("btn,bn->tn", x, y, out=weight)
    weight *= np.float32(-2)
    weight += square
    weight += np.einsum("bn,bn->n", y, y)
    np.maximum(weight, _SHORT, out=weight)
    np.sqrt(weight, out=weight)
    np.divide(np.float32(1), weight, out=weight)
    to: NDArray[np.float32] = np.einsum("tn,btn->bn", weight, x)
    to /= np.add.reduce(weight, axis=0)
    return to


class _Secants:
    """Where steps end, as the plane through the last three says, or the line through two (Anderson).

    Arrays are (B, N) float32.
    """

    def __init__(self) -> None:
        self._last: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None
        self._change: tuple[NDArray[np.float32], ...] | None = None

    def end(self, to: NDArray[np.float32], step: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return where to go on from: `to` is where the step leads."""
        if self._last is None:
            self._last = to, step
            # Plain steps fall short by about so much.
            first: NDArray[np.float32] = to + np.float32(0.4) * step
            return first
        moved, change = to - self._last[0], step - self._last[1]
        length = np.maximum(_dot(change, change), np.float32(1e-24))
        along = _dot(change, step) / length
        end: NDArray[np.float32]
        if self._change is None:
            end = to - along * moved
        else:
            moved_before, change_before, length_before = self._change
            cross, across = _dot(change, change_before), _dot(change_before, step)
            flat = length * length_before
            area = flat - cross * cross
            plane = area > np.float32(1e-3) * flat
            second = (length * across - cross * (along * length)) * plane
            second = (second / np.where(plane, area, np.float32(1))).astype(np.float32)
            along -= second * cross / length
            end = np.asarray(to - along * moved - second * moved_before, np.float32)
        self._last, self._change = (to, step), (moved, change, length)
        return end


def _dot(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    product: NDArray[np.float32] = np.einsum("bn,bn->n", one, other)
    return product


def _careful(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the medians (N, B) of (N, T, B) that are hard to find, from `y` on, by float64."""
    distance = np.sqrt(np.square(x - y[:, np.newaxis]).sum(axis=2))
    closest = np.take_along_axis(x, distance.argmin(axis=1)[:, np.newaxis, np.newaxis], 1)[:, 0]
    there = _Step(x, closest)
    found = closest.copy()
    # Not a number, where float32 overflowed, is not apart either.
    apart = distance.min(axis=1) >= _BESIDE
    y = np.where(apart[:, np.newaxis], y, there.to)
    left = np.flatnonzero(there.residual > 0)
    # Whether y is a plain step, a mean of observations, and so may be returned.
    stepped = np.zeros(len(y), np.bool_)
    for number in range(_CAREFUL_STEPS):
        if not left.size:
            break
        step = _Step(x[left], y[left])
        short = step.residual <= _AIM
        better, gain = step.better()
        short &= gain < _NEAR
        found[left] = np.where((short & stepped[left])[:, np.newaxis], y[left], step.to)
        # Two kinds of steps may go round in circles; plain ones only descend.
        plain = short | (number > _CAREFUL_STEPS // 4)
        y[left] = np.where(plain[:, np.newaxis], step.to, better)
        more = ~(short & stepped[left])
        stepped[left] = plain
        left = left[more]
    return found


class _Step:
    """Vardi & Zhang's step of (N, T, B) observations from (N, B), and Newton's."""

    def __init__(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        self._x, self._y = x, y
        off = x - y[:, np.newaxis]
        distance = np.sqrt(np.square(off).sum(axis=2))
        closest = distance.argmin(axis=1)[:, np.newaxis, np.newaxis]
        self._closest = np.take_along_axis(x, closest, axis=1)[:, 0]
        there = distance <= _AT
        self._weight = np.where(there, 0, 1 / np.where(there, 1, distance))
        self._total = np.maximum(self._weight.sum(axis=1), np.finfo(np.float64).tiny)
        self._unit = off * self._weight[..., np.newaxis]
        self._pull = self._unit.sum(axis=1)
        strength = np.sqrt(np.square(self._pull).sum(axis=1))
        self.residual = np.maximum(strength - there.sum(axis=1), 0) / self._total
        share = self.residual / np.where(strength == 0, 1, strength)
        self.to = y + self._pull * share[:, np.newaxis]

    def better(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the lowest of this step, shares of Newton's and the closest observation, and how far it is."""
        weighted = self._unit * self._weight[..., np.newaxis]
        # A little more on the diagonal: of observations on one line the bend is 0 along it.
        bend = self._total[:, np.newaxis, np.newaxis] * np.eye(self._x.shape[2]) * (1 + 1e-9)
        bend -= weighted.transpose(0, 2, 1) @ self._unit
        newton = np.linalg.solve(bend, self._pull[..., np.newaxis])[..., 0]
        shares = [self._y + share * newton for share in _SHARES]
        places = np.stack([self.to, self._closest, *shares])
        off = self._x - places[:, :, np.newaxis]
        cost = np.sqrt(np.square(off).sum(axis=3)).sum(axis=2)
        lowest = np.where(np.isnan(cost), np.inf, cost).argmin(axis=0)
        end = places[lowest, np.arange(len(newton))]
        return end, np.sqrt(np.square(end - self._y).sum(axis=1))


def _sum(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add along the first axis in its order, whatever the number of pixels."""
    total: NDArray[np.float64] = rows[0].copy()
    for row in rows[1:]:
        total += row
    return total


def median_deviations(
    bands: NDArray[np.float32], values: NDArray[np.float32]
) -> dict[str, NDArray[np.float64]]:
    """Return EMAD, SMAD and BCMAD, (N,) each, of (B, T, N) from (B, N)."""
    x, m = bands.astype(np.float64), values.astype(np.float64)[:, np.newaxis]
    off = x - m
    norms = np.sqrt(_sum(x * x)) * np.sqrt(_sum(m * m))
    each = {
        "emad": np.sqrt(_sum(off * off)),
        "smad": _quotient(norms - _sum(x * m), norms),
        "bcmad": _quotient(_sum(np.abs(off)), _sum(np.abs(x + m))),
    }
    return {name: middle(found.astype(np.float32)) for name, found in each.items()}


def _quotient(over: NDArray[np.float64], under: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(under == 0, 0, over / np.where(under == 0, 1, under))
