"""Methods that take one observation whole: its spectrum was seen, on one day, all bands together.

``first``, ``latest``: the earliest or the latest usable one.

``max``: the one with the greatest spectral index, by its name in Awesome Spectral Indices (Montero et al.
2023, doi:10.1038/s41597-023-02096-0; the package spyndex), e.g. NDVI (Holben 1986,
doi:10.1080/01431168608948945). Indices are compared in whole steps of 1e-6; an observation whose index
is not a number comes last.

``medoid``: arg min over the observations s of Σ ‖x_s − x_i‖ over all i (Flood 2013,
doi:10.3390/rs5126481), exactly: all pairs of n observations. Distances are compared in whole numbers of
2⁻¹⁰ · 1.25e-6 of reflectance. Where one half of the observations may be wrong, it is still one of the
others.

``nearest``: the one nearest to the median, to a percentile or to the geometric median (least sum of
squares over the bands). To the median it is what S2Mosaic and others call a medoid; it costs n
distances, not n².

Of equals, all take the earliest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from pipeline.composite import indices
from pipeline.composite.distances import STEPS_PER_UNIT, at, highest, nearest
from pipeline.composite.geomedian import Geomedian
from pipeline.composite.observations import Composed, Floats, Observations, Plain
from pipeline.composite.ranks import percentile

_PARTS = 1024
"""Of a step: how finely distances are added up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class First(Plain):
    """The earliest observation."""

    def compose(self, seen: Observations) -> Composed:
        """See `pipeline.composite.observations.Method`."""
        return _take(seen, _all_at(0, seen))


@dataclass(frozen=True, slots=True, kw_only=True)
class Latest(Plain):
    """The latest observation."""

    def compose(self, seen: Observations) -> Composed:
        """See `pipeline.composite.observations.Method`."""
        return _take(seen, _all_at(len(seen.usable) - 1, seen))


@dataclass(frozen=True, slots=True, kw_only=True)
class Max(Plain):
    """The observation with the greatest index."""

    index: str = "NDVI"
    """Name in Awesome Spectral Indices."""
    constants: Mapping[str, float] = field(default_factory=dict)
    """Of the index, where they are not the usual ones, e.g. ``{L: 0.5}``."""

    def __post_init__(self) -> None:
        indices.require(self.index, self.constants)

    @property
    def wants(self) -> Collection[str]:
        """See `pipeline.composite.observations.Method`."""
        return indices.roles(self.index)

    @property
    def layers(self) -> Mapping[str, str]:
        """See `pipeline.composite.observations.Method`."""
        return {"score": f"{self.index} of the observation"}

    def compose(self, seen: Observations) -> Composed:
        """See `pipeline.composite.observations.Method`."""
        value = indices.compute(self.index, seen.band, self.constants)
        return _take(seen, highest(value), value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Medoid(Plain):
    """The observation nearest to all others."""

    def compose(self, seen: Observations) -> Composed:
        """See `pipeline.composite.observations.Method`."""
        xp = array_namespace(seen.bands)
        steps = xp.round(xp.astype(seen.bands, xp.float64) * STEPS_PER_UNIT)
        total = xp.zeros_like(steps[:, 0])
        for t in range(len(steps) - 1):
            off = steps[t + 1 :] - steps[t]
            off *= off
            # Whole numbers, exactly added in whatever order.
            distance = xp.round(xp.sqrt(xp.sum(off, axis=1)) * _PARTS)
            total[t + 1 :] += distance
            total[t] += xp.sum(distance, axis=0)
        return _take(seen, xp.argmin(total, axis=0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest(Plain):
    """The observation nearest to the median, a percentile or the geometric median."""

    to: Literal["median", "percentile", "geomedian"] = "median"
    q: float = 50.0
    """Which percentile, 0 to 100."""

    def __post_init__(self) -> None:
        if self.to not in ("median", "percentile", "geomedian"):
            raise ValueError(
                f"nearest to {self.to!r}: expected median, percentile or geomedian"
            )
        if not 0 <= self.q <= 100:
            raise ValueError(f"percentile q is {self.q}: expected 0 to 100")

    def compose(self, seen: Observations) -> Composed:
        """See `pipeline.composite.observations.Method`."""
        return _take(seen, nearest(seen.bands, self._target(seen)))

    def _target(self, seen: Observations) -> Floats:
        if self.to == "geomedian":
            return Geomedian().compose(seen).values
        return percentile(seen.bands, self.q if self.to == "percentile" else 50.0)


def _all_at(time: int, seen: Observations) -> NDArray[np.intp]:
    xp = array_namespace(seen.bands)
    found: NDArray[np.intp] = xp.full_like(seen.bands[0, 0], time, dtype=xp.int64)
    return found


def _take(
    seen: Observations, chosen: NDArray[np.intp], score: NDArray[np.float64] | None = None
) -> Composed:
    layers = {}
    if score is not None:
        layers["score"] = at(score[:, np.newaxis], chosen)[0]
    return Composed(values=at(seen.bands, chosen), chosen=chosen, layers=layers)
