"""Suns over items, counted from grid north; shadows judged by the sun of a pixel's own item."""

from datetime import UTC, datetime

import numpy as np
import pystac
import pytest
from odc.geo.crs import CRS
from pyproj import Proj
from shapely.geometry import box, mapping

from pipeline.run.common.postprocess import finished, reach_px, roles_needed, sun_over
from pipeline.types import CleanSettings, Code, MaskSettings, ShadowSettings


def item_at(longitude, latitude, **properties):
    place = box(longitude - 0.1, latitude - 0.1, longitude + 0.1, latitude + 0.1)
    item = pystac.Item(
        "one", mapping(place), list(place.bounds), datetime(2023, 6, 1, tzinfo=UTC), {}
    )
    item.properties |= properties
    return item


@pytest.mark.parametrize(
    ("crs", "longitude", "latitude"),
    [
        ("EPSG:32633", 17.5, 48),
        ("EPSG:32633", 12.5, 48),
        ("EPSG:32733", 17.5, -30),
        ("EPSG:3035", 25, 60),
    ],
)
def test_azimuths_are_counted_from_grid_north(crs, longitude, latitude):
    sunny = {"view:sun_azimuth": 150.0, "view:sun_elevation": 40.0}
    sun = sun_over(item_at(longitude, latitude, **sunny), CRS(crs))
    convergence = Proj(crs).get_factors(longitude, latitude).meridian_convergence
    assert sun.azimuth == pytest.approx(150 - convergence, abs=0.01)
    assert sun.elevation == 40


def test_east_of_the_middle_true_north_lies_to_the_left():
    noon = {"view:sun_azimuth": 180.0, "s2:mean_solar_zenith": 50.0}
    sun = sun_over(item_at(17.5, 48, **noon), CRS("EPSG:32633"))
    assert 177 < sun.azimuth < 179
    assert sun.elevation == 40


def test_an_item_that_does_not_say_it_has_no_sun():
    assert sun_over(item_at(15, 48, **{"view:sun_azimuth": 150.0}), CRS("EPSG:32633")) is None


def test_each_pixel_is_judged_by_the_sun_of_its_own_item():
    codes = np.full((60, 60), Code.CLEAR, np.uint8)
    codes[30, 30] = Code.THICK_CLOUD
    codes[10, 30] = codes[50, 30] = Code.CLOUD_SHADOW
    source = np.zeros((60, 60), np.int32)
    source[40:] = 1
    how = MaskSettings(shadows=ShadowSettings(lowest_m=200, highest_m=200, tolerance_m=15))
    south, north = (
        sun_over(
            item_at(15, 48, **{"view:sun_azimuth": azimuth, "view:sun_elevation": 45.0}),
            CRS("EPSG:32633"),
        )
        for azimuth in (180.0, 0.0)
    )
    seen = {"source": source}
    both = finished(codes, seen, {0: south, 1: north}, how, 10.0)
    np.testing.assert_array_equal(both, codes)
    one = finished(codes, seen, {0: south, 1: south}, how, 10.0)
    assert one[50, 30] == Code.CLEAR
    unknown = finished(codes, seen, {0: north}, how, 10.0)
    assert unknown[50, 30] == Code.CLOUD_SHADOW
    assert unknown[10, 30] == Code.CLEAR


def test_what_is_needed_beyond_a_tile_adds_up():
    assert reach_px(MaskSettings(), 10) == 0
    clean = {"cloud": CleanSettings(dilate_m=60)}
    assert reach_px(MaskSettings(clean=clean), 10) == 6
    shadows = ShadowSettings(highest_m=1000, lowest_sun=45, tolerance_m=100)
    assert reach_px(MaskSettings(clean=clean, shadows=shadows), 10) in (117, 118)
    assert roles_needed(MaskSettings(shadows=ShadowSettings(add=True)), ("red",)) == (
        "red",
        "nir",
    )
    assert roles_needed(MaskSettings(shadows=shadows), ("red",)) == ("red",)
