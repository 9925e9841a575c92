"""Whether 1000 are added to the numbers of a Sentinel-2 item: its darkest pixels know.

Since processing baseline 04.00 products hold ``10 000 × reflectance + 1000``, and some catalogues
take the 1000 out again. On bright ground the two look alike, but reflectance
has a floor: deep water, shadow and dense forest reflect next to nothing, above all in the infrared.
So the darkest pixels of a scene lie at a number just above the one that means zero:

- **no offset**: in two bands a share of the pixels lies clearly below 1000. With an offset these
  would be reflectances below -0.015 (infrared) or -0.04 (visible, where the correction of the
  atmosphere takes too much from dark ground now and then): there are none in such numbers.
- **offset**: in two infrared bands and a visible one a share of the pixels is piled up just above
  1000, and hardly any lies below. Without an offset the darkest of everything would have to be a
  grey of 0.10: in the infrared to within 0.015, twice. Cloud is brighter or slopes with wavelength,
  sand is brighter in the infrared, and snow is bright in the visible: none of them fits all three.
- **neither**: cloud, snow or sand from edge to edge, or hardly a pixel. Nothing is guessed.

A tile's coarsest overview is enough: what is sought is large and dark. Averaging can only lift the
darkest pixels, which turns a verdict into none, never into the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Verdict = Literal["offset", "no offset", "inconclusive"]

ZERO = 1000
"""The number of zero reflectance where there is an offset."""

INFRARED = ("nir08", "swir16", "swir22")
VISIBLE = ("green", "red")
ROLES = (*VISIBLE, *INFRARED)
"""The bands that are asked. Not blue and coastal: air is brightest there, and most often taken
away twice."""

SATURATED = 65535

WRAPPED = 2**16 - ZERO
"""From here up to `SATURATED` lie numbers from which 1000 were taken without regard for zero: they came round.
The darkest there are, and there are none where nothing was taken."""

MIN_VALID_PX = 1000
"""Fewer valid pixels decide nothing."""

BELOW: Mapping[str, int] = {**dict.fromkeys(VISIBLE, 400), **dict.fromkeys(INFRARED, 150)}
"""How far below 1000 a number must lie to speak against an offset."""

ABOVE: Mapping[str, int] = {**dict.fromkeys(VISIBLE, 400), **dict.fromkeys(INFRARED, 150)}
"""How far above 1000 a number may lie to count as the floor of nature."""

TOA_ABOVE = 700
"""The same for visible bands at the top of the atmosphere, where air adds up to 0.06 of its own."""

LOW_SHARE = 0.01
"""Share of pixels clearly below 1000 that speaks against an offset."""

PILE_SHARE = 0.005
"""Share of pixels just above 1000 that speaks for one …"""

STRAY_SHARE = 0.001
"""… as long as no more than this lies clearly below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The verdict of an item's pixels."""

    verdict: Verdict
    reason: str
    """In numbers, for the receipt."""
    unread: bool = False
    """The pixels could not be read at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Band:
    """The figures of one band."""

    role: str
    floor: int
    """The number that one pixel in a hundred stays below."""
    low: float
    """Share of pixels clearly below 1000."""
    pile: float
    """Share of pixels about and just above 1000."""


def judge(numbers: Mapping[str, NDArray[np.integer]], *, toa: bool = False) -> Finding:
    """Return whether 1000 are added to numbers.

    Parameters
    ----------
    numbers
        Role -> digital numbers of any shape, thinned evenly from a whole raster; 0 = no data.
        Roles other than `ROLES` are not looked at.
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
