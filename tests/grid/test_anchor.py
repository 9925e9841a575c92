"""Where corners of pixels lie: a grid on a sensor's own keeps its pixels, to the bit."""

import numpy as np
import pystac
import pytest
import rasterio
from affine import Affine
from hypothesis import example, given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from shapely.geometry import box, mapping

from pipeline import cube, grid
from pipeline.mask.lattice import origin_px, read_geobox
from pipeline.testing import make_job
from pipeline.types import GridSettings, Items, Lattice, Scene

pytestmark = pytest.mark.usefixtures("single_thread")

NORTH, SOUTH = box(9.0, 48.0, 9.04, 48.03), box(147.0, -35.03, 147.04, -35.0)


def settings(**given) -> GridSettings:
    return GridSettings(**{"resolution_m": 30.0, "tile_px": 256, "chunk_px": 256} | given)


def drawn(aoi=NORTH, auto="crs", **given):
    return grid.make_grid(make_job(aoi=aoi, grid=settings(**given)), auto)


@pytest.mark.parametrize(
    ("aoi", "wanted", "corner"),
    [
        (NORTH, {}, (0, 0)),
        (NORTH, {"anchor": "crs"}, (0, 0)),
        (NORTH, {"anchor": "sentinel-2"}, (0, 0)),
        (NORTH, {"anchor": "landsat"}, (15, 15)),
        (NORTH, {"anchor": "landsat", "resolution_m": 10.0}, (5, 5)),
        (NORTH, {"anchor": "landsat", "resolution_m": 60.0}, (15, 15)),
        # Southern zones count from ten million metres, which are no multiple of 30.
        (SOUTH, {"anchor": "landsat"}, (15, 25)),
        (SOUTH, {"anchor": "landsat", "crs": "EPSG:32655"}, (15, 15)),
        (NORTH, {"anchor": (3.3, -7.25)}, (3.3, 22.75)),
        (NORTH, {"anchor": (600_007.0, 5_300_001.0)}, (7, 21)),
    ],
)
def test_an_anchor_says_where_corners_lie(aoi, wanted, corner):
    made = drawn(aoi, **wanted)
    assert made.corner == pytest.approx(corner, abs=1e-9)
    assert made.geobox.extent.contains(
        grid._project(aoi, made.geobox.crs)  # type: ignore[arg-type]
    )


def test_auto_is_what_the_sources_or_the_store_say():
    assert drawn(auto=grid.anchor_of({15.0})).corner == (15, 15)
    for corners in ({0.0}, {0.0, 15.0}, set()):
        assert drawn(auto=grid.anchor_of(corners)).corner == (0, 0)
    assert drawn(auto="landsat", anchor="crs").corner == (0, 0)
    # As the store has it: the grid that it has, to the last digit.
    first = drawn(anchor=(3.3, 7.1))
    assert drawn(auto=first.corner).geobox == first.geobox


@given(
    st.tuples(*[st.floats(-1e6, 1e6, allow_nan=False)] * 2),
    st.sampled_from([10.0, 15.0, 20.0, 30.0, 60.0]),
)
@example((0.0, -5e-6), 10.0)
def test_any_anchor_gives_whole_tiles_and_the_same_windows(anchor, resolution):
    made = drawn(anchor=anchor, resolution_m=resolution)
    top, left = origin_px(made.geobox)
    assert (top % 512, left % 512) == (0, 0)
    for tile in made.tiles():
        rows, cols = tile.window
        assert origin_px(tile.geobox) == (top + rows.start, left + cols.start)
        # What a window reads lies on the grid's own pixels.
        reads = read_geobox(Lattice(core_px=100, halo_px=7), tile.geobox)
        shift = ~made.geobox.transform @ reads.transform
        assert abs(shift.c - round(shift.c)) < 1e-6
        assert abs(shift.f - round(shift.f)) < 1e-6


