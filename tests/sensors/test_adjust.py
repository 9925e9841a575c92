"""Band pass and view angle: tables against what was published, the c-factor against formulas written out."""

import math

import numpy as np
import pystac
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sensors import Adjust, view_zenith
from pipeline.sensors.adjust import brdf
from pipeline.sensors.adjust.bandpass import BANDPASS
from pipeline.sensors.adjust.brdf import PARAMETERS, Angles, c_factor, li_sparse, ross_thick
from tests.sensors.real_items import index, read
from tests.sensors.test_rules import make

HLS, NADIR = Adjust(harmonize="hls"), Adjust(brdf="c-factor")
BOTH = Adjust(harmonize="hls", brdf="c-factor")

# Coastal, blue, green, red, narrow near infrared, shortwave infrared 1 and 2, as HLS lists them: "slope offset".
PUBLISHED = {
    "sentinel-2a": "0.9959 -0.0002 0.9778 -0.004 1.0053 -0.0009 0.9765 0.0009 0.9983 -0.0001 0.9987 -0.0011 1.003 -0.0012",
    "sentinel-2b": "0.9959 -0.0002 0.9778 -0.004 1.0075 -0.0008 0.9761 0.001 0.9966 0.000 1.000 -0.0003 0.9867 0.0004",
    "sentinel-2c": "1.003 -0.0 0.9851 -0.0027 1.0038 -0.0009 0.9718 0.0011 0.9995 -0.0003 0.9994 -0.0007 0.991 0.0004",
}
IN_ORDER = ("coastal", "blue", "green", "red", "nir08", "swir16", "swir22")

angles = st.builds(
    Angles,
    sun_zenith=st.floats(0, 80),
    view_zenith=st.floats(0, 15),
    azimuth=st.floats(-360, 360),
)


def item(platform="sentinel-2a", collection="sentinel-2-c1-l2a", **properties) -> pystac.Item:
    stated = {
        "platform": platform,
        "view:sun_azimuth": 150.0,
        "view:sun_elevation": 50.0,
        "view:azimuth": 105.0,
        "view:incidence_angle": 8.0,
    }
    return make(collection, stated | properties)


@pytest.mark.parametrize("platform", PUBLISHED)
def test_coefficients_are_those_that_hls_publishes(platform):
    numbers = iter(map(float, PUBLISHED[platform].split()))
    assert BANDPASS["hls"][platform] == dict(
        zip(IN_ORDER, zip(numbers, numbers, strict=True), strict=True)
    )
    for role in IN_ORDER:
        assert HLS.line(item(platform), role) == BANDPASS["hls"][platform][role]


def test_landsat_8_and_9_and_what_only_sentinel_2_has_stay_as_they_are():
    assert HLS.line(item("sentinel-2b"), "rededge2") == (1, 0)
    for platform in ("landsat-8", "landsat-9"):
        landsat = item(platform, "landsat-c2-l2")
        assert HLS.lacking(landsat) is None
        assert HLS.line(landsat, "blue") == (1, 0)
        assert HLS.reads(landsat, "nir") == "nir"


def test_the_near_infrared_that_is_compared_is_the_narrow_one():
    assert HLS.reads(item(), "nir") == HLS.reads(item(), "nir08") == "nir08"
    assert HLS.reads(item(collection="hls2-s30"), "nir") == "nir08"
    assert NADIR.reads(item(), "nir") == "nir"


@pytest.mark.parametrize("role", ["blue", "nir08", "rededge1", "swir22"])
def test_without_settings_nothing_changes(role):
    strange = make("sentinel-2-l1c", {})
    assert Adjust().lacking(strange) is None
    assert Adjust().line(strange, role) == (1, 0)
    assert Adjust().reads(strange, "nir") == "nir"


@pytest.mark.parametrize(
    ("adjust", "lacks", "why"),
    [
        (HLS, item("landsat-7", "landsat-c2-l2"), "no coefficients for landsat-7"),
        (HLS, item("sentinel-2d"), "no coefficients for sentinel-2d"),
        (HLS, item(None), "an unknown platform"),
        (HLS, item(collection="sentinel-2-l1c"), "no surface reflectance"),
        (NADIR, item(**{"view:azimuth": None}), "view:incidence_angle and view:azimuth"),
        (NADIR, item(**{"view:sun_azimuth": None}), "view:sun_azimuth"),
        (NADIR, item(**{"view:sun_elevation": 4.0}), "it has 4.0°"),
        # Earth Search v0 says so of every tile.
        (NADIR, item(**{"view:azimuth": None, "view:off_nadir": 0}), "view:incidence_angle"),
        (
            NADIR,
            item(
                "landsat-8", "landsat-c2-l2", **{"view:azimuth": None, "view:off_nadir": 14.9}
            ),
            "view:off_nadir 0",
        ),
    ],
)
def test_what_cannot_be_adjusted_says_why(adjust, lacks, why):
    assert why in adjust.lacking(lacks)


def test_products_that_are_adjusted_already_stay_as_they_are():
    for row in ("hls2-s30", "hls2-l30"):
        assert BOTH.lacking(make(row, {})) is None
        assert BOTH.line(make(row, {}), "blue") == (1, 0)
    # NBART is as seen from nadir, by its own sensor.
    nbart = make("ga_s2bm_ard_3", {})
    assert BOTH.lacking(nbart) is None
    assert BOTH.line(nbart, "red") == BANDPASS["hls"]["sentinel-2b"]["red"]


