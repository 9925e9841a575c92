"""What a model's mask goes through before it is stored: shadows checked against the sun, then cleaning."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pystac
from numpy.typing import NDArray
from odc.geo.crs import CRS

from pipeline import sensors
from pipeline.mask import Sun, check_shadows, clean, cleaning_reach_px, shadow_reach_px
from pipeline.types import MaskSettings, footprint

NIR = "nir"
"""The role that shows whether ground is dark."""


def reach_px(settings: MaskSettings, resolution_m: float) -> int:
    """Return how far beyond a tile its mask must be computed, in pixels."""
    reach = cleaning_reach_px(settings.clean, resolution_m)
    if settings.shadows is not None:
        reach += shadow_reach_px(settings.shadows, resolution_m)
    return reach


def roles_needed(settings: MaskSettings, roles: Sequence[str]) -> tuple[str, ...]:
    """Return the roles that a mask is made of: the model's, and `NIR` where shadows are added."""
    adds = settings.shadows is not None and settings.shadows.add
    return (*roles, NIR) if adds and NIR not in roles else tuple(roles)


def finished(
    codes: NDArray[np.uint8],
    seen: Mapping[str, NDArray[Any]],
    suns: Mapping[int, Sun],
    settings: MaskSettings,
    resolution_m: float,
) -> NDArray[np.uint8]:
    """Check shadows and clean a mask.

    Parameters
    ----------
    codes
        (y, x) uint8.
    seen
        Where shadows are checked: ``source`` (y, x), the position of each pixel's item, and `NIR`.
    suns
        Position of an item -> where the sun stood over it. Each pixel is checked against the sun over its own item,
        in every tile alike; pixels of an item that is not in `suns` stay as they are.
    settings, resolution_m
        What to do, and the edge of a pixel in metres.
    """
    checked = codes
    if settings.shadows is not None:
        checked = codes.copy()
        for position, sun in suns.items():
            by_this_sun = check_shadows(
                codes, seen.get(NIR), sun, settings.shadows, resolution_m
            )
            np.copyto(checked, by_this_sun, where=seen["source"] == position)
    return clean(checked, settings.clean, resolution_m)


def sun_over(item: pystac.Item, crs: CRS) -> Sun | None:
    """Return the sun over an item, azimuth from grid north; None where the item does not state it."""
    stated, outline = sensors.sun(item), footprint(item)
    if stated is None or outline is None:
        return None
    azimuth, elevation = stated
    middle = outline.centroid.coords[0]
    return Sun((azimuth + _true_north(crs, *middle[:2])) % 360, elevation)


def _true_north(crs: CRS, longitude: float, latitude: float) -> float:
    """Return the direction of true north at a point, in degrees clockwise from grid north."""
    # A step away from the nearer pole, which it must not cross.
    step = -1e-4 if latitude > 0 else 1e-4
    to_grid = CRS("EPSG:4326").transformer_to_crs(crs)
    x, y = to_grid(np.array([longitude] * 2), np.array([latitude, latitude + step]))
    return math.degrees(math.atan2((x[1] - x[0]) / step, (y[1] - y[0]) / step))
