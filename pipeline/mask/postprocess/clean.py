"""Cleaning a mask: opening, closing, smallest objects and holes, dilation, per class and in metres.

Radii are Euclidean and in metres, areas in square metres, so that a setting means the same on
every grid. A pixel depends only on the pixels within `reach_px` of it: cleaning a tile with a margin of that width
gives the same as cleaning the whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.types import CleanGroup, CleanSettings, Code

GROUPS: Mapping[CleanGroup, tuple[Code, ...]] = {
    "cloud": (Code.THICK_CLOUD, Code.THIN_CLOUD),
    "shadow": (Code.CLOUD_SHADOW,),
}
"""Classes that are cleaned together, in this order; clouds take precedence over shadows."""

Flags = NDArray[np.bool_]

_EIGHT = np.ones((3, 3), bool)


def reach_px(settings: Mapping[CleanGroup, CleanSettings], resolution_m: float) -> int:
    """Return the radius, in pixels, within which cleaning depends on other pixels.

    It is the sum of the radii (those of opening and closing twice), plus n for each limit of n pixels on the size of
    objects or holes, since an object of fewer than n pixels is at most n pixels long.
    """
    return sum(_reach(each, resolution_m) for each in settings.values())


def clean(
    codes: NDArray[np.uint8], settings: Mapping[CleanGroup, CleanSettings], resolution_m: float
) -> NDArray[np.uint8]:
    """Clean a mask, group by group.

    Parameters
    ----------
    codes
        (y, x) uint8 codes of `Code`.
    settings
        Name of a group in `GROUPS` -> its settings.
    resolution_m
        Edge of a pixel.

    Returns
    -------
    (y, x) uint8. Pixels removed from a group become clear, pixels added to it take its first class. No data stays
    no data, and shadows do not overwrite clouds.
    """
    cleaned = codes
    for name, members in GROUPS.items():
        if name in settings:
            cleaned = _clean_group(cleaned, members, settings[name], resolution_m)
    return cleaned


def _reach(settings: CleanSettings, resolution_m: float) -> int:
    radii = (
        2 * settings.open_m,
        2 * settings.close_m,
        settings.dilate_m,
    )
    sizes = (
        _pixels(settings.min_object_m2, resolution_m),
        _pixels(settings.min_hole_m2, resolution_m),
    )
    return sum(math.ceil(radius / resolution_m) for radius in radii) + sum(sizes)


def _clean_group(
    codes: NDArray[np.uint8],
    members: tuple[Code, ...],
    settings: CleanSettings,
    resolution_m: float,
) -> NDArray[np.uint8]:
    has_data = codes != Code.NO_DATA
    before = np.isin(codes, members)
    # A cloud cut by the swath's edge continues beyond it, and must not be opened there as if it were thin.
    flags = _opened(before | ~has_data, settings.open_m, resolution_m)
    flags = ~_opened(~flags, settings.close_m, resolution_m)
    flags = _without_small(flags, _pixels(settings.min_object_m2, resolution_m)) & has_data
    flags = ~_without_small(~flags, _pixels(settings.min_hole_m2, resolution_m)) & has_data
    flags = _dilated(flags, settings.dilate_m, resolution_m) & has_data
    if Code.CLOUD_SHADOW in members:
        flags &= ~np.isin(codes, GROUPS["cloud"])
    cleaned = np.where(before & ~flags, np.uint8(Code.CLEAR), codes)
    cleaned[flags & ~before] = members[0]
    return cleaned


def _pixels(area_m2: float, resolution_m: float) -> int:
    return math.ceil(area_m2 / resolution_m**2)


def _dilated(flags: Flags, radius_m: float, resolution_m: float) -> Flags:
    """Dilate by a disc of the radius; beyond the edges everything is false."""
    if not radius_m or not flags.any():
        return flags
    distance: NDArray[np.float64] = ndimage.distance_transform_edt(~flags) * resolution_m
    return distance <= radius_m


def _opened(flags: Flags, radius_m: float, resolution_m: float) -> Flags:
    """Open by a disc of the radius."""
    if not radius_m:
        return flags
    eroded = ~_dilated(~flags, radius_m, resolution_m)
    return _dilated(eroded, radius_m, resolution_m)


def _without_small(flags: Flags, smallest: int) -> Flags:
    """Remove connected objects (8-connectivity) of fewer pixels than `smallest`."""
    if smallest < 2:
        return flags
    labels, _ = ndimage.label(flags, structure=_EIGHT)
    sizes = np.bincount(labels.ravel())
    kept = sizes >= smallest
    kept[0] = False
    kept_flags: Flags = kept[labels]
    return kept_flags
