"""Band-pass adjustment: what a band of Sentinel-2 would read through the filter of Landsat 8.

adjusted = slope · reflectance + offset, for each platform and role.

``hls``, of Harmonized Landsat Sentinel-2: a straight line through 500 spectra of Hyperion, folded with the filters of MSI
and OLI (Claverie et al. 2018, doi:10.1016/j.rse.2018.09.002). The numbers are those of the HLS User Guide 2.0, table 5,
for Sentinel-2A, B and C, and the same in HLS's code (NASA-IMPACT/hls-sentinel, hls_libs/L8like/bandpass_parameter.S2A.txt,
.S2B.txt and .S2C.txt). Landsat 8 is what the others are adjusted to, and HLS takes Landsat 9 as it is. There are none
for Landsat 4 to 7.

HLS pairs Landsat's near infrared with the narrow band 8A of Sentinel-2, and has no numbers for its broad band 8. So
``nir`` of Sentinel-2 is read from band 8A (`READS`). Red edge and water vapour, which Landsat lacks, stay as they
are, as in HLS.
"""

from __future__ import annotations

from collections.abc import Mapping

Line = tuple[float, float]
"""Slope and offset (reflectance)."""

UNCHANGED: Line = (1.0, 0.0)

_TO_LANDSAT_8: Mapping[str, Mapping[str, Line]] = {
    "landsat-8": {},
    "landsat-9": {},
    "sentinel-2a": {
        "coastal": (0.9959, -0.0002),
        "blue": (0.9778, -0.0040),
        "green": (1.0053, -0.0009),
        "red": (0.9765, 0.0009),
        "nir08": (0.9983, -0.0001),
        "swir16": (0.9987, -0.0011),
        "swir22": (1.0030, -0.0012),
    },
    "sentinel-2b": {
        "coastal": (0.9959, -0.0002),
        "blue": (0.9778, -0.0040),
        "green": (1.0075, -0.0008),
        "red": (0.9761, 0.0010),
        "nir08": (0.9966, 0.0000),
        "swir16": (1.0000, -0.0003),
        "swir22": (0.9867, 0.0004),
    },
    "sentinel-2c": {
        "coastal": (1.0030, 0.0000),
        "blue": (0.9851, -0.0027),
        "green": (1.0038, -0.0009),
        "red": (0.9718, 0.0011),
        "nir08": (0.9995, -0.0003),
        "swir16": (0.9994, -0.0007),
        "swir22": (0.9910, 0.0004),
    },
}

BANDPASS: Mapping[str, Mapping[str, Mapping[str, Line]]] = {"hls": _TO_LANDSAT_8}
"""Name of a set -> platform -> role -> its line; roles without one stay as they are."""

READS: Mapping[str, Mapping[str, Mapping[str, str]]] = {"hls": {"sentinel-2": {"nir": "nir08"}}}
"""Name of a set -> family of platforms -> role -> the role whose band is read for it."""
