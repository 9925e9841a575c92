"""The legend of masks, and the fingerprints that have a meaning of their own."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

PIXEL_VERSION = 7
"""Part of every fingerprint: raised when the meaning of stored pixels changes."""


class Code(IntEnum):
    """Classes of a mask: the seven of SEnSeI-v2 (Francis 2024), one legend for all models."""

    NO_DATA = 0
    CLEAR = 1
    """Land, or clear of unknown kind."""
    WATER = 2
    SNOW = 3
    """Snow or ice."""
    THIN_CLOUD = 4
    THICK_CLOUD = 5
    """Thick cloud, or cloud of unknown kind."""
    CLOUD_SHADOW = 6


USABLE: tuple[Code, ...] = (Code.CLEAR, Code.WATER, Code.SNOW)
"""The classes whose pixels show the ground."""

CLOUD: tuple[Code, ...] = (Code.THIN_CLOUD, Code.THICK_CLOUD)


@dataclass(frozen=True, slots=True, kw_only=True)
class LegendEntry:
    """One class, as files and maps show it."""

    code: Code
    meaning: str
    """Word of CF ``flag_meanings``."""
    label: str
    colour: str
    """``#rrggbb``."""


LEGEND: tuple[LegendEntry, ...] = tuple(
    LegendEntry(code=code, meaning=code.name.lower(), label=label, colour=colour)
    for code, label, colour in (
        (Code.NO_DATA, "no data", "#000000"),
        (Code.CLEAR, "clear", "#7fa66a"),
        (Code.WATER, "water", "#3b6fb6"),
        (Code.SNOW, "snow or ice", "#a6e3f4"),
        (Code.THIN_CLOUD, "thin cloud", "#c9c3d9"),
        (Code.THICK_CLOUD, "thick cloud", "#ffffff"),
        (Code.CLOUD_SHADOW, "cloud shadow", "#4a3b57"),
    )
)


def is_usable(mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Tell which pixels of a mask show the ground.

    Parameters
    ----------
    mask
        Codes of `Code`, any shape.

    Returns
    -------
    Booleans of the same shape: true for clear, water, and snow or ice.
    """
    usable: NDArray[np.bool_] = np.isin(mask, [int(code) for code in USABLE])
    return usable


NEVER = 0
"""Fingerprint of a cell that was never made."""

UNCOVERED = 1
"""Fingerprint of a cell that no item covers: there is nothing to do."""

UNREADABLE = 2
"""Fingerprint of a cell whose items could not be read, none of them."""

UNFIT: tuple[str, ...] = ("saturated", "defective", "wrapped")
"""Kinds of numbers that are no reflectance. ``saturated``: the detector's maximum, or brighter than any surface.
``defective``: marked as defective, dropped or hidden. ``wrapped``: out of range, as after an overflow of 16 bits. A cube
has a kind's position here, counted from 1; of several, the last."""
