"""The legend of masks, and what fingerprints say."""

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
    """One class as people see it."""

    code: Code
    meaning: str
    """Word of CF ``flag_meanings``."""
    label: str
    colour: str
    """``#rrggbb``."""


LEGEND: tuple[LegendEntry, ...] = (
    LegendEntry(code=Code.NO_DATA, meaning="no_data", label="no data", colour="#000000"),
    LegendEntry(code=Code.CLEAR, meaning="clear", label="clear", colour="#7fa66a"),
    LegendEntry(code=Code.WATER, meaning="water", label="water", colour="#3b6fb6"),
    LegendEntry(code=Code.SNOW, meaning="snow", label="snow or ice", colour="#a6e3f4"),
    LegendEntry(
        code=Code.THIN_CLOUD, meaning="thin_cloud", label="thin cloud", colour="#c9c3d9"
    ),
    LegendEntry(
        code=Code.THICK_CLOUD, meaning="thick_cloud", label="thick cloud", colour="#ffffff"
    ),
    LegendEntry(
        code=Code.CLOUD_SHADOW, meaning="cloud_shadow", label="cloud shadow", colour="#4a3b57"
    ),
)


def is_usable(mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Say where a mask shows the ground.

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
"""No item covers the cell: that is known, and there is nothing to do."""

UNREADABLE = 2
"""Items cover the cell, but none of them could be read."""

UNFIT: tuple[str, ...] = ("saturated", "defective", "wrapped")
"""Kinds of numbers that are no reflectance: a detector at its end, or brighter than anything; said to be defective,
dropped or hidden; beyond what can be, as numbers are that wrapped in 16 bits. In a cube a kind is its position
here, counted from 1; the last of several counts."""
