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
from array_api_compat import array_namespace, is_numpy_array
from numpy.typing import NDArray

from pipeline.composite import device
from pipeline.composite.observations import Composed, Observations, Plain
from pipeline.composite.ranks import middle, sort

RESIDUAL = 1e-5
"""Reflectance: length of the step that would still be taken, at most."""

_AIM = 0.8 * RESIDUAL
_NEAR = 3e-5
"""Reflectance: how far the minimum may be by the secants, or by Newton's step. Where the sum of distances is
flat, steps are short far from it."""
_BESIDE = 5e-4
"""Reflectance: so near an observation float32 cannot tell whether the minimum is there."""
_SHARE = 1e-3
"""Of the distance of the nearest observation: it holds on to what is found, so that steps are short far from the minimum."""
_FIRST_STEPS = 6
_MORE_STEPS = 6


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
        bands = array_namespace(seen.bands).permute_dims(seen.bands, (1, 0, 2))
        values = geomedian(bands)
        layers = median_deviations(bands, values) if self.mads else {}
        return Composed(values=values, layers=layers)


def geomedian(bands: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (B, N), the geometric median of (B, T, N)."""
    xp = array_namespace(bands)
    ranked, n = sort(xp.permute_dims(bands, (1, 0, 2))), bands.shape[1]
    # Halves before the sum: that of two large numbers is beyond float32.
    start: NDArray[np.float32] = ranked[(n - 1) // 2] * 0.5 + ranked[n // 2] * 0.5
    if n <= 2:
        # Between two observations every point is a minimum.
        return start
    values, sure = _quick(bands, start)
    (left,) = xp.nonzero(~sure)
    if len(left):
        values[:, left] = _slow(bands[:, :, left], values[:, left])
    inside: NDArray[np.float32] = xp.clip(values, ranked[0], ranked[-1])
    return inside


def _slow(bands: NDArray[np.float32], start: NDArray[np.float32]) -> NDArray[np.float32]:
    """Find the medians where it is a long way, on the processor: there are few, each of other steps."""
    from pipeline.composite.kernels.descent import careful  # noqa: PLC0415 -- numba takes long to import

    x, y = (np.ascontiguousarray(device.here(each).T, np.float64) for each in (bands, start))
    found = careful(x, y, _AIM, _NEAR, _BESIDE).T.astype(np.float32)
    there: NDArray[np.float32] = device.beside(bands, found)
    return there


def _quick(
    bands: NDArray[np.float32], start: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Find most medians in float32; say (N,) of which it is sure."""
    xp = array_namespace(bands)
    limits = np.array([_AIM**2, _NEAR**2, _BESIDE**2, _SHARE**2], np.float32)
    moved, sure = _accelerated(bands, start, xp.zeros_like(start), _FIRST_STEPS, limits)
    (left,) = xp.nonzero(~sure)
    if len(left):
        x, y, z = (each[..., left] for each in (bands, start, moved))
        moved[:, left], sure[left] = _accelerated(x, y, z, _MORE_STEPS, limits)
    return moved + start, sure


def _accelerated(
    bands: NDArray[np.float32],
    start: NDArray[np.float32],
    from_: NDArray[np.float32],
    n_steps: int,
    limits: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    if not is_numpy_array(bands):
        return device.accelerated(bands, start, from_, n_steps, limits)
    from pipeline.composite.kernels.steps import accelerated  # noqa: PLC0415 -- numba takes long to import

    x, y, z = (np.ascontiguousarray(each) for each in (bands, start, from_))
    return accelerated(x, y, z, n_steps, limits)


def _sum(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add along the first axis in its order, whatever the number of pixels."""
    total: NDArray[np.float64] = rows[0] * 1
    for row in rows[1:]:
        total += row
    return total


def median_deviations(
    bands: NDArray[np.float32], values: NDArray[np.float32]
) -> dict[str, NDArray[np.float64]]:
    """Return EMAD, SMAD and BCMAD, (N,) each, of (B, T, N) from (B, N)."""
    xp = array_namespace(bands)
    x, m = xp.astype(bands, xp.float64), xp.astype(values, xp.float64)[:, np.newaxis]
    off = x - m
    norms = xp.sqrt(_sum(x * x)) * xp.sqrt(_sum(m * m))
    each = {
        "emad": xp.sqrt(_sum(off * off)),
        "smad": _quotient(norms - _sum(x * m), norms),
        "bcmad": _quotient(_sum(xp.abs(off)), _sum(xp.abs(x + m))),
    }
    return {
        name: middle(xp.astype(found, xp.float32)[:, np.newaxis])[0]
        for name, found in each.items()
    }


def _quotient(over: NDArray[np.float64], under: NDArray[np.float64]) -> NDArray[np.float64]:
    xp = array_namespace(under)
    found: NDArray[np.float64] = xp.where(
        under == 0, 0.0, over / xp.where(under == 0, 1.0, under)
    )
    return found
