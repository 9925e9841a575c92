"""Means: plain, and weighted by how far an observation is from clouds and from the date that is wanted.

``mean``: band by band, the sum of n usable observations, in order of time and in float64, over n.

``weighted_mean``: Σ w·x / Σ w with w = w_date · w_cloud · w_sensor, the weights of WASP (Hagolle et al.,
"Sentinel-2 Level 3A" of Theia, doi:10.5281/zenodo.1401360), as continuous functions:

- w_date = 1 − (1 − `date_least`) · min(|Δ| / `half_days`, 1), Δ in days from the middle of the period
  or from `target_doy`. WASP's own falls from 1 to .5 at 23 days.
- w_cloud = (1 − g(480 m)) · (1 − g(2 400 m)). WASP blurs the cloud mask by Gaussians of 2 and 10 pixels of
  240 m; at a distance d from a straight edge a Gaussian of σ leaves g = erfc(d / (σ√2)) / 2, which is
  what is taken here, so that weights do not depend on pixels. What is farther than 7 200 m, three times the wider σ,
  counts as no cloud.
- w_sensor by `sensors`, 1 where a sensor is not named.

WASP's weight of aerosol needs an optical thickness, which surface reflectance does not carry here.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from array_api_compat import array_namespace, is_numpy_array
from numpy.typing import NDArray
from scipy.special import erfc

from pipeline.composite.observations import Composed, Observations, Plain
from pipeline.composite.scores import by_sensor, days_off, require_doy

_BLUR_M = (480.0, 2400.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean(Plain):
    """The mean of each band."""

    def compose(self, seen: Observations) -> Composed:
        """See `pipeline.composite.observations.Method`."""
        xp = array_namespace(seen.bands)
        total = xp.zeros_like(seen.bands[0], dtype=xp.float64)
        for band in seen.bands:
            total += band
        return Composed(values=total / len(seen.bands))


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedMean(Plain):
    """The mean of each band, weighted by date, distance to clouds and sensor."""

    target_doy: int | None = None
    """Day of the year that is wanted, 1 to 366; none: the middle of the period."""
    half_days: float = 23.0
    date_least: float = 0.5
    """Weight at `half_days` and beyond, above 0."""
    sensors: Mapping[str, float] = field(default_factory=dict)
    """Name of a sensor -> weight, above 0."""

    def __post_init__(self) -> None:
        if self.half_days <= 0 or not 0 < self.date_least <= 1:
            raise ValueError(
                f"half_days {self.half_days} must be above 0, date_least {self.date_least} above 0 and at most 1"
            )
        require_doy(self.target_doy)
        if min(self.sensors.values(), default=1) <= 0:
            raise ValueError(f"weights of sensors must be above 0: {dict(self.sensors)}")

    @property
    def needs(self) -> Collection[str]:
        """See `pipeline.composite.observations.Method`."""
        middle = () if self.target_doy else ("middle",)
        return ("day", "to_cloud_m", *middle, *(("sensor",) if self.sensors else ()))

    @property
    def reach_m(self) -> float:
        """See `pipeline.composite.observations.Plain`: beyond, a cloud would take .0013 of the weight."""
        return 3 * _BLUR_M[-1]

    def compose(self, seen: Observations) -> Composed:
        """See `pipeline.composite.observations.Method`."""
        xp = array_namespace(seen.bands)
        total = xp.zeros_like(seen.bands[0], dtype=xp.float64)
        weights = xp.zeros_like(total[0])
        for band, weight in zip(seen.bands, self._weights(seen), strict=True):
            total += band * weight
            weights += weight
        low, high = xp.min(seen.bands, axis=0), xp.max(seen.bands, axis=0)
        # A rounded weight more or less must not lead out of what was seen.
        return Composed(values=xp.clip(total / weights, low, high))

    def _weights(self, seen: Observations) -> NDArray[np.float64]:
        assert seen.to_cloud_m is not None
        xp = array_namespace(seen.bands)
        off = xp.clip(xp.abs(days_off(seen, self.target_doy)) / self.half_days, max=1.0)
        metres = xp.astype(seen.to_cloud_m, xp.float64)
        weight = 1 - (1 - self.date_least) * off
        for blur_m in _BLUR_M:
            weight *= 1 - _erfc(metres / (blur_m * math.sqrt(2))) / 2
        weights: NDArray[np.float64] = weight * by_sensor(seen, self.sensors)
        return weights


def _erfc(x: NDArray[np.float64]) -> NDArray[np.float64]:
    # No function of the array standard: torch has it under the same name, numpy has none.
    found: NDArray[np.float64] = erfc(x) if is_numpy_array(x) else array_namespace(x).erfc(x)
    return found
