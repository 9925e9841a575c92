import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from odc.geo.geom import Geometry
from shapely.geometry import MultiPolygon, Polygon, box

from pipeline import grid
from pipeline.errors import GridError
from pipeline.testing.jobs import make_job
from pipeline.types import GridSettings


@st.composite
def aois(draw):
    west = draw(st.floats(-170, 165))
    south = draw(st.floats(-75, 70))
    return box(
        west, south, west + draw(st.floats(0.001, 1.5)), south + draw(st.floats(0.001, 1.0))
    )


settings = st.builds(
    lambda resolution_m, chunk_px, factor: GridSettings(
        resolution_m=resolution_m, chunk_px=chunk_px, tile_px=chunk_px * factor
    ),
    st.sampled_from([10.0, 20.0, 30.0, 60.0]),
    st.sampled_from([64, 128, 256, 384, 512]),
    st.integers(1, 9),
)


@given(aois(), settings)
def test_the_grid_holds_the_aoi_and_is_anchored_on_whole_chunks(aoi, wanted):
    drawn = grid.make_grid(make_job(aoi=aoi, grid=wanted))
    outline = Geometry(aoi, "EPSG:4326").to_crs(drawn.geobox.crs, resolution=0.01)
    assert drawn.geobox.extent.buffer(1e-3).contains(outline)
    step = wanted.chunk_px * wanted.resolution_m
    bounds = drawn.geobox.boundingbox
    assert all(edge % step == 0 for edge in bounds)
    # No more than one step of `SNAP_PX` is added at an edge.
    reach = step * -(-grid.SNAP_PX // wanted.chunk_px)
    assert bounds.span_x <= outline.boundingbox.span_x + 2 * reach
    assert bounds.span_y <= outline.boundingbox.span_y + 2 * reach


@given(aois(), settings)
def test_tiles_partition_the_grid(aoi, wanted):
    drawn = grid.make_grid(make_job(aoi=aoi, grid=wanted))
    assume(np.prod(drawn.geobox.shape) < 5e7)
    times_covered = np.zeros(drawn.geobox.shape, np.uint8)
    for tile in drawn.tiles():
        times_covered[tile.window] += 1
        assert tile.geobox == drawn.geobox[tile.window]
        assert all(edge.start % wanted.chunk_px == 0 for edge in tile.window)
    assert (times_covered == 1).all()


def test_only_tiles_that_the_aoi_touches_are_listed():
    hook = Polygon([(9, 48), (9.6, 48), (9.6, 48.05), (9.05, 48.05), (9.05, 48.4), (9, 48.4)])
    wanted = GridSettings(resolution_m=20.0, tile_px=512, chunk_px=256)
    drawn = grid.make_grid(make_job(aoi=hook, grid=wanted))
    touched = grid.tiles(drawn, hook)
    outline = Geometry(hook, "EPSG:4326").to_crs(drawn.geobox.crs, resolution=0.01)
    assert 0 < len(touched) < len(list(drawn.tiles()))
    for tile in drawn.tiles():
        expected = tile.geobox.extent.intersects(outline)
        assert (tile.name in {each.name for each in touched}) == expected


def test_two_regions_of_one_crs_share_pixels():
    one = grid.make_grid(make_job(aoi=box(9.0, 48.0, 9.1, 48.1)))
    other = grid.make_grid(make_job(aoi=box(9.05, 48.05, 9.3, 48.3)))
    shift = ~one.geobox.transform @ other.geobox.transform
    assert (shift.a, shift.e) == (1.0, 1.0)
    assert shift.c == int(shift.c)
    assert shift.f == int(shift.f)


@pytest.mark.parametrize("crs", ["EPSG:3031", "EPSG:3413", "EPSG:5041"])
def test_polar_grids_can_be_drawn(crs):
    south = -1 if crs == "EPSG:3031" else 1
    aoi = box(40, min(75 * south, 75.2 * south), 40.5, max(75 * south, 75.2 * south))
    drawn = grid.make_grid(make_job(aoi=aoi, grid=GridSettings(crs=crs)))
    assert drawn.geobox.crs.epsg == int(crs[5:])


def test_a_tile_outside_is_an_error():
    drawn = grid.make_grid(make_job())
    with pytest.raises(IndexError, match="outside a grid of"):
        drawn.tile(99, 0)


@pytest.mark.parametrize(
    ("wanted", "aoi", "message"),
    [
        (GridSettings(crs="EPSG:123456"), box(9, 48, 9.1, 48.1), "EPSG:123456.*not known"),
        (GridSettings(crs="EPSG:4326"), box(9, 48, 9.1, 48.1), "degree"),
        (GridSettings(crs="EPSG:2263"), box(9, 48, 9.1, 48.1), "US survey foot"),
        (GridSettings(), box(0, 48, 30, 50), "too wide for UTM zone"),
        (
            GridSettings(),
            MultiPolygon([box(-179, 10, -178, 11), box(178, 10, 179, 11)]),
            "too wide for UTM zone",
        ),
        (GridSettings(tile_px=1000, chunk_px=256), box(9, 48, 9.1, 48.1), "not a multiple"),
    ],
)
def test_what_cannot_be_drawn_is_named(wanted, aoi, message):
    with pytest.raises(GridError, match=message):
        grid.make_grid(make_job(aoi=aoi, grid=wanted))
