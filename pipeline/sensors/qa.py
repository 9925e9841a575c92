"""What the codes and bits of the products' own masks mean. Data for models; no reader is here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.sensors.bands import OLI_NUMBERS, TM_NUMBERS
from pipeline.sensors.types import Flags

SCL: Mapping[int, str] = {
    0: "no_data",
    1: "saturated_or_defective",
    2: "dark_area_pixels",
    3: "cloud_shadows",
    4: "vegetation",
    5: "not_vegetated",
    6: "water",
    7: "unclassified",
    8: "cloud_medium_probability",
    9: "cloud_high_probability",
    10: "thin_cirrus",
    11: "snow",
}
"""Scene classification of Sentinel-2 L2A (ESA, "Sentinel-2 L2A ATBD", table of classes)."""

DEA_FMASK: Mapping[int, str] = {
    0: "no_data",
    1: "clear",
    2: "cloud",
    3: "cloud_shadow",
    4: "snow",
    5: "water",
}
"""``oa_fmask`` of Digital Earth Australia: classes, not bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bits:
    """A field of a bit mask."""

    offset: int
    """Position of the lowest bit, counted from 0."""
    length: int = 1
    """In bits."""
    classes: tuple[str, ...] = ("no", "yes")
    """Meaning of each value, by value."""

    @property
    def mask(self) -> int:
        """Return the number whose bits are those of the field."""
        return ((1 << self.length) - 1) << self.offset


_CONFIDENCE = ("not_set", "low", "reserved", "high")

QA_PIXEL: Mapping[str, Bits] = {
    "fill": Bits(offset=0),
    "dilated_cloud": Bits(offset=1),
    "cirrus": Bits(offset=2),
    "cloud": Bits(offset=3),
    "cloud_shadow": Bits(offset=4),
    "snow": Bits(offset=5),
    "clear": Bits(offset=6),
    "water": Bits(offset=7),
    "cloud_confidence": Bits(offset=8, length=2, classes=("not_set", "low", "medium", "high")),
    "cloud_shadow_confidence": Bits(offset=10, length=2, classes=_CONFIDENCE),
    "snow_confidence": Bits(offset=12, length=2, classes=_CONFIDENCE),
    "cirrus_confidence": Bits(offset=14, length=2, classes=_CONFIDENCE),
}
"""QA_PIXEL of Landsat 4-9 Collection 2 (USGS LSDS-1619, table 6-3). Collection 1 had other bits. TM
and ETM+ set neither cirrus nor its confidence; MSS sets fill, cloud and cloud confidence alone."""

FMASK: Mapping[str, Bits] = {
    "cirrus": Bits(offset=0),
    "cloud": Bits(offset=1),
    "adjacent": Bits(offset=2),
    "cloud_shadow": Bits(offset=3),
    "snow": Bits(offset=4),
    "water": Bits(offset=5),
    "aerosol": Bits(offset=6, length=2, classes=("climatology", "low", "moderate", "high")),
}
"""Fmask of HLS v2.0 (LP DAAC, "HLS Product User Guide" v2.0, table 9); 255 is fill. Cirrus is
reserved and unused in v2.0."""

FMASK_FILL = 255

# -- numbers that are no reflectance -----------------------------------------------------------

SCL_FLAGS: Mapping[str, Flags] = {"": Flags(qa="scl", values={"saturated": (1,)})}
"""Used with every model: Sen2Cor's class of saturated or defective pixels is of all bands together."""

_OLI_DEFECTIVE, _TM_DEFECTIVE = 1 << 11, 1 << 9
"""Terrain that hides the pixel from OLI, and pixels that TM and ETM+ dropped."""


def _radsat(saturated: Mapping[str, int], defective: int) -> Mapping[str, Flags]:
    """Return the flags of roles, whose bits are given, and of those that have none."""
    return {
        role: Flags(qa="qa_radsat", bits={"saturated": bits, "defective": defective})
        for role, bits in {**saturated, "": 0}.items()
    }


def _bits_of(numbers: Mapping[str, int]) -> dict[str, int]:
    """Return the bit of each role: that of band 1 is bit 0."""
    return {role: 1 << (number - 1) for role, number in numbers.items()}


_OLI_SATURATED = {**_bits_of(OLI_NUMBERS), "cirrus": 1 << 8}
# Band 6 of ETM+ has two gains, 6L (bit 5, as band 6 of TM) and 6H (bit 8).
_TM_SATURATED = {**_bits_of(TM_NUMBERS), "lwir11": 1 << 5 | 1 << 8}

RADSAT_FLAGS: Mapping[str, Mapping[str, Flags]] = {
    "oli": _radsat(_OLI_SATURATED, _OLI_DEFECTIVE),
    "tm": _radsat(_TM_SATURATED, _TM_DEFECTIVE),
    # Of an unknown instrument, a number counts only where neither says that it is none.
    "": _radsat(
        {
            role: _OLI_SATURATED.get(role, 0) | _TM_SATURATED.get(role, 0)
            for role in {**_OLI_SATURATED, **_TM_SATURATED}
        },
        _OLI_DEFECTIVE | _TM_DEFECTIVE,
    ),
}
"""QA_RADSAT of Landsat Collection 2, by instrument: a bit a band (USGS LSDS-1619, table 6-4, of OLI; LSDS-1618,
table 6-4, of TM and ETM+)."""
