"""Where an item is read, and where its coarsest band is extrapolated."""

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from pipeline.cube.layers import ItemLayer
from pipeline.cube.windows import are_parallel, needed_of, part_in

GRID = GeoBox((150, 170), Affine(10, 0, 600_000, 0, -10, 5_400_000), "EPSG:32632")


def with_outline(outline):
    """Return an item without bands that lies in an outline."""
    nothing = np.zeros((0, 1, 1), "f4")
    return ItemLayer(
        item=None,
        sources={},
        facts={},
        scale=nothing,
        offset=nothing,
        outline=outline,
        reach_m=15.0,
    )


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 400), st.floats(0, 90), st.floats(300, 3000))
def test_open_sides_are_those_of_each_pixel(shift, angle, edge):
    x, y = 600_000 + shift, 5_399_000 + shift
    square = shapely.box(x - edge / 2, y - edge / 2, x + edge / 2, y + edge / 2)
    outline = shapely.affinity.rotate(square, angle)
    layer = with_outline(outline)
    cols, rows = np.meshgrid(np.arange(170) + 0.5, np.arange(150) + 0.5)
    x, y = GRID.transform @ (cols, rows)
    expected = sum(
        (~shapely.contains_xy(outline, x + right, y + up)).astype(np.uint8)
        for right, up in ((15, 0), (-15, 0), (0, 15), (0, -15))
    )
    found = layer.open_sides(GRID)
    np.testing.assert_array_equal(0 if found is None else found, expected)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 400), st.floats(0, 90), st.floats(1500, 4000), st.data())
def test_of_an_item_that_surrounds_a_grid_no_part_has_open_sides(shift, angle, edge, data):
    x, y = 600_850 + shift, 5_399_250 + shift
    square = shapely.box(x - edge / 2, y - edge / 2, x + edge / 2, y + edge / 2)
    layer = with_outline(shapely.affinity.rotate(square, angle))
    rows, cols = (
        sorted(data.draw(st.tuples(st.integers(0, size - 1), st.integers(0, size - 1))))
        for size in GRID.shape
    )
    part = GRID[rows[0] : rows[1] + 1, cols[0] : cols[1] + 1]
    if layer.surrounds(GRID):
        assert layer.touches(part)
        assert layer.open_sides(part) is None
    else:
        # The whole is looked at with the margin of what is extrapolated.
        assert not layer.outline.contains(GRID.pad(2).extent.geom)


@pytest.mark.parametrize("pixel", [5, 10, 20, 60])
@pytest.mark.parametrize("shift", [-2000, -400, 0, 3, 640, 1699])
@pytest.mark.parametrize("crs", [32632, 32633, 32732, 3857])
@pytest.mark.parametrize("margin_px", [0, 4])
def test_what_is_asked_for_early_is_what_windows_need(pixel, shift, crs, margin_px):
    grid = GRID.to_crs(f"EPSG:{crs}") if crs != 32632 else GRID
    corner = grid.transform.c + shift, grid.transform.f
    source = GeoBox((80, 90), Affine(pixel, 0, corner[0], 0, -pixel, corner[1]), grid.crs)
    needed = needed_of(source, GRID)
    part = part_in(source, GRID, margin_px)
    if needed is None:
        # Beside the grid, but for what is interpolated at its edge and the margin.
        assert (
            part is None
            or min(last - first for first, last in part) <= 2 + margin_px
            or crs != 32632
        )
        return
    grown = needed.grown(margin_px)
    wanted = [
        (max(first, 0), min(last, size))
        for first, last, size in zip(grown.start, grown.stop, (80, 90), strict=True)
    ]
    if any(first >= last for first, last in wanted):
        assert part is None
        return
    # Of a turned grid the box round its outline.
    most = 2 if crs == 32632 else 30
    for (first, last), (asked, end) in zip(wanted, part, strict=True):
        assert asked - 1 <= first <= asked + most
        assert end - most <= last <= end + 1


def test_rows_lie_along_those_of_a_raster_in_the_same_zone_alone():
    assert are_parallel(GRID, GRID[3:, 5:])
    assert not are_parallel(GRID, GeoBox((9, 9), GRID.transform, "EPSG:32633"))
