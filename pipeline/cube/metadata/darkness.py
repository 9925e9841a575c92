"""Decides by its darkest pixels whether the DNs of a Sentinel-2 item have an offset of 1000.

Since processing baseline 04.00 products hold ``10 000 × reflectance + 1000``, and some catalogues subtract the 1000
again. On bright ground the two look alike, but reflectance has a floor: deep water, shadow and dense forest reflect
next to nothing, above all in the infrared. So the darkest DNs of a scene lie just above the DN of zero reflectance:

- **no offset**: in two bands a share of the pixels lies clearly below 1000. With an offset their reflectance would be
  below -0.015 (infrared) or -0.04 (visible, where atmospheric correction sometimes subtracts too much from dark
  ground), which so many pixels never have.
- **offset**: in two infrared bands and a visible one a share of the pixels lies just above 1000, and hardly any below.
  Without an offset the darkest pixels would be a grey of 0.10, in two infrared bands to within 0.015. Cloud is
  brighter or slopes with wavelength, sand is brighter in the infrared, snow is bright in the visible: none of them
  fits all three bands.
- **neither**: cloud, snow or sand from edge to edge, or hardly any valid pixel. The verdict is inconclusive.

A tile's coarsest overview suffices, because dark areas are large. Averaging can only raise the darkest pixels, which
may make the verdict inconclusive but never reverse it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Verdict = Literal["offset", "no offset", "inconclusive"]

ZERO = 1000
"""The DN of zero reflectance if there is an offset."""

INFRARED = ("nir08", "swir16", "swir22")
VISIBLE = ("green", "red")
ROLES = (*VISIBLE, *INFRARED)
"""The bands that are read. Not blue and coastal: the atmosphere is brightest there, and most often over-corrected."""

SATURATED = 65535

WRAPPED = 2**16 - ZERO
"""DNs from here up to `SATURATED` have wrapped: 1000 was subtracted from a smaller unsigned number. They are the
darkest pixels, and occur only where an offset was subtracted."""

MIN_VALID_PX = 1000
"""Fewest valid pixels for a verdict."""

BELOW: Mapping[str, int] = {**dict.fromkeys(VISIBLE, 400), **dict.fromkeys(INFRARED, 150)}
"""How far below 1000 a number must lie to speak against an offset."""

ABOVE: Mapping[str, int] = {**dict.fromkeys(VISIBLE, 400), **dict.fromkeys(INFRARED, 150)}
"""How far above 1000 a number may lie to count as the floor of reflectance."""

TOA_ABOVE = 700
"""The same for visible bands at the top of the atmosphere, where the atmosphere adds up to 0.06."""

LOW_SHARE = 0.01
"""Share of pixels clearly below 1000 that speaks against an offset."""

PILE_SHARE = 0.005
"""Share of pixels just above 1000 that speaks for one …"""

STRAY_SHARE = 0.001
"""… as long as no more than this lies clearly below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The verdict on an item's offset."""

    verdict: Verdict
    reason: str
    """The figures behind it, for the receipt."""
    unread: bool = False
    """The pixels could not be read at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Band:
    """The figures of one band."""

    role: str
    floor: int
    """The 1st percentile of the DNs."""
    low: float
    """Share of pixels clearly below 1000."""
    pile: float
    """Share of pixels about and just above 1000."""


def judge_offset(numbers: Mapping[str, NDArray[np.integer]], *, toa: bool = False) -> Finding:
    """Decide whether DNs have an offset of 1000.

    Parameters
    ----------
    numbers
        Role -> DNs of any shape, sampled evenly from a whole raster; 0 = no data. Only `ROLES` are used.
    toa
        Whether they are reflectances at the top of the atmosphere (Level 1C).
    """
    bands = [
        band
        for role in ROLES
        if role in numbers and (band := _band(role, numbers[role], toa=toa)) is not None
    ]
    if len(bands) < 2:
        return Finding(
            verdict="inconclusive",
            reason=f"fewer than {MIN_VALID_PX} valid pixels in two of {', '.join(ROLES)}",
        )
    low = [band for band in bands if band.low >= LOW_SHARE]
    if len(low) >= 2:
        return Finding(verdict="no offset", reason=f"pixels far below {ZERO}: {_low(low)}")
    piled = [band for band in bands if band.pile >= PILE_SHARE]
    infrared = sum(band.role in INFRARED for band in piled)
    if infrared >= 2 and infrared < len(piled) and all(b.low <= STRAY_SHARE for b in bands):
        return Finding(
            verdict="offset",
            reason=f"the darkest pixels are piled above {ZERO}: {_floors(piled)}",
        )
    return Finding(
        verdict="inconclusive", reason=f"no dark ground stands out: {_floors(bands)}"
    )


def _band(role: str, numbers: NDArray[np.integer], *, toa: bool) -> _Band | None:
    numbers = numbers.astype(np.int64, copy=False)
    wrapped = (numbers >= WRAPPED) & (numbers < SATURATED)
    meant = np.where(wrapped, numbers - 2**16, numbers)
    valid = meant[wrapped | ((numbers > 0) & (numbers < WRAPPED))]
    if valid.size < MIN_VALID_PX:
        return None
    bottom = ZERO - BELOW[role]
    top = ZERO + (TOA_ABOVE if toa and role in VISIBLE else ABOVE[role])
    return _Band(
        role=role,
        floor=round(float(np.percentile(valid, 1))),
        low=float(np.mean(valid < bottom)),
        pile=float(np.mean((valid >= bottom) & (valid < top))),
    )


def _low(bands: list[_Band]) -> str:
    return ", ".join(f"{100 * band.low:.0f} % of {band.role}" for band in bands)


def _floors(bands: list[_Band]) -> str:
    return "1 % lie below " + ", ".join(f"{band.floor} in {band.role}" for band in bands)
