"""Which pixels belong to an area: those that shapely says, whatever the scanlines cut."""

import numpy as np
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from pipeline.query.rasterize import draw

AFFINES = (Affine(10, 0, 600_000, 0, -10, 5_400_000), Affine(0.5, 0.2, 3, 0.1, -0.4, 50))
SIZE = 40

# Corners on centres, on edges of pixels, a hair beside them, and anywhere.
whole = st.integers(-8, 2 * SIZE).map(lambda n: n / 2)
hair = st.tuples(whole, st.sampled_from([1e-12, -1e-12, 1e-7, -1e-7])).map(sum)
numbers = st.one_of(whole, hair, st.floats(-5, SIZE + 5))
corners = st.lists(st.tuples(numbers, numbers), min_size=3, max_size=9)


@st.composite
def shapes(draw_from):
    """Draw polygons of pixels, with holes and several parts, and slivers."""
    parts = [
        shapely.make_valid(shapely.Polygon(draw_from(corners)))
        for _ in range(draw_from(st.integers(1, 3)))
    ]
    found = shapely.union_all(parts)
    hole = shapely.make_valid(shapely.Polygon(draw_from(corners)))
    found = shapely.difference(found, hole) if draw_from(st.booleans()) else found
    polygons = [
        each
        for part in shapely.get_parts([found])
        for each in shapely.get_parts([part])
        if each.geom_type == "Polygon" and each.area > 0
    ]
    return shapely.union_all(polygons) if polygons else shapely.box(1, 1, 7.5, 9.25)


@settings(max_examples=150, deadline=None)
@given(shapes(), st.sampled_from(AFFINES), st.integers(-6, 20), st.integers(-6, 20))
def test_pixels_are_those_whose_centre_shapely_finds_inside(shape, affine, top, left):
    geobox = GeoBox((SIZE, SIZE), affine, "EPSG:32632")
    area = shapely.transform(
        shape, lambda p: np.column_stack(affine @ (p[:, 0], p[:, 1])) if len(p) else p
    )
    if not area.is_valid:
        area = shapely.make_valid(area)
    if area.geom_type not in ("Polygon", "MultiPolygon"):
        return
    window = slice(top, top + 30), slice(left, left + 26)
    rows, cols = np.mgrid[window] + 0.5
    x, y = affine @ (cols, rows)
    np.testing.assert_array_equal(draw(area, geobox, window), shapely.contains_xy(area, x, y))


def test_a_box_on_centres_holds_none_of_its_rim():
    geobox = GeoBox((SIZE, SIZE), Affine(1, 0, 0, 0, 1, 0), "EPSG:32632")
    inside = draw(shapely.box(2.5, 3.5, 7.5, 9.5), geobox, (slice(0, SIZE), slice(0, SIZE)))
    rows, cols = np.nonzero(inside)
    assert (rows.min(), rows.max(), cols.min(), cols.max()) == (4, 8, 3, 6)