def landsat(folder, geobox) -> tuple[pystac.Item, np.ndarray]:
    """Write a scene on the corners of Landsat, which has northern zones everywhere."""
    numbers = np.random.default_rng(4).integers(7_300, 43_000, geobox.shape).astype("uint16")
    numbers[:5] = 0
    path = folder / "SR_B4.TIF"
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=geobox.shape.x,
        height=geobox.shape.y,
        count=1,
        dtype="uint16",
        crs=str(geobox.crs),
        transform=geobox.transform,
        nodata=0,
    ) as raster:
        raster.write(numbers, 1)
    item = pystac.Item(
        id="LC09",
        geometry=mapping(geobox.geographic_extent.geom),
        bbox=list(geobox.geographic_extent.geom.bounds),
        datetime=make_job().period.start,
        collection="landsat-c2-l2",
        properties={"proj:epsg": geobox.crs.epsg, "instruments": ["oli"]},
    )
    shape = {"proj:shape": list(geobox.shape), "proj:transform": list(geobox.transform)[:6]}
    item.add_asset("red", pystac.Asset(href=str(path), extra_fields=shape))
    return item, numbers


@pytest.mark.parametrize(
    ("aoi", "corner", "crs"),
    [
        (NORTH, (497_985, 5_320_215), "EPSG:32632"),
        (SOUTH, (496_485, -3_871_185), "EPSG:32655"),
    ],
)
def test_landsat_on_its_own_corners_stays_as_it_is_to_the_bit(tmp_path, aoi, corner, crs):
    own = GeoBox((200, 180), Affine(30, 0, corner[0], 0, -30, corner[1]), crs)
    item, numbers = landsat(tmp_path, own)
    made = drawn(aoi, anchor="landsat")
    scene = Scene(sensor="landsat", time=item.datetime, items=(0,))
    opened = cube.open_cube(
        [scene], Items(items=(item,)), made.geobox, ["red"], chunk_px=100
    ).compute()
    wanted = np.where(
        numbers == 0, np.nan, numbers * np.float32(2.75e-5) + np.float32(-0.2)
    ).astype(np.float32)
    south = 1e7 if made.geobox.crs.epsg // 100 == 327 else 0
    col = round((corner[0] - made.geobox.transform.c) / 30)
    row = round((made.geobox.transform.f - corner[1] - south) / 30)
    seen = opened["red"].values[0]
    held = seen[max(row, 0) : row + 200, max(col, 0) : col + 180]
    assert np.isfinite(held).sum() > 10_000
    cut = wanted[max(-row, 0) :, max(-col, 0) :][: held.shape[0], : held.shape[1]]
    np.testing.assert_array_equal(held, cut)
    # On the multiples of the pixel every value is the mean of its neighbours.
    apart = drawn(aoi, anchor="crs").geobox
    blurred = cube.open_cube([scene], Items(items=(item,)), apart, ["red"], chunk_px=100)
    assert np.nanstd(blurred["red"]) < 0.7 * np.nanstd(wanted)


@pytest.mark.parametrize("anchor", ["landsat", (3.3, 7.1), (0.01, 29.99)])
@pytest.mark.parametrize("crs", ["utm", "EPSG:3035"])
def test_any_cut_of_an_anchored_grid_gives_the_same_pixels(tmp_path, anchor, crs):
    own = GeoBox((200, 180), Affine(30, 0, 497_985, 0, -30, 5_320_215), "EPSG:32632")
    item, _ = landsat(tmp_path, own)
    whole = drawn(anchor=anchor, crs=crs, resolution_m=25.0).geobox
    scene = Scene(sensor="landsat", time=item.datetime, items=(0,))

    def load(geobox, chunk_px):
        opened = cube.open_cube(
            [scene], Items(items=(item,)), geobox, ["red"], chunk_px=chunk_px
        )
        return opened["red"].values[0]

    expected = load(whole, 512)
    assert np.isfinite(expected).any()
    for rows, cols in ((slice(0, 333), slice(17, 400)), (slice(101, 512), slice(3, 512))):
        np.testing.assert_array_equal(load(whole[rows, cols], 97), expected[rows, cols])
