"""Answers are those of the pixels: numpy on what was written, and `pipeline.query`."""

from datetime import UTC, datetime

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.query import clear_sky
from pipeline.query.area import area_on
from pipeline.store.arrays.masks import count_blocks
from pipeline.types import Code, Period
from tests.serve.region import SENSORS

pixels = st.tuples(st.floats(-20, 170), st.floats(-20, 230))


@st.composite
def areas(draw, region):
    """Draw triangles, boxes and stars, inside, across and beside the region."""
    points = draw(st.lists(pixels, min_size=3, max_size=6))
    hull = shapely.MultiPoint(points).convex_hull
    if hull.area < 4:
        x, y = points[0]
        hull = shapely.box(x, y, x + 5, y + 5)
    return region.polygon([*hull.exterior.coords][:-1]), hull


@settings(max_examples=settings().max_examples // 2, deadline=None)
@given(data=st.data())
def test_series_are_those_of_the_pixels_and_of_the_query(client, region, data):
    area, _ = data.draw(areas(region))
    month = data.draw(st.sampled_from([None, "2026-06", "2026-06-02/2026-07-05"]))
    sensor = data.draw(st.sampled_from([None, *SENSORS]))
    asked = {"datetime": month, "sensor": sensor}
    body = {"type": "Feature", "geometry": shapely.geometry.mapping(area), "properties": {}}
    answer = client.post(
        "/archives/alps/clear-sky", json=body, params={k: v for k, v in asked.items() if v}
    )
    if answer.status_code == 422:
        assert (
            "lies outside" in answer.json()["detail"] or "too small" in answer.json()["detail"]
        )
        return
    rows = [row for row in answer.json()["data"] if row["state"] == "scene"]
    whole = inside(region, area)
    for row in rows:
        assert row["counts"] == counted(region, row, whole)
        assert row["pixels"] == sum(row["counts"].values())
    masks = {
        each: region.open().stored_masks(each) for each in ([sensor] if sensor else SENSORS)
    }
    series = clear_sky(masks, shapely.geometry.shape(body["geometry"]), period(month))
    theirs = [each for each in series.scenes if each.is_there]
    assert [round(each.percent(1, 2, 3), 4) for each in theirs] == [
        row["clear_percent"] for row in rows
    ]


def period(text):
    edges = {
        "2026-06": ((2026, 6, 1), (2026, 7, 1)),
        "2026-06-02/2026-07-05": ((2026, 6, 2), (2026, 7, 6)),
    }
    if text is None:
        return None
    start, end = (datetime(*each, tzinfo=UTC) for each in edges[text])
    return Period(start=start, end=end)


def inside(region, area):
    """Say which pixels (y, x), those around the region included, have their centre in an area in degrees."""
    projected = area_on(region.grid.geobox, area)
    ny, nx = region.grid.geobox.shape
    rows, cols = np.mgrid[-40 : ny + 40, -40 : nx + 40] + 0.5
    affine = region.grid.geobox.affine
    x, y = affine.a * cols + affine.c, affine.e * rows + affine.f
    return shapely.contains_xy(projected, x, y)


def counted(region, row, whole):
    [codes] = [
        each
        for (sensor, time), each in region.codes.items()
        if (sensor, time.isoformat()[:26]) == (row["sensor"], row["interval"]["from"][:26])
    ]
    padded = np.pad(codes, 40, constant_values=-1)[whole]
    counts = {code.name.lower(): int((padded == code).sum()) for code in Code}
    return counts | {"unread": int((padded == -1).sum())}


@settings(max_examples=settings().max_examples, deadline=None)
@given(data=st.data())
def test_what_is_read_past_zarr_is_what_zarr_reads(region, data):
    archive = region.open()
    kind, name, array = data.draw(
        st.sampled_from(
            [
                ("masks", "sentinel-2", "mask"),
                ("masks", "landsat", "confidence"),
                ("composites", "monthly", "red"),
                ("composites", "monthly", "score"),
                ("composites", "monthly", "day"),
            ]
        )
    )
    levels = archive.levels(kind, name) if array in ("mask", "red") else (1,)
    level = data.draw(st.sampled_from(levels))
    group = archive._root[f"{kind}/{name}" + (f"/by{level}" if level > 1 else "")]
    stored = group[array][...]
    at = data.draw(st.integers(0, stored.shape[0] - 1))
    window = tuple(
        slice(*sorted(data.draw(st.tuples(st.integers(0, size), st.integers(0, size)))))
        for size in stored.shape[1:]
    )
    reader = archive.reader(kind, name, level=level)
    for _ in range(2):
        np.testing.assert_array_equal(reader(array, (at, *window)), stored[(at, *window)])


@given(
    st.integers(1, 130), st.integers(1, 130), st.sampled_from([32, 64, 96, 128]), st.integers()
)
@settings(max_examples=30, deadline=None)
def test_squares_are_counted(ny, nx, tile_px, seed):
    shape = (min(ny, tile_px), min(nx, tile_px))
    codes = np.random.default_rng(abs(seed)).integers(0, 7, shape, np.uint8)
    counts = count_blocks(codes, tile_px)
    edge = int(np.gcd(tile_px, 64))
    n = tile_px // edge
    for number in range(n * n):
        row, col = divmod(number, n)
        square = codes[row * edge : (row + 1) * edge, col * edge : (col + 1) * edge]
        np.testing.assert_array_equal(counts[number], np.bincount(square.ravel(), minlength=7))
