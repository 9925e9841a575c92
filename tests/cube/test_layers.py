"""Where an item is read, and where its coarsest band is extrapolated."""

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from pipeline.cube.layers import ItemLayer
from pipeline.cube.windows import columns_of, needed_of

GRID = GeoBox((150, 170), Affine(10, 0, 600_000, 0, -10, 5_400_000), "EPSG:32632")


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 400), st.floats(0, 90), st.floats(300, 3000))
def test_open_sides_are_those_of_each_pixel(shift, angle, edge):
    x, y = 600_000 + shift, 5_399_000 + shift
    square = shapely.box(x - edge / 2, y - edge / 2, x + edge / 2, y + edge / 2)
    outline = shapely.affinity.rotate(square, angle)
    nothing = np.zeros((0, 1, 1), "f4")
    layer = ItemLayer(
        item=None,
        sources={},
        facts={},
        scale=nothing,
        offset=nothing,
        outline=outline,
        reach_m=15.0,
    )
    cols, rows = np.meshgrid(np.arange(170) + 0.5, np.arange(150) + 0.5)
    x, y = GRID.transform @ (cols, rows)
    expected = sum(
        (~shapely.contains_xy(outline, x + right, y + up)).astype(np.uint8)
        for right, up in ((15, 0), (-15, 0), (0, 15), (0, -15))
    )
    found = layer.open_sides(GRID)
    np.testing.assert_array_equal(0 if found is None else found, expected)


@pytest.mark.parametrize("pixel", [5, 10, 20, 60])
@pytest.mark.parametrize("shift", [-2000, -400, 0, 3, 640, 1699])
def test_columns_of_a_raster_are_those_that_its_windows_need(pixel, shift):
    source = GeoBox((80, 90), Affine(pixel, 0, 600_000 + shift, 0, -pixel, 5_400_000), GRID.crs)
    needed = needed_of(source, GRID)
    columns = columns_of(source, GRID)
    if needed is None:
        assert columns is None or columns[1] - columns[0] == 1
        return
    if columns is None:
        # Beside the grid, but for what is interpolated at its edge.
        assert needed.stop[1] <= 1 or needed.start[1] >= 89
        return
    first, last = max(needed.start[1], 0), min(needed.stop[1], 90)
    # Interpolation may want one more at each end.
    assert first <= columns[0] <= first + 1
    assert last - 2 <= columns[1] <= last


def test_columns_of_a_raster_in_another_zone_differ_by_row():
    assert columns_of(GRID, GeoBox((9, 9), GRID.transform, "EPSG:32633")) is None
