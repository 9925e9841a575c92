"""Areas of interest in any form."""

import json

import pytest
import shapely
from shapely.geometry import GeometryCollection, LineString, MultiPolygon, Point, box, mapping

from pipeline.config import parse_job
from pipeline.errors import ConfigError

SQUARE = box(9, 50, 10, 51)
BOWTIE = shapely.from_wkt("POLYGON ((0 0, 1 1, 1 0, 0 1, 0 0))")
FEATURE = {"type": "Feature", "properties": {}, "geometry": mapping(SQUARE)}


@pytest.mark.parametrize(
    "value",
    [
        [9, 50, 10, 51],
        (9.0, 50.0, 10.0, 51.0),
        "9,50,10,51",
        "[9.0, 5e1, 10, 51.]",
        mapping(SQUARE),
        FEATURE,
        {"type": "FeatureCollection", "features": [FEATURE]},
        json.dumps(FEATURE),
        SQUARE.wkt,
        SQUARE.wkt.lower(),
        "POLYGON Z ((9 50 1, 10 50 1, 10 51 1, 9 51 1, 9 50 1))",
        GeometryCollection([SQUARE]),
        SQUARE,
    ],
)
def test_every_form_gives_the_same_area(read, value):
    aoi = read(value)
    assert aoi.equals(SQUARE)
    assert aoi.is_valid
    assert not aoi.has_z


def test_several_features_are_united(read):
    right = {"type": "Feature", "geometry": mapping(box(9.5, 50, 11, 51))}
    far = {"type": "Feature", "geometry": mapping(box(20, 50, 21, 51))}
    joined = read({"type": "FeatureCollection", "features": [FEATURE, right]})
    assert joined.equals(box(9, 50, 11, 51))
    assert (
        read({"type": "FeatureCollection", "features": [FEATURE, far]}).geom_type
        == "MultiPolygon"
    )


def test_a_bowtie_is_repaired(read):
    aoi = read(BOWTIE)
    assert aoi.is_valid
    assert aoi.area == pytest.approx(0.5)


def test_a_bbox_over_the_antimeridian_is_split(read):
    aoi = read([170, -20, -170, -10])
    assert isinstance(aoi, MultiPolygon)
    assert aoi.bounds == (-180, -20, 180, -10)
    assert aoi.area == pytest.approx(200)
    assert read([180, -20, -170, -10]).bounds == (-180, -20, -170, -10)


def test_the_whole_world_is_an_area(read):
    assert read([-180, -90, 180, 90]).area == 360 * 180


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ([9, 50, 10], "four numbers"),
        ([9, 50, 10, "51"], "four numbers"),
        ([9, 51, 10, 50], "south .51. below its north .50."),
        ([9, 50, 9, 51], "some width"),
        ([180, 50, -180, 51], "some width"),
        ([11.75, 48.1, 11.72, 48.2], r"west \(11.75\) is east of its east \(11.72\): swapped"),
        ([10, 50, -10, 51], "swapped"),
        ([-33, 151, -34, 152], "are longitude and latitude swapped"),
        (box(-34, 151, -33, 152), "are longitude and latitude swapped"),
        ({"type": "FeatureCollection", "features": [7]}, "features must be a list"),
        ({"type": "FeatureCollection", "features": "x"}, "features must be a list"),
        ({**mapping(SQUARE), "crs": {"properties": {"name": "EPSG:32632"}}}, "CRS EPSG:32632"),
        ('{"type": "Point", "type": "Polygon"}', "a key occurs twice"),
        ([9, 50, 200, 51], "not longitudes and latitudes"),
        ([600_000, 5_500_000, 610_000, 5_510_000], "not longitudes and latitudes"),
        ([9, 50, float("nan"), 51], "not longitudes and latitudes"),
        ([9, float("-inf"), 10, 51], "not longitudes and latitudes"),
        ([200, 50, -170, 51], "not longitudes and latitudes"),
        (Point(9, 50), "Point, which cover no area"),
        (LineString([(9, 50), (10, 51)]), "LineString, which cover no area"),
        (GeometryCollection([SQUARE, Point(0, 0)]), "Point, which cover no area"),
        ("POINT (9 50)", "Point, which cover no area"),
        ("POLYGON EMPTY", "empty"),
        ("POLYGON ((9 50, 10", "WKT cannot be read"),
        ("POLYGON ((9 50, 10 50, 9 50, 9 50))", "no area"),
        ('{"type": "Polygon"', "JSON cannot be read"),
        ({"type": "Polygon"}, "GeoJSON cannot be read"),
        ({"type": "Polygon", "coordinates": [[["a", "b"]] * 4]}, "GeoJSON cannot be read"),
        ({"type": "Blob", "coordinates": []}, "GeoJSON cannot be read"),
        ({"type": "FeatureCollection", "features": []}, "empty"),
        ({"type": "Feature", "geometry": None}, "empty"),
        ({}, "GeoJSON cannot be read"),
        ("nowhere.gpkg", "there is no file .*nowhere.gpkg"),
        ("/vsicurl/https://example.org/a.geojson", "there is no file"),
        ("a\0b", "there is no file"),
        ("x" * 5000, "there is no file"),
        (7, "none of these"),
        (None, "none of these"),
    ],
)
def test_what_is_no_area(read, value, why):
    with pytest.raises(ValueError, match=why):
        read(value)


def test_the_job_file_says_so_in_one_line():
    with pytest.raises(ConfigError) as caught:
        parse_job({"aoi": "nowhere.gpkg"})
    (line,) = [each for each in str(caught.value).splitlines() if each.startswith("aoi")]
    assert line.startswith(
        "aoi: found 'nowhere.gpkg', expected a bbox [west, south, east, north]"
    )


@pytest.mark.parametrize("west", [170, -190])
def test_polygons_that_run_on_past_180_are_cut(read, west):
    aoi = read(mapping(box(west, -20, west + 20, -10)))
    assert aoi.equals(read([170, -20, -170, -10]))
    wide = read(mapping(box(west, -20, west + 185, -10)))
    assert wide.area == pytest.approx(1850)


def test_a_wide_polygon_is_no_crossing(read):
    """Its edges are longer than half the world, and it means what it says."""
    wide = box(-100, 0, 100, 10)
    assert read(mapping(wide)).equals(wide)
