"""Roles -> asset keys, per way of naming bands, against the real items."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pystac
import pytest

from pipeline import sensors
from pipeline.errors import RadiometryError
from tests.sensors.real_items import files_of, index, read

NAMED_S2 = {
    role: role
    for role in (
        *("coastal", "blue", "green", "red", "rededge1", "rededge2", "rededge3"),
        *("nir", "nir08", "nir09", "swir16", "swir22"),
    )
}
_NUMBERS = (
    *("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12"),
)
NUMBERED_S2 = dict(zip(NAMED_S2, _NUMBERS, strict=True))
_CDSE_M = (60, 10, 10, 10, 20, 20, 20, 10, 20, 60, 20, 20)
CDSE_S2 = {
    role: f"{number}_{metres}m"
    for (role, number), metres in zip(NUMBERED_S2.items(), _CDSE_M, strict=True)
}
NAMED_LANDSAT = {
    **{role: role for role in ("blue", "green", "red", "nir08", "swir16", "swir22")},
    "nir": "nir08",
}
OLI = {
    "coastal": "SR_B1",
    "blue": "SR_B2",
    "green": "SR_B3",
    "red": "SR_B4",
    "nir": "SR_B5",
    "nir08": "SR_B5",
    "swir16": "SR_B6",
    "swir22": "SR_B7",
}
ETM = {
    "blue": "SR_B1",
    "green": "SR_B2",
    "red": "SR_B3",
    "nir": "SR_B4",
    "nir08": "SR_B4",
    "swir16": "SR_B5",
    "swir22": "SR_B7",
}


def _files(table: dict[str, str]) -> dict[str, str]:
    return {role: f"{asset}.TIF" for role, asset in table.items()}


USGS = "usgs_landsatlook/landsat-c2l2-sr__"
OFFERED = {
    "earthsearch_v1/sentinel-2-l2a__S2A_32TMT_20200302_0_L2A.json": NAMED_S2,
    "earthsearch_v1/sentinel-2-l1c__S2B_24MUV_20250731_0_L1C.json": {
        **NAMED_S2,
        "cirrus": "cirrus",
    },
    "earthsearch_v1/sentinel-2-c1-l2a__S2A_T13TDE_20240402T174230_L2A.json": NAMED_S2,
    "earthsearch_v1/landsat-c2-l2__LC08_L2SP_033032_20231008_02_T1.json": {
        **NAMED_LANDSAT,
        "coastal": "coastal",
        "lwir11": "lwir11",
    },
    "earthsearch_v0/sentinel-s2-l2a-cogs__S2A_28QCH_20200714_0_L2A.json": NUMBERED_S2,
    "pc/sentinel-2-l2a__S2B_MSIL2A_20220612T182919_R027_T24XWR_20220613T123251.json": NUMBERED_S2,
    "cdse/sentinel-2-l2a__S2A_MSIL2A_20241107T113311_N0511_R080_T32VKR_20241107T123948.json": CDSE_S2,
    "deafrica/s2_l2a_c1__S2B_T37MGP_20240710T073012_L2A.json": NAMED_S2,
    "dea/ga_s2am_ard_3__e2baf679-c20a-479f-86c5-ffd98c65ff87.json": {
        "coastal": "nbart_coastal_aerosol",
        "blue": "nbart_blue",
        "green": "nbart_green",
        "red": "nbart_red",
        "rededge1": "nbart_red_edge_1",
        "rededge2": "nbart_red_edge_2",
        "rededge3": "nbart_red_edge_3",
        "nir": "nbart_nir_1",
        "nir08": "nbart_nir_2",
        "swir16": "nbart_swir_2",
        "swir22": "nbart_swir_3",
    },
    "dea/nocollection__2aa69fcf-aa55-4747-9d95-3652f9fe79b0.json": {
        "coastal": "nbart_coastal_aerosol",
        "blue": "nbart_blue",
        "green": "nbart_green",
        "red": "nbart_red",
        "nir": "nbart_nir",
        "nir08": "nbart_nir",
        "swir16": "nbart_swir_1",
        "swir22": "nbart_swir_2",
    },
    "cmr_stac/HLSL30.v1.5__G1994512890-LPCLOUD.json": {
        "coastal": "B01",
        "blue": "B02",
        "green": "B03",
        "red": "B04",
        "nir": "B05",
        "nir08": "B05",
        "swir16": "B06",
        "swir22": "B07",
        "cirrus": "B09",
        "lwir11": "B10",
        "lwir12": "B11",
    },
    "stactools_hls/hls__HLS.L30.T19LDD.2022165T144027.v2.0.json": {
        "coastal": "coastal_aerosol",
        "blue": "blue",
        "green": "green",
        "red": "red",
        "nir": "nir_narrow",
        "nir08": "nir_narrow",
        "swir16": "swir_1",
        "swir22": "swir_2",
        "cirrus": "cirrus",
        "lwir11": "thermal_infrared_1",
        "lwir12": "thermal_infrared_2",
    },
    "stactools_hls/hls__HLS.S30.T19LDD.2022166T144741.v2.0.json": {
        "coastal": "coastal_aerosol",
        "blue": "blue",
        "green": "green",
        "red": "red",
        **{f"rededge{n}": f"red_edge_{n}" for n in (1, 2, 3)},
        "nir": "nir_broad",
        "nir08": "nir_narrow",
        "swir16": "swir_1",
        "swir22": "swir_2",
        "cirrus": "cirrus",
    },
    # TM and ETM+ number their bands otherwise than OLI.
    f"{USGS}LC08_L2SP_005009_20150710_20200908_02_T2.json": _files(OLI),
    f"{USGS}LE07_L2SP_021030_20100109_20200911_02_T1.json": _files(ETM),
    f"{USGS}LC08_L2SP_028030_20200114_20200824_02_T1_SR.json": {
        **NAMED_LANDSAT,
        "coastal": "coastal",
    },
    f"{USGS}LT04_L2SP_002026_19830110_20200918_02_T1_SR.json": NAMED_LANDSAT,
    "stactools_landsat/landsat-c2-l2__LE07_L2SP_021030_20100109_02_T1.json": {
        **NAMED_LANDSAT,
        "lwir11": "lwir",
    },
    "stactools_landsat/landsat-c2-l1__LM05_L1GS_001001_19850524_02_T2.json": {
        "green": "green",
        "red": "red",
        "nir": "nir08",
        "nir08": "nir08",
    },
}


@pytest.mark.parametrize("name", OFFERED, ids=str)
def test_roles_are_found_under_the_names_of_each_catalogue(shared_data: Path, name):
    item = read(shared_data, name)
    assert sensors.profile(item).offered(item) == OFFERED[name]


def test_the_planetary_computers_numbered_landsat_may_lack_the_thermal_band(shared_data: Path):
    tables = {
        json.dumps(sensors.profile(item).offered(item), sort_keys=True)
        for name in files_of(shared_data, ("pc", "landsat-8-c2-l2", "", ""))
        for item in [read(shared_data, name)]
    }
    assert tables == {
        json.dumps(table, sort_keys=True) for table in (OLI, {**OLI, "lwir11": "ST_B10"})
    }


def test_what_assets_call_themselves_agrees_with_their_role(shared_data: Path):
    # The HLS of stactools calls both of its near infrareds `nir`, and the Planetary Computer B8A
    # `rededge`; hardly anyone numbers the red edge. So keys decide, never common names.
    compared = 0
    for name in index(shared_data):
        item = read(shared_data, name)
        try:
            offered = sensors.profile(item).offered(item)
        except RadiometryError:
            continue
        for role, asset_key in offered.items():
            described = item.assets[asset_key].extra_fields
            for band in described.get("bands") or described.get("eo:bands") or ():
                said = isinstance(band, dict) and (
                    band.get("common_name") or band.get("eo:common_name")
                )
                if said:
                    assert _alike(said, role), (name, role, said)
                    compared += 1
    assert compared > 1000


def _alike(said: str, role: str) -> bool:
    if {said, role} <= {"nir", "nir08"}:
        return True
    if said.startswith("rededge"):
        return role.startswith("rededge") or role == "nir08"
    return said == role or (said, role) == ("lwir", "lwir11")


def test_masks_are_found_under_the_names_of_each_catalogue(shared_data: Path):
    kinds = {}
    for name in index(shared_data):
        item = read(shared_data, name)
        try:
            found = sensors.profile(item).masks(item)
        except RadiometryError:
            continue
        for kind, asset_key in found.items():
            kinds.setdefault(kind, set()).add(asset_key)
    assert kinds == {
        "scl": {"scl", "SCL", "SCL_20m"},
        "qa_pixel": {"qa_pixel", "QA_PIXEL", "QA_PIXEL.TIF"},
        "qa_radsat": {"qa_radsat", "QA_RADSAT", "QA_RADSAT.TIF"},
        "fmask": {"Fmask", "fmask"},
        "dea_fmask": {"oa_fmask"},
    }


def test_every_real_asset_of_a_role_is_its_first_band(shared_data: Path):
    for name in OFFERED:
        item = read(shared_data, name)
        profile = sensors.profile(item)
        assert {profile.band(item, role) for role in profile.offered(item)} == {1}


def _stacked(*bands: dict, field: str = "bands") -> pystac.Item:
    item = pystac.Item(
        id="made",
        geometry=None,
        bbox=None,
        datetime=datetime(2023, 6, 1, tzinfo=UTC),
        properties={},
        collection="sentinel-2-l2a",
    )
    item.add_asset("red", pystac.Asset(href="all.tif", extra_fields={field: list(bands)}))
    return item


def test_a_band_of_a_stacked_asset_is_found_by_its_name():
    one = {"name": "B02", "eo:common_name": "blue"}, {"name": "x", "eo:common_name": "red"}
    two = {"name": "B02"}, {"name": "B03"}, {"name": "B04"}
    item = _stacked(*one)
    assert sensors.profile(item).band(item, "red") == 2
    item = _stacked(*two, field="eo:bands")
    assert sensors.profile(item).band(item, "red") == 3


def test_a_stacked_asset_that_does_not_name_its_bands_is_refused():
    item = _stacked({"name": "1"}, {"name": "2"})
    with pytest.raises(RadiometryError, match="made: the asset of red holds 2 bands"):
        sensors.profile(item).band(item, "red")
