"""What a composite's adjustments do to an item: which band is read, and the line that its reflectance goes through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.sensors.adjust.bandpass import BANDPASS, READS, UNCHANGED, Line
from pipeline.sensors.adjust.brdf import LOWEST_SUN, Angles, c_factor
from pipeline.sensors.metadata import sun, view
from pipeline.sensors.passes import platform_of
from pipeline.sensors.profiles import profile

if TYPE_CHECKING:
    import pystac

VERSION = 1
"""Of the tables and formulas; part of the fingerprint of composites that are adjusted."""

SEEN_FROM_NADIR = ("hls", "nbart")
"""`Profile.correction` of products whose reflectance is that of a view from nadir already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjust:
    """The adjustments of a composite, by the names of its settings; the default is none.

    The view comes first and the band pass after it, as in HLS.
    """

    harmonize: str | None = None
    """A row of `BANDPASS`. Items of HLS are adjusted already and stay as they are."""
    brdf: str | None = None
    """``c-factor``: as seen from nadir, with the mean angles of each item."""

    def reads(self, item: pystac.Item, role: str) -> str:
        """Return the role whose band of an item is read for a role."""
        if self.harmonize is None:
            return role
        return READS[self.harmonize].get(profile(item).family, {}).get(role, role)

    def lacking(self, item: pystac.Item) -> str | None:
        """Return why an item cannot be adjusted; None: it can."""
        if self.harmonize is None and self.brdf is None:
            return None
        if profile(item).level != "L2A":
            return (
                "it is no surface reflectance, which is all that a composite can be adjusted in"
            )
        return self._lacking_bandpass(item) or self._lacking_angles(item)

    def line(self, item: pystac.Item, role: str) -> Line:
        """Return slope and offset from an item's reflectance to the adjusted one, of a role that is read.

        The item must lack nothing, as `lacking` says.
        """
        slope, offset = self._bandpass(item, role)
        return slope * self._c_factor(item, role), offset

    def _lacking_bandpass(self, item: pystac.Item) -> str | None:
        if self.harmonize is None or profile(item).correction == "hls":
            return None
        platform = platform_of(item)
        if platform in BANDPASS[self.harmonize]:
            return None
        return (
            f"composite.harmonize {self.harmonize} has no coefficients for {platform or 'an unknown platform'}, "
            f"only for {', '.join(BANDPASS[self.harmonize])}"
        )

    def _bandpass(self, item: pystac.Item, role: str) -> Line:
        if self.harmonize is None or profile(item).correction == "hls":
            return UNCHANGED
        return BANDPASS[self.harmonize][platform_of(item)].get(role, UNCHANGED)

    def _lacking_angles(self, item: pystac.Item) -> str | None:
        if self.brdf is None or profile(item).correction in SEEN_FROM_NADIR:
            return None
        found = angles_of(item)
        return found if isinstance(found, str) else None

    def _c_factor(self, item: pystac.Item, role: str) -> float:
        if self.brdf is None or profile(item).correction in SEEN_FROM_NADIR:
            return 1.0
        angles = angles_of(item)
        assert isinstance(angles, Angles), angles
        return c_factor(role, angles)


def angles_of(item: pystac.Item) -> Angles | str:
    """Return the mean angles of an item, or what it does not state of them."""
    lit, seen = sun(item), view(item, profile(item).family)
    if lit is None:
        return "composite.brdf needs where the sun stood, and it states no view:sun_azimuth and view:sun_elevation"
    if seen is None:
        return (
            "composite.brdf needs the mean view, and it states no view:incidence_angle and view:azimuth "
            "(of Landsat, view:off_nadir 0 will do)"
        )
    if lit[1] < LOWEST_SUN:
        return f"composite.brdf needs a sun of {LOWEST_SUN:g}° or more above the horizon, it has {lit[1]:.1f}°"
    return Angles(sun_zenith=90.0 - lit[1], view_zenith=seen[1], azimuth=seen[0] - lit[0])
