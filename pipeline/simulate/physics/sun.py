"""Position of the sun."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Sun:
    """The direction of the sun."""

    zenith: float
    """Radians from the vertical."""
    azimuth: float
    """Radians, clockwise from north."""

    @property
    def mu(self) -> float:
        """Return the cosine of the zenith angle."""
        return math.cos(self.zenith)

    @property
    def tangent(self) -> float:
        """Return how far a shadow falls, in units of the height that casts it."""
        return math.tan(self.zenith)


def sun_at(time: datetime, longitude: float, latitude: float) -> Sun:
    """Return the sun's direction to about 0.3°, by Spencer's (1971) series.

    Parameters
    ----------
    time
        UTC.
    longitude, latitude
        Degrees east and north.
    """
    hours = time.hour + time.minute / 60 + time.second / 3600
    year = 2 * math.pi * (time.timetuple().tm_yday - 1 + (hours - 12) / 24) / 365
    declination = (
        0.006918
        - 0.399912 * math.cos(year)
        + 0.070257 * math.sin(year)
        - 0.006758 * math.cos(2 * year)
        + 0.000907 * math.sin(2 * year)
    )
    minutes = 229.18 * (
        0.000075
        + 0.001868 * math.cos(year)
        - 0.032077 * math.sin(year)
        - 0.014615 * math.cos(2 * year)
        - 0.040849 * math.sin(2 * year)
    )
    hour_angle = math.radians(15 * (hours - 12 + minutes / 60) + longitude)
    phi = math.radians(latitude)
    up = math.sin(phi) * math.sin(declination) + math.cos(phi) * math.cos(
        declination
    ) * math.cos(hour_angle)
    east = -math.cos(declination) * math.sin(hour_angle)
    north = math.cos(phi) * math.sin(declination) - math.sin(phi) * math.cos(
        declination
    ) * math.cos(hour_angle)
    return Sun(zenith=math.acos(up), azimuth=math.atan2(east, north) % (2 * math.pi))
