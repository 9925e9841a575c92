"""Where items are: every encoding of the antimeridian, the poles, and what is no place at all."""

import json
import math
from pathlib import Path

import numpy as np
import pystac
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.affinity import translate
from shapely.geometry import MultiPolygon, Polygon, box, mapping, shape

from pipeline.search import search
from pipeline.testing import make_job
from pipeline.types import Source
from pipeline.types import footprint as outline
from pipeline.types.lonlat import cut as repaired
from tests.search.test_search import ids, make_item, write_collection


def item_at(geometry=None, bbox=None):
    return pystac.Item(
        id="one",
        geometry=mapping(geometry) if geometry is not None else None,
        bbox=bbox,
        datetime=make_item("x").datetime,
        properties={},
    )


def wrap(longitude):
    return (longitude + 180) % 360 - 180


# Encodings of one box, given with longitudes that run on beyond 180.


def ring(west, south, east, north):
    return [(west, south), (east, south), (east, north), (west, north)]


def long_way(*edges):
    return Polygon([(wrap(x), y) for x, y in ring(*edges)])


def clockwise(*edges):
    return long_way(*edges).reverse()


def beyond(*edges):
    return box(*edges)


def below(*edges):
    return translate(box(*edges), xoff=-360)


def split(west, south, east, north):
    return MultiPolygon([box(west, south, 180, north), box(-180, south, east - 360, north)])


ENCODINGS = [long_way, clockwise, beyond, below, split]

# GEOS loses triangles to numbers below 1e-307, which no footprint has.
latitudes = st.floats(-85, 80, allow_subnormal=False)
crossing = st.tuples(
    st.floats(170, 179.9), latitudes, st.floats(180.1, 190), st.floats(0.5, 5)
).map(lambda t: (t[0], t[1], t[2], t[1] + t[3]))


@given(crossing, st.sampled_from(ENCODINGS))
def test_every_encoding_is_the_same_place(edges, encode):
    west, south, east, north = edges
    found = outline(item_at(encode(*edges)))
    expected = split(*edges)
    assert found.is_valid
    assert found.symmetric_difference(expected).area < 1e-5  # of edges, by 1e-7 degrees
    by_bbox = outline(item_at(bbox=[west, south, east - 360, north]))
    assert by_bbox.symmetric_difference(expected).area < 1e-9
    in_3d = outline(item_at(bbox=[west, south, 0, east - 360, north, 9]))
    assert in_3d.equals(by_bbox)


@given(crossing, st.sampled_from(ENCODINGS), st.floats(-180, 180), st.floats(-89, 89))
def test_an_item_touches_what_it_covers_and_nothing_else(edges, encode, x, y):
    west, south, east, north = edges
    inside = any(west < x + turn < east for turn in (0, 360)) and south < y < north
    near = (
        any(min(abs(x + turn - west), abs(x + turn - east)) < 1e-6 for turn in (0, 360))
        or min(abs(y - south), abs(y - north), abs(abs(x) - 180)) < 1e-6
    )
    if not near:
        found = outline(item_at(encode(*edges)))
        assert found.intersects(shapely.Point(x, y)) is inside


@given(st.floats(-179, 170), st.floats(-89, 80), st.floats(0.01, 9), st.floats(0.01, 9))
def test_what_does_not_cross_stays_as_it_is(west, south, width, height):
    given_box = box(west, south, west + width, south + height)
    assert repaired(given_box).equals_exact(given_box)


@pytest.mark.parametrize("name", ["north", "south"])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_ring_around_a_pole_encloses_that_pole(name, reverse):
    sign = 1 if name == "north" else -1
    ring_of = Polygon([(x, sign * 80) for x in (-135, -45, 45, 135)])
    found = outline(item_at(ring_of.reverse() if reverse else ring_of))
    assert found.intersects(shapely.Point(100, sign * 89))
    assert not found.intersects(shapely.Point(100, 0))
    assert not found.intersects(shapely.Point(100, -sign * 89))


def test_the_whole_world_is_the_whole_world():
    for found in (
        outline(item_at(box(-180, -90, 180, 90))),
        outline(item_at(bbox=[-180, -90, 180, 90])),
    ):
        assert found.area == pytest.approx(360 * 180)


@pytest.mark.parametrize(
    ("geometry", "bbox"),
    [
        (None, None),
        ({}, []),
        ({"type": "Polygon"}, [1, 2, 3]),
        ({"type": "Polygon", "coordinates": [[["a", "b"]]]}, ["a", "b", "c", "d"]),
        ({"type": "Polygon", "coordinates": []}, [math.nan] * 4),
        (
            {
                "type": "Polygon",
                "coordinates": [[[5e5, 5e6], [6e5, 5e6], [6e5, 6e6], [5e5, 5e6]]],
            },
        )
        * 2,
        ({"type": "Point", "coordinates": [0, math.inf]}, None),
        ("POLYGON", "bbox"),
    ],
)
def test_what_is_no_place_is_none(geometry, bbox):
    item = item_at()
    item.geometry, item.bbox = geometry, bbox
    assert outline(item) is None


def test_an_invalid_outline_is_repaired():
    bow = Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])
    assert outline(item_at(bow)).area == pytest.approx(2)


def test_real_items_at_the_antimeridian_are_small(shared_data):
    """Each is a tile or scene: none covers more than a few degrees, at either edge of the map."""
    found = []
    for path in sorted((shared_data / "stac_items").glob("*/*.json")):
        if path.parent.name == "collections":
            continue
        item = pystac.Item.from_dict(json.loads(path.read_text()), migrate=False)
        where = outline(item)
        west, _, east, _ = where.bounds
        if west < -179.9 and east > 179.9:
            found.append(item.id)
        parts = getattr(where, "geoms", [where])
        widths = [part.bounds[2] - part.bounds[0] for part in parts]
        limit = 45 if "ga_ls" in path.name or "albers" in path.name else 15
        assert max(widths) < limit, path.name
        original = shape(item.geometry)
        if original.is_valid and np.ptp(original.bounds[::2]) < 180:
            assert where.equals(original), path.name
    assert len(found) == 6


def test_an_aoi_across_the_antimeridian_loses_and_invents_nothing(tmp_path):
    """4913 items instead of 48 (openeo-geopyspark-driver#1568): items of these latitudes all around."""
    around = [
        make_item(f"at{west:+04d}", bounds=(west, 50, west + 1, 51))
        for west in range(-179, 179, 5)
    ]
    crossers = []
    for encode in ENCODINGS:
        item = make_item(encode.__name__)
        item.geometry = mapping(encode(179.2, 50, 180.8, 51))
        item.bbox = [179.2, 50, -179.2, 51]
        crossers.append(item)
    catalog = Path(write_collection(tmp_path, *around, *crossers, make_item("bbox")))
    document = json.loads(catalog.read_text())
    document["features"][-1] |= {"geometry": None, "bbox": [179.2, 50, -179.2, 51]}
    catalog.write_text(json.dumps(document))
    aoi = MultiPolygon([box(179.5, 50.2, 180, 50.8), box(-180, 50.2, -179.5, 50.8)])
    for part in (aoi, *aoi.geoms):
        found = search(make_job(aoi=part, sources=(Source(catalog=str(catalog)),)))
        assert set(ids(found)) == {*(encode.__name__ for encode in ENCODINGS), "bbox"}
        assert not found.dropped
