"""Role -> asset keys, one table for each way of naming bands."""

from __future__ import annotations

from collections.abc import Mapping

Assets = Mapping[str, tuple[str, ...]]

SENTINEL_2: Assets = {
    # Earth Search v1 and stactools say `blue`, Planetary Computer and Earth Search v0 `B02`, the
    # Copernicus Data Space `B02_10m`. Native sampling first: B01 is 60 m, its 20 m is resampled.
    "coastal": ("coastal", "B01", "B01_60m", "B01_20m", "coastal_60m", "coastal_20m"),
    "blue": ("blue", "B02", "B02_10m"),
    "green": ("green", "B03", "B03_10m"),
    "red": ("red", "B04", "B04_10m"),
    "rededge1": ("rededge1", "B05", "B05_20m"),
    "rededge2": ("rededge2", "B06", "B06_20m"),
    "rededge3": ("rededge3", "B07", "B07_20m"),
    "nir": ("nir", "B08", "B08_10m"),
    "nir08": ("nir08", "B8A", "B8A_20m"),
    "nir09": ("nir09", "B09", "B09_60m"),
    "swir16": ("swir16", "B11", "B11_20m"),
    "swir22": ("swir22", "B12", "B12_20m"),
    "cirrus": ("cirrus", "B10"),
}
SENTINEL_2_M: Mapping[str, float] = {
    **dict.fromkeys(("blue", "green", "red", "nir"), 10.0),
    **dict.fromkeys(("rededge1", "rededge2", "rededge3", "nir08", "swir16", "swir22"), 20.0),
    **dict.fromkeys(("coastal", "nir09", "cirrus"), 60.0),
}
"""Native pixel of each role, in metres (ESA, "Sentinel-2 Products Specification Document" 14.9)."""

SENTINEL_2_QA: Assets = {"scl": ("scl", "SCL", "SCL_20m", "SCL_60m")}

_THERMAL = ("lwir11", "lwir", "ST_B10", "ST_B10.TIF", "ST_B6", "ST_B6.TIF")
LANDSAT: Assets = {
    "coastal": ("coastal",),
    "blue": ("blue",),
    "green": ("green",),
    "red": ("red",),
    "nir": ("nir08",),
    "nir08": ("nir08",),
    "swir16": ("swir16",),
    "swir22": ("swir22",),
    # The one thermal band of TM and ETM+ (10.4–12.5 µm) is called `lwir`; it serves as lwir11.
    "lwir11": _THERMAL,
}
LANDSAT_TEMPERATURE: Assets = {"lwir11": _THERMAL}
LANDSAT_QA: Assets = {
    "qa_pixel": ("qa_pixel", "QA_PIXEL", "QA_PIXEL.TIF", "pixel_quality"),
    "qa_radsat": ("qa_radsat", "QA_RADSAT", "QA_RADSAT.TIF", "radiometric_saturation"),
}

# What a number means depends on the instrument: SR_B1 is coastal of OLI and blue of TM and ETM+.
OLI_NUMBERS = {
    "coastal": 1,
    "blue": 2,
    "green": 3,
    "red": 4,
    "nir": 5,
    "nir08": 5,
    "swir16": 6,
    "swir22": 7,
}
TM_NUMBERS = {"blue": 1, "green": 2, "red": 3, "nir": 4, "nir08": 4, "swir16": 5, "swir22": 7}


def landsat_numbered(numbers: Mapping[str, int]) -> Assets:
    """Return the keys of Landsat Level 2 named or numbered, for one instrument."""
    named = {
        role: (*LANDSAT[role], f"SR_B{number}", f"SR_B{number}.TIF")
        for role, number in numbers.items()
    }
    return {**named, "lwir11": _THERMAL}


LANDSAT_L1: Assets = {
    **{role: keys for role, keys in LANDSAT.items() if role != "lwir11"},
    "cirrus": ("cirrus",),
}
LANDSAT_L1_OLI: Assets = {
    # Files of Level 1 are called B2 where those of Level 2 are SR_B2.
    **{
        role: (*LANDSAT_L1[role], f"B{number}", f"B{number}.TIF")
        for role, number in OLI_NUMBERS.items()
    },
    "cirrus": ("cirrus", "B9", "B9.TIF"),
}

HLS_L30: Assets = {
    # Planetary Computer and CMR-STAC number the bands, stactools names them.
    "coastal": ("B01", "coastal_aerosol"),
    "blue": ("B02", "blue"),
    "green": ("B03", "green"),
    "red": ("B04", "red"),
    "nir": ("B05", "nir_narrow"),
    "nir08": ("B05", "nir_narrow"),
    "swir16": ("B06", "swir_1"),
    "swir22": ("B07", "swir_2"),
    "cirrus": ("B09", "cirrus"),
    "lwir11": ("B10", "thermal_infrared_1"),
    "lwir12": ("B11", "thermal_infrared_2"),
}
HLS_S30: Assets = {
    "coastal": ("B01", "coastal_aerosol"),
    "blue": ("B02", "blue"),
    "green": ("B03", "green"),
    "red": ("B04", "red"),
    "rededge1": ("B05", "red_edge_1"),
    "rededge2": ("B06", "red_edge_2"),
    "rededge3": ("B07", "red_edge_3"),
    "nir": ("B08", "nir_broad"),
    "nir08": ("B8A", "nir_narrow"),
    "swir16": ("B11", "swir_1"),
    "swir22": ("B12", "swir_2"),
    "cirrus": ("B10", "cirrus"),
}
HLS_QA: Assets = {"fmask": ("Fmask", "fmask")}

DEA_SENTINEL_2: Assets = {
    "coastal": ("nbart_coastal_aerosol",),
    "blue": ("nbart_blue",),
    "green": ("nbart_green",),
    "red": ("nbart_red",),
    "rededge1": ("nbart_red_edge_1",),
    "rededge2": ("nbart_red_edge_2",),
    "rededge3": ("nbart_red_edge_3",),
    "nir": ("nbart_nir_1",),
    "nir08": ("nbart_nir_2",),
    "swir16": ("nbart_swir_2",),
    "swir22": ("nbart_swir_3",),
}
DEA_LANDSAT: Assets = {
    "coastal": ("nbart_coastal_aerosol",),
    "blue": ("nbart_blue",),
    "green": ("nbart_green",),
    "red": ("nbart_red",),
    "nir": ("nbart_nir",),
    "nir08": ("nbart_nir",),
    "swir16": ("nbart_swir_1",),
    "swir22": ("nbart_swir_2",),
}
DEA_QA: Assets = {"dea_fmask": ("oa_fmask",)}
