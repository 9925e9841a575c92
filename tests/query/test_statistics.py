"""Statistics equal a brute-force count of pixel centres, whatever the AOI."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from pipeline import query
from pipeline.errors import QueryError
from pipeline.query.area import STEP_DEGREES, area_on, parts
from pipeline.types import Code, Period

many = settings(
    max_examples=40,
    deadline=None,
    # Explaining a failure takes minutes here.
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.target, Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
TO_GRID = Transformer.from_crs("EPSG:4326", "EPSG:32632", always_xy=True)


def membership(region, aoi, margin=0):
    """Say which centres of the grid, and of a margin round it, lie in an AOI."""
    ny, nx = region.grid.geobox.shape
    cols, rows = np.meshgrid(np.arange(-margin, nx + margin), np.arange(-margin, ny + margin))
    x, y = region.grid.geobox.affine @ (cols + 0.5, rows + 0.5)
    # The same steps: a centimetre decides for centres that lie on the outline.
    fine = shapely.segmentize(aoi, STEP_DEGREES)
    area = shapely.transform(
        fine, lambda p: np.column_stack(TO_GRID.transform(p[:, 0], p[:, 1]))
    )
    shapely.prepare(area)
    return shapely.contains_xy(area, x, y)


def check(region, aoi, margin=0):
    inside = membership(region, aoi, margin)
    ny, nx = region.grid.geobox.shape
    within = inside[margin : margin + ny, margin : margin + nx]
    if not within.any():
        return
    series = query.clear_sky(region.stored, aoi)
    assert [scene.time for scene in series.scenes] == sorted(s.time for s in series.scenes)
    seen = dict.fromkeys(region.whole, 0)
    for scene in series.scenes:
        codes = region.whole[scene.sensor][seen[scene.sensor]]
        seen[scene.sensor] += 1
        expected = {code: int((codes[within] == code).sum()) for code in Code}
        unread = int((codes[within] == -1).sum() + inside.sum() - within.sum())
        assert scene.counts == expected
        assert scene.unread == unread
        assert scene.pixels == inside.sum() == sum(expected.values()) + unread
    assert set(seen.values()) == {3}


points = st.tuples(st.floats(-10, 154), st.floats(-10, 186))


def test_steps_of_the_outline_lose_centimetres(region):
    edge = shapely.LineString([(8.0, 47.0), (10.0, 48.5)])
    lines = [
        shapely.transform(
            shapely.segmentize(edge, step),
            lambda p: np.column_stack(TO_GRID.transform(p[:, 0], p[:, 1])),
        )
        for step in (STEP_DEGREES, STEP_DEGREES / 50)
    ]
    assert shapely.hausdorff_distance(*lines) < 0.1


@many
@given(st.lists(points, min_size=3, max_size=9))
def test_any_polygon_equals_brute_force(region, ring):
    aoi = shapely.convex_hull(region.aoi(tuple(ring)))
    assume(aoi.geom_type == "Polygon")
    assume(aoi.area > 1e-9)
    check(region, aoi, margin=12)


@many
@given(
    st.lists(st.tuples(points, st.floats(1, 60), st.floats(0.1, 0.9)), min_size=1, max_size=4)
)
def test_holes_and_parts_equal_brute_force(region, rings):
    def circle(x, y, radius):
        angles = np.linspace(0, 2 * np.pi, 17)[:-1]
        return tuple((x + radius * np.cos(a), y + radius * np.sin(a)) for a in angles)

    polygons = [
        region.aoi(circle(x, y, r), circle(x, y, r * hole)) for (x, y), r, hole in rings
    ]
    check(region, shapely.union_all(polygons), margin=75)


@pytest.mark.parametrize("inset", [-0.3, 0.3, 5.2])
def test_whole_region_and_its_border(region, inset):
    ny, nx = region.grid.geobox.shape
    check(region, region.box(inset, inset, nx - inset, ny - inset), margin=3)


def test_no_aoi_is_the_whole_region_without_reading_pixels(region):
    def without_pixels(reader):
        def read(name, where):
            assert name != "mask"
            return reader(name, where)

        return read

    stored = {
        sensor: replace(each, reader=without_pixels(each.reader))
        for sensor, each in region.stored.items()
    }
    series = query.clear_sky(stored, None)
    taken = dict.fromkeys(region.whole, 0)
    for scene in series.scenes:
        codes = region.whole[scene.sensor][taken[scene.sensor]]
        taken[scene.sensor] += 1
        assert scene.pixels == codes.size
        assert scene.unread == (codes == -1).sum()
        assert scene.counts == {code: int((codes == code).sum()) for code in Code}


def test_tiles_inside_are_not_drawn(region):
    geobox = region.grid.geobox
    found = list(parts(area_on(geobox, region.box(20, 20, 120, 120)), geobox, 32))
    inside = {(part.row, part.col) for part in found if part.inside is None}
    assert inside == set(itertools.product((1, 2), (1, 2)))
    assert len(found) == 16


def test_periods_are_half_open(region):
    times = [scene.time for scene in query.clear_sky(region.stored, None).scenes]
    period = Period(start=times[0], end=times[-1])
    assert [s.time for s in query.clear_sky(region.stored, None, period).scenes] == times[:-1]
    late = datetime(2030, 1, 1, tzinfo=UTC)
    nothing = Period(start=late, end=late + timedelta(days=1))
    assert query.clear_sky(region.stored, None, nothing).scenes == ()
    assert query.clear_sky({}, None).scenes == ()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda region: shapely.box(20, 40, 21, 41),
            "outside the region.*longitude 9.0000 to 9.0385",
        ),
        (lambda region: region.box(10.1, 10.1, 10.2, 10.2), "too small"),
        (lambda region: shapely.Point(9.01, 47.8), "must be a polygon"),
        (lambda region: shapely.Polygon(), "must be a polygon"),
        (lambda region: shapely.box(-400, -95, 400, 95), "longitude and latitude in degrees"),
    ],
)
def test_impossible_areas_are_explained(region, make, said):
    with pytest.raises(QueryError, match=said):
        query.clear_sky(region.stored, make(region))


def test_rows_of_one_second_are_told_apart(region):
    series = query.clear_sky(region.stored, region.box(-5, 3, 77, 99))
    scene = series.scenes[0]
    moved = replace(scene, time=scene.time + timedelta(microseconds=1))
    rows = query.to_rows(replace(series, scenes=(scene, moved, *series.scenes[1:])))
    assert rows[0]["time"][:20] == rows[1]["time"][:20] == "2026-06-01T10:30:20."
    assert len({(row["sensor"], row["time"]) for row in rows}) == len(rows)
    assert len(rows[2]["time"]) == 20


def test_rows_add_up(region):
    series = query.clear_sky(region.stored, region.box(-5, 3, 77, 99))
    rows = query.to_rows(series)
    assert len(rows) == 6
    assert rows[0]["time"] == "2026-06-01T10:30:20Z"
    assert (rows[0]["sensor"], rows[0]["platform"]) == ("landsat", "landsata")
    parts_of_all = ("clear", "thin", "thick", "shadow", "no_data", "unread")
    for row in rows:
        assert sum(row[f"{name}_pct"] for name in parts_of_all) == pytest.approx(100, abs=0.05)
        assert row["snow_pct"] <= row["clear_pct"]
