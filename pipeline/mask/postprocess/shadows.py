"""Checks shadows by the sun's position: removes those without a cloud, and adds dark ground in a cloud's shadow zone.

A cloud at height h above flat ground casts its shadow at a distance of h / tan(elevation) away from the sun (Zhu
and Woodcock 2012, "Object-based cloud and cloud shadow detection in Landsat imagery", Remote Sensing of Environment
118, section 3.2.2; the view is assumed vertical). The heights of clouds are unknown, so a range of heights gives a
zone where shadows may lie.

Measured on three dates with hand-painted shadows (Alberta, Sentinel-2 at 29 m, sun 60° high, ukis-csmask's masks):
dropping shadows without a cloud brings their precision from .66 to .71, recall from .87 to .85, F1 from .753 to .770.
Clouds up to 6 km: .761, up to 12 km: .757; a tolerance of 300 m instead of 100 m: .758. What is lost are mainly shadows
of small clouds that the model does not see.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.types import CLOUD, Code, ShadowSettings

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Sun:
    """Position of the sun."""

    azimuth: float
    """Degrees clockwise from grid north, towards the sun."""
    elevation: float
    """Degrees above the horizon."""

    def shift_px(self, height_m: float, resolution_m: float) -> tuple[float, float]:
        """Return the offset (down, right), in pixels, of the shadow of a cloud at a height."""
        away = math.radians(self.azimuth + 180)
        length = height_m / math.tan(math.radians(self.elevation)) / resolution_m
        return -math.cos(away) * length, math.sin(away) * length


def reach_px(settings: ShadowSettings, resolution_m: float) -> int:
    """Return the radius, in pixels, within which the check depends on other pixels."""
    thrown = settings.highest_m / math.tan(math.radians(settings.lowest_sun))
    near = settings.tolerance_m + (2 * settings.dark_within_m if settings.add else 0.0)
    return math.ceil(thrown / resolution_m) + math.ceil(near / resolution_m) + 1


def check_shadows(
    codes: NDArray[np.uint8],
    nir: NDArray[np.float32] | None,
    sun: Sun,
    settings: ShadowSettings,
    resolution_m: float,
) -> NDArray[np.uint8]:
    """Remove shadows that no cloud can cast; add dark ground where clouds must cast shadows.

    Parameters
    ----------
    codes
        (y, x) uint8 codes of `Code`.
    nir
        (y, x) float32 reflectance of the near infrared, NaN = no data; None: no shadow is added.
    sun
        The sun of the scene; if it is lower than ``lowest_sun`` of the settings, nothing is changed, or with
        ``under_lower_sun: check`` clouds are looked for as far as under the lowest sun, and no shadow is added.
    settings
        Heights and tolerances.
    resolution_m
        Edge of a pixel.

    Returns
    -------
    (y, x) uint8: removed shadows become clear; added ones were clear before, and are darker than the surrounding
    ground by ``dark_by``. Nothing is removed within reach of a swath's edge, beyond which the cloud may lie.
    """
    low = sun.elevation < settings.lowest_sun
    if low and settings.under_lower_sun == "keep":
        return codes
    checked = codes.copy()
    if settings.drop:
        # Pixels without data may hold the cloud.
        casting = np.isin(codes, (*CLOUD, Code.NO_DATA))
        zone = _near(_thrown(casting, sun, settings, resolution_m), settings, resolution_m)
        checked[(codes == Code.CLOUD_SHADOW) & ~zone] = Code.CLEAR
    if settings.add and nir is not None and not low:
        zone = _thrown(np.isin(codes, CLOUD), sun, settings, resolution_m)
        dark = _darker(nir, settings, resolution_m)
        checked[(codes == Code.CLEAR) & zone & dark] = Code.CLOUD_SHADOW
    return checked


def _thrown(flags: Flags, sun: Sun, settings: ShadowSettings, resolution_m: float) -> Flags:
    """Return the zone of the shadows that clouds between the lowest and the highest height cast."""
    zone = np.zeros_like(flags)
    for down, right in _shifts(sun, settings, resolution_m):
        _or_shifted(zone, flags, down, right)
    return zone


def _shifts(
    sun: Sun, settings: ShadowSettings, resolution_m: float
) -> Iterator[tuple[int, int]]:
    """Yield the whole-pixel shifts between the shadows of the lowest and the highest cloud."""
    # No further than `reach_px` knows of: under a lower sun, only lower clouds throw so far.
    most = math.tan(math.radians(max(sun.elevation, settings.lowest_sun)))
    furthest_m = settings.highest_m * min(1.0, math.tan(math.radians(sun.elevation)) / most)
    near = np.array(sun.shift_px(min(settings.lowest_m, furthest_m), resolution_m))
    far = np.array(sun.shift_px(furthest_m, resolution_m))
    # Dense enough to hit every pixel that the line crosses by more than a corner.
    steps = 8 * max(1, math.ceil(np.abs(far - near).max()))
    way = near + (far - near) * np.linspace(0, 1, steps + 1)[:, None]
    seen = dict.fromkeys((int(down), int(right)) for down, right in np.rint(way))
    yield from seen


def _or_shifted(zone: Flags, flags: Flags, down: int, right: int) -> None:
    height, width = flags.shape
    if abs(down) >= height or abs(right) >= width:
        return
    into = (
        slice(max(down, 0), height + min(down, 0)),
        slice(max(right, 0), width + min(right, 0)),
    )
    out_of = (
        slice(max(-down, 0), height + min(-down, 0)),
        slice(max(-right, 0), width + min(-right, 0)),
    )
    zone[into] |= flags[out_of]


def _near(zone: Flags, settings: ShadowSettings, resolution_m: float) -> Flags:
    if not zone.any():
        return zone
    distance: NDArray[np.float64] = ndimage.distance_transform_edt(~zone) * resolution_m
    return distance <= settings.tolerance_m


def _darker(nir: NDArray[np.float32], settings: ShadowSettings, resolution_m: float) -> Flags:
    """Return where the ground is darker than its surroundings within a distance.

    A grey closing fills dark areas narrower than its window to the level of their surroundings; the flood fill of
    Zhu and Woodcock fills areas of any width, but is not local.
    """
    size = 2 * math.floor(settings.dark_within_m / resolution_m) + 1
    # Gaps are high ground to the dilation and low ground to nothing: they lift no one.
    filled = np.where(np.isfinite(nir), nir, -np.inf)
    lifted = ndimage.maximum_filter(filled, size, mode="constant", cval=-np.inf)
    lifted = np.where(np.isfinite(lifted), lifted, np.inf)
    closed = ndimage.minimum_filter(lifted, size, mode="constant", cval=np.inf)
    with np.errstate(invalid="ignore"):
        darker: Flags = closed - nir > settings.dark_by
    return darker & np.isfinite(nir)
