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


@given(
    st.floats(-170, 165),
    st.floats(-75, 70),
    st.floats(0.0001, 0.03),
    st.sampled_from([10.0, 30.0]),
)
def test_the_grid_of_a_field_is_a_part_of_the_usual_one(west, south, size, resolution_m):
    """No larger than it must be, of whole cells; of an AOI wider than a chunk it is the usual one."""
    aoi = box(west, south, west + size, south + size)
    job = make_job(aoi=aoi, grid=GridSettings(resolution_m=resolution_m))
    usual = grid.make_grid(job)
    drawn = grid.field_grid(job, usual)
    assert grid.holds(drawn, aoi)
    outline = Geometry(aoi, "EPSG:4326").to_crs(usual.geobox.crs, resolution=0.01).boundingbox
    span_px = max(outline.span_x, outline.span_y) / resolution_m
    assert (drawn == usual) == (span_px > usual.chunk_px) or drawn.geobox == usual.geobox
    if drawn == usual:
        return
    assert max(drawn.geobox.shape) <= span_px + 2 * grid.FIELD_PX
    assert len(list(drawn.tiles())) == 1
    shift = ~usual.geobox.transform @ drawn.geobox.transform
    assert (shift.c % grid.FIELD_PX, shift.f % grid.FIELD_PX) == (0, 0)
    assert usual.geobox.extent.contains(drawn.geobox.extent)


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
    # A pixel that the AOI touches sees as far from its middle: a pixel more than from the AOI.
    near = grid.tiles(drawn, hook, 3000.0)
    assert len(touched) < len(near) < len(list(drawn.tiles()))
    for tile in drawn.tiles():
        expected = tile.geobox.extent.geom.distance(outline.geom) <= 3020.0
        assert (tile.name in {each.name for each in near}) == expected


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


@pytest.mark.parametrize(
    ("aoi", "epsg"),
    [
        (box(20, 83.5, 21, 84.5), 3413),
        (box(20, -80.5, 21, -79.5), 3031),
        (box(-180, -90, 180, -85), 3031),
        (box(-180, 89, 180, 90), 3413),
        (box(20, 83, 21, 83.9), 32634),
        (MultiPolygon([box(179.8, -17, 180, -16.8), box(-180, -17, -179.9, -16.8)]), 32760),
        (MultiPolygon([box(179.9, 60, 180, 60.2), box(-180, 60, -179.8, 60.2)]), 32601),
    ],
)
def test_utm_ends_at_the_poles_and_goes_on_over_180(aoi, epsg):
    drawn = grid.make_grid(make_job(aoi=aoi, grid=GridSettings(resolution_m=60.0)))
    assert drawn.geobox.crs.epsg == epsg
    assert max(drawn.geobox.shape) * 60 < 1_300_000
    assert grid.tiles(drawn, aoi)


def test_northern_zones_go_on_to_the_south_as_landsat_counts():
    drawn = grid.make_grid(
        make_job(aoi=box(9, -40, 9.1, -39.9), grid=GridSettings(crs="EPSG:32632"))
    )
    assert drawn.geobox.boundingbox.top < 0


def test_a_tile_outside_is_an_error():
    drawn = grid.make_grid(make_job())
    with pytest.raises(IndexError, match="outside a grid of"):
        drawn.tile(99, 0)


@pytest.mark.parametrize(
    ("wanted", "aoi", "message"),
    [
        (GridSettings(), box(0, 48, 30, 50), "too wide for UTM zone"),
        (
            GridSettings(),
            MultiPolygon([box(-174, 10, -170, 11), box(170, 10, 174, 11)]),
            "170.00° to 190.00°, too wide for UTM zone",
        ),
        (
            GridSettings(),
            box(10, 58, 11, 85),
            "58.00° to 85.00° north: UTM ends at -80° and 84°",
        ),
        (
            GridSettings(crs="EPSG:32632"),
            box(40, 48, 40.1, 48.1),
            "EPSG:32632.*UTM zone 32N.* 6° to 12° east.*40.00° to 40.10°.* is 28° away",
        ),
        (GridSettings(crs="EPSG:3035"), box(170, -40, 171, -39), "EPSG:3035.*Europe"),
        (GridSettings(crs="EPSG:3031"), box(170, 40, 171, 41), "EPSG:3031.*Antarctic"),
    ],
)
def test_what_cannot_be_drawn_is_named(wanted, aoi, message):
    with pytest.raises(GridError, match=message):
        grid.make_grid(make_job(aoi=aoi, grid=wanted))