def test_the_view_comes_before_the_band_pass():
    slope, offset = BANDPASS["hls"]["sentinel-2a"]["red"]
    stands = Angles(sun_zenith=40.0, view_zenith=8.0, azimuth=-45.0)
    factor = c_factor("red", stands)
    assert BOTH.line(item(), "red") == (slope * factor, offset)
    assert NADIR.line(item(), "red") == (factor, 0)


def test_the_zenith_angle_needs_no_azimuth_and_off_nadir_is_believed_of_landsat_alone():
    off = {"view:azimuth": None, "view:incidence_angle": None, "view:off_nadir": 4.5}
    assert view_zenith(item(**{"view:azimuth": None}), "sentinel-2") == 8.0
    assert view_zenith(item(**off), "sentinel-2") is None
    assert view_zenith(item("landsat-8", "landsat-c2-l2", **off), "landsat") == 4.5
    assert view_zenith(item(**{"view:incidence_angle": 91.0}), "sentinel-2") is None


def test_landsat_s_mean_view_is_nadir():
    landsat = item("landsat-8", "landsat-c2-l2", **{"view:azimuth": None, "view:off_nadir": 0})
    assert NADIR.lacking(landsat) is None
    assert NADIR.line(landsat, "nir08") == (1, 0)


@pytest.mark.parametrize(
    ("catalogue", "stating"),
    [("cdse", {True}), ("earthsearch_v1", {True, False}), ("pc", {False})],
)
def test_real_items_of_sentinel_2_that_state_their_view(shared_data, catalogue, stating):
    """Old items of Earth Search and those of Planetary Computer do not."""
    items = [
        read(shared_data, name)
        for name in index(shared_data)
        if name.startswith(f"{catalogue}/")
    ]
    surface = [each for each in items if str(each.collection_id).endswith("-l2a")]
    assert {NADIR.lacking(each) is None for each in surface} == stating
    assert {HLS.lacking(each) for each in surface} == {None}


# -- the formulas ------------------------------------------------------------------------------


def kernels(sun, view, across):
    """RossThick and LiSparse-R by equations 38 to 44 of Lucht et al. 2000, b/r = 1, h/b = 2, with arrays."""
    theta, vartheta, phi = np.deg2rad([sun, view, across])
    cos_xi = np.cos(theta) * np.cos(vartheta) + np.sin(theta) * np.sin(vartheta) * np.cos(phi)
    xi = np.arccos(np.clip(cos_xi, -1, 1))
    volume = ((np.pi / 2 - xi) * cos_xi + np.sin(xi)) / (np.cos(theta) + np.cos(vartheta))
    distance2 = (
        np.tan(theta) ** 2
        + np.tan(vartheta) ** 2
        - 2 * np.tan(theta) * np.tan(vartheta) * np.cos(phi)
    )
    secants = 1 / np.cos(theta) + 1 / np.cos(vartheta)
    shadows = (np.tan(theta) * np.tan(vartheta) * np.sin(phi)) ** 2
    cos_t = np.clip(2 * np.sqrt(np.maximum(distance2 + shadows, 0)) / secants, -1, 1)
    t = np.arccos(cos_t)
    overlap = (t - np.sin(t) * cos_t) * secants / np.pi
    trees = overlap - secants + (1 + cos_xi) / np.cos(theta) / np.cos(vartheta) / 2
    return volume - np.pi / 4, trees


@given(angles, st.sampled_from(sorted(PARAMETERS)))
def test_the_c_factor_is_the_ratio_of_the_model_from_nadir_and_from_the_view(seen, role):
    iso, vol, geo = PARAMETERS[role]
    above = kernels(seen.sun_zenith, 0.0, 0.0)
    aside = kernels(seen.sun_zenith, seen.view_zenith, seen.azimuth)
    model = [iso + vol * volume + geo * trees for volume, trees in (above, aside)]
    assert c_factor(role, seen) == pytest.approx(model[0] / model[1], rel=1e-6)
    assert (ross_thick(seen), li_sparse(seen)) == pytest.approx(aside, abs=1e-6)


@given(angles)
def test_kernels_do_not_tell_sun_from_sensor(seen):
    swapped = Angles(
        sun_zenith=seen.view_zenith, view_zenith=seen.sun_zenith, azimuth=-seen.azimuth
    )
    assert ross_thick(seen) == pytest.approx(ross_thick(swapped), abs=1e-6)
    assert li_sparse(seen) == pytest.approx(li_sparse(swapped), abs=1e-6)


@given(angles, st.sampled_from(sorted(PARAMETERS)))
def test_a_view_of_sentinel_2_changes_reflectance_by_less_than_a_fifth(seen, role):
    assert 0.8 < c_factor(role, seen) < 1.25


def test_from_nadir_and_without_parameters_nothing_changes():
    assert c_factor("red", Angles(sun_zenith=30.0, view_zenith=0.0, azimuth=77.0)) == 1
    assert c_factor("nir09", Angles(sun_zenith=30.0, view_zenith=9.0, azimuth=77.0)) == 1


def test_ground_with_the_sun_behind_the_sensor_is_bright():
    behind, against = (
        c_factor("nir", Angles(sun_zenith=40.0, view_zenith=10.0, azimuth=across))
        for across in (0.0, 180.0)
    )
    assert behind < 1 < against


def test_both_kernels_are_zero_with_sun_and_sensor_overhead():
    overhead = Angles(sun_zenith=0.0, view_zenith=0.0, azimuth=0.0)
    assert brdf.ross_thick(overhead) == pytest.approx(0, abs=1e-12)
    assert math.isclose(brdf.li_sparse(overhead), 0, abs_tol=1e-12)
