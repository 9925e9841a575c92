"""Scores of single observations, each from 0 (useless) to 1 (as good as can be)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pipeline.composite.observations import Observations

_YEAR_DAYS = 365.25


def require_doy(day: int | None) -> None:
    """Refuse, with `ValueError`, what is no day of a year."""
    if day is not None and not 1 <= day <= 366:
        raise ValueError(f"target_doy is {day}: expected a day of the year, 1 to 366")


def days_off(seen: Observations, target_doy: int | None) -> NDArray[np.float64]:
    """Return (T, N) days from the wanted day of the year, −183 to 183; none: from the period's middle."""
    assert seen.day is not None
    if target_doy is None:
        assert seen.middle is not None
        return seen.day.astype(np.float64) - seen.middle
    date = seen.day.astype("datetime64[D]")
    doy = (date - date.astype("datetime64[Y]")).astype(np.float64) + 1
    off: NDArray[np.float64] = (doy - target_doy + _YEAR_DAYS / 2) % _YEAR_DAYS - _YEAR_DAYS / 2
    return off


def of_date(days: NDArray[np.float64], sigma_days: float) -> NDArray[np.float64]:
    """Return exp(−½ (d/σ)²), the Gaussian of Griffiths 2013 and White 2014 with 1 at its top."""
    scaled = days / sigma_days
    return np.exp(-0.5 * scaled * scaled)


def of_distance(metres: NDArray[np.float32], required_m: float) -> NDArray[np.float64]:
    """Return 1 / (1 + exp(−10/r · (min(d, r) − r/2))): .007 in a cloud, .993 from r metres on.

    The sigmoid of Griffiths 2013 (−0.2 · (min(d, 50) − 25), of pixels) and FORCE, in metres.
    """
    return _sigmoid((np.minimum(metres, required_m) - required_m / 2) * (10 / required_m))


def of_haze(seen: Observations, threshold: float) -> NDArray[np.float64]:
    """Return 1 / (1 + exp(10/.02 · (HOT − threshold))) with HOT = blue − red/2 − .08.

    The haze optimised transform of Zhang 2002 (doi:10.1016/S0034-4257(02)00034-2) as FORCE scores it, in
    reflectance.
    """
    hot = seen.band("blue").astype(np.float64) - 0.5 * seen.band("red") - 0.08
    return _sigmoid((threshold - hot) * (10 / 0.02))


def of_view(degrees: NDArray[np.float32], required_deg: float) -> NDArray[np.float64]:
    """Return 1 / (1 + exp(10/r · (v − r/2))), FORCE's score of the view zenith angle."""
    return _sigmoid((required_deg / 2 - degrees.astype(np.float64)) * (10 / required_deg))


def by_sensor(seen: Observations, scores: Mapping[str, float]) -> NDArray[np.float64]:
    """Return (T, N) what `scores` says of each observation's sensor, 1 where it says nothing."""
    found = np.ones(seen.usable.shape)
    for name, score in scores.items():
        assert seen.sensor is not None
        found[seen.sensor == name] = score
    return found


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    # Beyond ±50 it is 0 or 1 to the last digit that counts, and exp would overflow.
    return 1 / (1 + np.exp(-np.clip(x, -50, 50)))
