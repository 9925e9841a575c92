"""Landsat Level 1: the metadata file, and from numbers to top-of-atmosphere reflectance."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.files import Array, need
from pipeline.datasets.labels import malformed

OLI_BANDS: Mapping[str, int] = {
    "coastal": 1,
    "blue": 2,
    "green": 3,
    "red": 4,
    "nir": 5,
    "nir08": 5,
    "swir16": 6,
    "swir22": 7,
    "cirrus": 9,
}
ETM_BANDS: Mapping[str, int] = {
    "blue": 1,
    "green": 2,
    "red": 3,
    "nir": 4,
    "nir08": 4,
    "swir16": 5,
    "swir22": 7,
}

_ETM_SUN = {1: 1997.0, 2: 1812.0, 3: 1533.0, 4: 1039.0, 5: 230.8, 7: 84.90}
"""Mean exoatmospheric irradiance by band, W m⁻² µm⁻¹ (Chandler, Markham, Helder 2009)."""

_LINE = re.compile(r'^\s*(\w+)\s*=\s*"?([^"\n]*?)"?\s*$', re.MULTILINE)


def read_mtl(path: Path) -> dict[str, str]:
    """Read the keys of a metadata file (MTL.txt), of old and of new releases."""
    text = need(path, "the scene's metadata (MTL.txt)").read_text(errors="replace")
    found = dict(_LINE.findall(text))
    if "SUN_ELEVATION" not in found:
        raise malformed(path, "it has no SUN_ELEVATION", "Landsat metadata (MTL.txt)")
    return found


def metadata_number(mtl: Mapping[str, str], path: Path, *keys: str) -> float:
    """Return the first of some keys as a number.

    Raises
    ------
    LabelledDataError
        The file has none of them, or it is no number.
    """
    for key in keys:
        if key in mtl:
            try:
                return float(mtl[key])
            except ValueError:
                raise malformed(path, f"{key} is {mtl[key]!r}", "a number") from None
    raise malformed(path, f"it has no {' or '.join(keys)}", "Landsat metadata (MTL.txt)")


def sine_of_sun(mtl: Mapping[str, str], path: Path) -> float:
    """Return the sine of the sun's elevation."""
    elevation = metadata_number(mtl, path, "SUN_ELEVATION")
    if not 0 < elevation <= 90:
        raise malformed(path, f"SUN_ELEVATION is {elevation}", "0 to 90 degrees")
    return math.sin(math.radians(elevation))


def oli_reflectance(
    raw: Array, band: int, mtl: Mapping[str, str], path: Path
) -> NDArray[np.float32]:
    """Return top-of-atmosphere reflectance of an OLI band, NaN where the number is 0.

    (M × number + A) / sin(sun elevation), with M and A of the metadata file (USGS, "Landsat 8 data
    users handbook", 5.2).
    """
    scale = metadata_number(mtl, path, f"REFLECTANCE_MULT_BAND_{band}")
    offset = metadata_number(mtl, path, f"REFLECTANCE_ADD_BAND_{band}")
    sine = sine_of_sun(mtl, path)
    return _scaled(raw, scale / sine, offset / sine)


def etm_reflectance(
    raw: Array, band: int, mtl: Mapping[str, str], path: Path
) -> NDArray[np.float32]:
    """Return top-of-atmosphere reflectance of an ETM+ band, NaN where the number is 0.

    π · L · d² / (E · sin(sun elevation)), with the radiance L between LMIN and LMAX of the metadata
    file and E of Chandler, Markham, Helder (2009).
    """
    highest = metadata_number(mtl, path, f"LMAX_BAND{band}", f"RADIANCE_MAXIMUM_BAND_{band}")
    lowest = metadata_number(mtl, path, f"LMIN_BAND{band}", f"RADIANCE_MINIMUM_BAND_{band}")
    top = metadata_number(mtl, path, f"QCALMAX_BAND{band}", f"QUANTIZE_CAL_MAX_BAND_{band}")
    bottom = metadata_number(mtl, path, f"QCALMIN_BAND{band}", f"QUANTIZE_CAL_MIN_BAND_{band}")
    if top <= bottom:
        raise malformed(path, f"QCALMAX {top} is not above QCALMIN {bottom}", "a scale")
    scale = (highest - lowest) / (top - bottom)
    to_reflectance = (
        math.pi * _sun_distance(mtl, path) ** 2 / (_ETM_SUN[band] * sine_of_sun(mtl, path))
    )
    return _scaled(raw, scale * to_reflectance, (lowest - scale * bottom) * to_reflectance)


def _sun_distance(mtl: Mapping[str, str], path: Path) -> float:
    """Return the distance to the sun in astronomical units, to 0.001, from the day of the year."""
    text = mtl.get("ACQUISITION_DATE") or mtl.get("DATE_ACQUIRED") or ""
    try:
        day = date.fromisoformat(text).timetuple().tm_yday
    except ValueError:
        raise malformed(path, f"its date is {text!r}", "ACQUISITION_DATE, YYYY-MM-DD") from None
    return 1 - 0.01672 * math.cos(math.radians(0.9856 * (day - 4)))


def _scaled(raw: Array, scale: float, offset: float) -> NDArray[np.float32]:
    values = raw.astype(np.float32) * np.float32(scale) + np.float32(offset)
    values[raw == 0] = np.nan
    return values
