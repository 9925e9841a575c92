"""The best available pixel: the observation with the highest score, taken whole.

score = Σ w_i s_i / Σ w_i over the criteria that have a weight, each s_i from 0 to 1 (`scores`):

- ``doy``: Gaussian in days from the day of the year that is wanted, or from the period's middle;
- ``cloud``: sigmoid in metres to the nearest cloud or shadow;
- ``haze``: sigmoid in the haze optimised transform of blue and red;
- ``sensor``: as `Best.sensors` says, 1 where it says nothing;
- ``confidence``: the mask's, per cent / 100; 0 where none is recorded;
- ``view``: sigmoid in the view zenith angle; 0 where it is unknown.

Scores are compared in whole steps of 1e-6; the earliest of equals is taken.

Presets (`PRESETS`):

- ``griffiths2013`` (doi:10.1109/JSTARS.2012.2228167): day of the year and distance to clouds, 50 pixels of 30 m.
  Its score of the year is left out: a composite of ours lies within one period.
- ``white2014`` (doi:10.1080/07038992.2014.945827): sensor, day of the year, distance to clouds, equal
  weights. Its score of opacity is of LEDAPS' own layer; that of haze takes its place.
- ``force`` (Frantz et al. 2017, doi:10.1016/j.rse.2017.01.023; defaults of its level 3): day of the year 1,
  cloud .4 up to 3 000 m, haze .3; σ such that the score is .01 at 60 days.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from pipeline.composite import scores
from pipeline.composite.distances import at, highest
from pipeline.composite.observations import Composed, Observations, Plain

CRITERIA = ("doy", "cloud", "haze", "sensor", "confidence", "view")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """What a published method says: weights of `CRITERIA`, and where its scores turn."""

    weights: Mapping[str, float]
    doy_sigma_days: float = 38.0
    cloud_m: float = 1500.0
    haze_hot: float = -0.015
    view_deg: float = 7.5


PRESETS: Mapping[str, Preset] = {
    "griffiths2013": Preset(weights={"doy": 1.0, "cloud": 1.0}),
    "white2014": Preset(weights={"sensor": 1.0, "doy": 1.0, "cloud": 1.0, "haze": 1.0}),
    "force": Preset(
        weights={"doy": 1.0, "cloud": 0.4, "haze": 0.3},
        doy_sigma_days=60 / math.sqrt(2 * math.log(99)),
        cloud_m=3000.0,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Best(Plain):
    """The best available pixel. What is None is the preset's."""

    preset: str = "force"
    """One of `PRESETS`."""
    weights: Mapping[str, float] | None = None
    """Criterion -> weight, 0 or more; one that is not named has none."""
    target_doy: int | None = None
    """Day of the year that is wanted, 1 to 366; none: the middle of the period."""
    doy_sigma_days: float | None = None
    cloud_m: float | None = None
    """From how far a cloud does no harm."""
    haze_hot: float | None = None
    """Haze optimised transform (blue − red/2 − .08) of which the score is ½."""
    view_deg: float | None = None
    sensors: Mapping[str, float] = field(default_factory=dict)
    """Name of a sensor -> score, 0 to 1."""

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise ValueError(f"no preset {self.preset!r}: there are {', '.join(PRESETS)}")
        scores.require_doy(self.target_doy)
        weights = self._set.weights
        if unknown := sorted(set(weights) - set(CRITERIA)):
            raise ValueError(
                f"no criterion {', '.join(unknown)}: there are {', '.join(CRITERIA)}"
            )
        if min(weights.values(), default=0) < 0 or sum(weights.values()) <= 0:
            raise ValueError(f"weights must be 0 or more, one of them above 0: {dict(weights)}")
        if not all(0 <= score <= 1 for score in self.sensors.values()):
            raise ValueError(f"scores of sensors must be 0 to 1: {dict(self.sensors)}")

    @property
    def needs(self) -> Collection[str]:
        """See `pipeline.composite.observations.Method`."""
        of = {
            "doy": ("day",) if self.target_doy else ("day", "middle"),
            "cloud": ("to_cloud_m", "to_shadow_m"),
            "sensor": ("sensor",) if self.sensors else (),
            "confidence": ("confidence",),
            "view": ("view_deg",),
        }
        return tuple(name for each in self._weighted for name in of.get(each, ()))

    @property
    def wants(self) -> Collection[str]:
        """See `pipeline.composite.observations.Method`."""
        return ("blue", "red") if "haze" in self._weighted else ()

    @property
    def layers(self) -> Mapping[str, str]:
        """See `pipeline.composite.observations.Method`."""
        return {"score": "score of the observation, 0 to 1"}

    @property
    def reach_m(self) -> float:
        """See `pipeline.composite.observations.Plain`: where the score of distance ends."""
        return self._set.cloud_m if "cloud" in self._weighted else 0.0

    def compose(self, seen: Observations) -> Composed:
        """See `pipeline.composite.observations.Method`."""
        score = self.score(seen)
        chosen = highest(score)
        best = at(score[:, np.newaxis], chosen)[0]
        return Composed(values=at(seen.bands, chosen), chosen=chosen, layers={"score": best})

    def score(self, seen: Observations) -> NDArray[np.float64]:
        """Return (T, N) of the weighted scores, 0 to 1."""
        weighted = self._weighted
        xp = array_namespace(seen.bands)
        total: NDArray[np.float64] = xp.zeros_like(seen.bands[:, 0], dtype=xp.float64)
        for name, weight in weighted.items():
            total += weight * self._of(name, seen)
        return total / sum(weighted.values())

    def _of(self, criterion: str, seen: Observations) -> NDArray[np.float64]:
        settings, xp = self._set, array_namespace(seen.bands)
        if criterion == "doy":
            return scores.of_date(
                scores.days_off(seen, self.target_doy), settings.doy_sigma_days
            )
        if criterion == "cloud":
            assert seen.to_cloud_m is not None
            assert seen.to_shadow_m is not None
            metres = xp.minimum(seen.to_cloud_m, seen.to_shadow_m)
            return scores.of_distance(metres, settings.cloud_m)
        if criterion == "haze":
            return scores.of_haze(seen, settings.haze_hot)
        if criterion == "sensor":
            return scores.by_sensor(seen, self.sensors)
        if criterion == "confidence":
            assert seen.confidence is not None
            confidence: NDArray[np.float64] = xp.astype(seen.confidence, xp.float64) / 100
            return confidence
        assert seen.view_deg is not None
        return scores.of_view(seen.view_deg, settings.view_deg)

    @property
    def _set(self) -> Preset:
        """Return the preset with what was set by hand."""
        preset = PRESETS[self.preset]
        own = {each.name: getattr(self, each.name) for each in fields(Preset)}
        return Preset(
            **{
                name: getattr(preset, name) if value is None else value
                for name, value in own.items()
            }
        )

    @property
    def _weighted(self) -> dict[str, float]:
        return {name: weight for name, weight in self._set.weights.items() if weight > 0}
