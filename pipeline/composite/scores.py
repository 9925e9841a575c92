"""Scores of single observations, each from 0 (useless) to 1 (as good as can be)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_numpy_array
from numpy.typing import NDArray

from pipeline.composite import device
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
        days: NDArray[np.float64] = _double(seen.day) - seen.middle
        return days
    doy = _double(_day_of_year(seen.day))
    off: NDArray[np.float64] = (doy - target_doy + _YEAR_DAYS / 2) % _YEAR_DAYS - _YEAR_DAYS / 2
    return off


def of_date(days: NDArray[np.float64], sigma_days: float) -> NDArray[np.float64]:
    """Return exp(−½ (d/σ)²), the Gaussian of Griffiths 2013 and White 2014 with 1 at its top."""
    scaled = days / sigma_days
    found: NDArray[np.float64] = array_namespace(days).exp(-0.5 * scaled * scaled)
    return found


def of_distance(metres: NDArray[np.float32], required_m: float) -> NDArray[np.float64]:
    """Return 1 / (1 + exp(−10/r · (min(d, r) − r/2))): .007 in a cloud, .993 from r metres on.

    The sigmoid of Griffiths 2013 (−0.2 · (min(d, 50) − 25), of pixels) and FORCE, in metres.
    """
    near = array_namespace(metres).clip(_double(metres), max=required_m)
    return _sigmoid((near - required_m / 2) * (10 / required_m))


def of_haze(seen: Observations, threshold: float) -> NDArray[np.float64]:
    """Return 1 / (1 + exp(10/.02 · (HOT − threshold))) with HOT = blue − red/2 − .08.

    The haze optimised transform of Zhang 2002 (doi:10.1016/S0034-4257(02)00034-2) as FORCE scores it, in
    reflectance.
    """
    hot = _double(seen.band("blue")) - 0.5 * seen.band("red") - 0.08
    return _sigmoid((threshold - hot) * (10 / 0.02))


def of_view(degrees: NDArray[np.float32], required_deg: float) -> NDArray[np.float64]:
    """Return 1 / (1 + exp(10/r · (v − r/2))), FORCE's score of the view zenith angle; 0 where it is unknown (NaN)."""
    xp, angle = array_namespace(degrees), _double(degrees)
    known = _sigmoid((required_deg / 2 - angle) * (10 / required_deg))
    found: NDArray[np.float64] = xp.where(xp.isnan(angle), xp.zeros_like(known), known)
    return found


def by_sensor(seen: Observations, scores: Mapping[str, float]) -> NDArray[np.float64]:
    """Return (T, N) what `scores` says of each observation's sensor, 1 where it says nothing."""
    found: NDArray[np.float64] = 1 + 0 * _double(seen.usable)
    for name, score in scores.items():
        assert seen.sensor is not None
        found[seen.sensor == name] = score
    return found


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    # Beyond ±50 it is 0 or 1 to the last digit that counts, and exp would overflow.
    xp = array_namespace(x)
    found: NDArray[np.float64] = 1 / (1 + xp.exp(-xp.clip(x, -50.0, 50.0)))
    return found


def _double(x: NDArray[Any]) -> NDArray[np.float64]:
    xp = array_namespace(x)
    found: NDArray[np.float64] = xp.astype(x, xp.float64)
    return found


def _day_of_year(day: NDArray[np.int32]) -> NDArray[Any]:
    """Return 1 to 366 of days since 1970-01-01."""
    if not is_numpy_array(day):
        found: NDArray[Any] = device.day_of_year(day)
        return found
    date = day.astype("datetime64[D]")
    of_year: NDArray[Any] = (date - date.astype("datetime64[Y]")).astype(np.int64) + 1
    return of_year
