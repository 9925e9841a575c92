"""One window of one asset: codes are taken as they are, wherever the window is cut."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from odc.loader.types import RasterSource
from pyproj import Transformer

from pipeline.cube.metadata.facts import AssetFacts
from pipeline.cube.meter import METER
from pipeline.cube.opening import AssetRef
from pipeline.cube.reader import ExactReader
from pipeline.errors import AssetError

SHAPE = (700, 640)
SOURCE = GeoBox(SHAPE, Affine(20, 0, 600_000, 0, -20, 5_400_000), "EPSG:32632")
NODATA = 0


@pytest.fixture(scope="module")
def codes(tmp_path_factory):
    """A raster of codes with misleading overviews, and its pixels."""
    path = tmp_path_factory.mktemp("codes") / "scl.tif"
    pixels = np.random.default_rng(8).integers(0, 12, SHAPE).astype("uint8")
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=SHAPE[1],
        height=SHAPE[0],
        count=1,
        dtype="uint8",
        crs="EPSG:32632",
        transform=SOURCE.transform,
        tiled=True,
        blockxsize=128,
        blockysize=128,
    ) as raster:
        raster.write(pixels, 1)
    with rasterio.open(path, "r+") as raster:
        raster.build_overviews([2, 4, 8], rasterio.enums.Resampling.average)
    return path, pixels


def scl(path):
    return AssetRef(item_id="item", asset="scl", href=str(path), remote=False)


def read(path, geobox, *, nearest=True):
    facts = AssetFacts(scl(path), NODATA, None, nearest=nearest)
    return ExactReader(RasterSource(str(path)), facts).pixels(geobox)


def expected(pixels, geobox):
    """Project each centre for itself, and look into the pixel that holds it."""
    cols, rows = np.meshgrid(np.arange(geobox.shape.x) + 0.5, np.arange(geobox.shape.y) + 0.5)
    x, y = geobox.transform @ (cols, rows)
    if geobox.crs != SOURCE.crs:
        project = Transformer.from_crs(str(geobox.crs), str(SOURCE.crs), always_xy=True)
        x, y = project.transform(x, y)
    col, row = ~SOURCE.transform @ (x, y)
    col, row = (np.floor(each + 1e-7).astype(int) for each in (col, row))
    inside = (row >= 0) & (row < SHAPE[0]) & (col >= 0) & (col < SHAPE[1])
    found = np.full(geobox.shape, np.nan, np.float32)
    found[inside] = pixels[row[inside], col[inside]]
    found[found == NODATA] = np.nan
    return found


def grid(resolution, *, left=600_100, top=5_399_900, shape=(150, 170), crs="EPSG:32632"):
    return GeoBox(shape, Affine(resolution, 0, left, 0, -resolution, top), crs)


@pytest.mark.parametrize("resolution", [5, 10, 15, 20, 30, 40, 60, 100])
def test_codes_are_those_of_the_pixel_that_holds_the_centre(codes, resolution):
    path, pixels = codes
    place = grid(resolution)
    found = read(path, place)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected(pixels, place))


def test_codes_are_never_averaged(codes):
    path, _ = codes
    found = read(path, grid(80, shape=(100, 100)))
    assert set(np.unique(found[np.isfinite(found)])) <= set(range(1, 12))
    averaged = read(path, grid(80, shape=(100, 100)), nearest=False)
    assert not np.array_equal(averaged, found, equal_nan=True)


def test_codes_across_zones(codes):
    path, pixels = codes
    left, _, _, top = SOURCE.extent.to_crs("EPSG:3035").boundingbox.bbox
    place = grid(20, left=left // 20 * 20 + 3000, top=top // 20 * 20 - 3000, crs="EPSG:3035")
    found, wanted = read(path, place), expected(pixels, place)
    # A place may be off by a thousandth of a pixel.
    assert (found == wanted).sum() + np.isnan(wanted).sum() > 0.995 * wanted.size
    np.testing.assert_array_equal(np.isnan(found).all(), False)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(
        [
            (10, "EPSG:32632"),
            (20, "EPSG:32632"),
            (40, "EPSG:32632"),
            (60, "EPSG:32632"),
            (15, "EPSG:32632"),
            (20, "EPSG:3035"),
            (100, "EPSG:3035"),
        ]
    ),
    st.booleans(),
    st.tuples(st.integers(0, 100), st.integers(0, 100)),
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
)
def test_any_cut_gives_the_same_pixels(codes, kind, nearest, start, size):
    path, _ = codes
    resolution, crs = kind
    left, _, _, top = SOURCE.extent.to_crs(crs).boundingbox.bbox
    whole = grid(
        resolution,
        left=left // resolution * resolution - 3 * resolution,
        top=top // resolution * resolution + 3 * resolution,
        shape=(160, 160),
        crs=crs,
    )
    cut = tuple(slice(first, first + extent) for first, extent in zip(start, size, strict=True))
    np.testing.assert_array_equal(
        read(path, whole[cut], nearest=nearest), read(path, whole, nearest=nearest)[cut]
    )


def test_much_coarser_codes_are_read_in_strips(codes, monkeypatch):
    path, pixels = codes
    place = grid(60, shape=(100, 90))
    monkeypatch.setattr("pipeline.cube.windows.STRIP_PX", 4000)
    before = METER.total()
    np.testing.assert_array_equal(read(path, place), expected(pixels, place))
    assert METER.total().reads - before.reads > 10


def test_a_file_that_is_replaced_is_read_anew(tmp_path, codes):
    path = tmp_path / "scl.tif"
    path.write_bytes(codes[0].read_bytes())
    place = grid(20)
    first = read(path, place)
    with rasterio.open(path, "r+") as raster:
        raster.write(np.full(SHAPE, 3, "uint8"), 1)
    assert np.isnan(first).any()
    assert (read(path, place) == 3).all()


@pytest.mark.parametrize("band", [2, 5])
def test_a_band_that_is_not_there(codes, band):
    path, _ = codes
    reader = ExactReader(RasterSource(str(path), band=band), AssetFacts(scl(path), 0, None))
    with pytest.raises(AssetError, match=f"item item, asset 'scl'.*it has 1 band, band {band}"):
        reader.pixels(grid(20))
