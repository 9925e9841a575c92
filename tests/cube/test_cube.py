"""The cube against rasterio, and its laws: any chunks, any cut, the same pixels."""

import dataclasses
from datetime import UTC, datetime

import numpy as np
import pystac
import pytest
import rasterio
import rioxarray  # noqa: F401  (registers .rio)
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from pipeline import cube
from pipeline.cube.layers import CubeRequest, make_layer
from pipeline.errors import AssetError
from pipeline.sensors import Adjust
from pipeline.types import CubeSettings, Items, Scene

pytestmark = pytest.mark.usefixtures("single_thread")

ROLES = ("blue", "nir")


def scene(*positions: int) -> Scene:
    return Scene(
        sensor="sentinel-2", time=datetime(2023, 6, 5, 10, 20, tzinfo=UTC), items=positions
    )


def load(archive, positions, geobox, chunk_px=256, roles=ROLES):
    return cube.open_cube(
        [scene(*positions)], archive.items, geobox, roles, chunk_px=chunk_px
    ).compute()


def native(archive, name, role) -> np.ndarray:
    with rasterio.open(archive.folder / f"{name}_{role}.tif") as raster:
        return raster.read(1)


def test_aligned_pixels_are_those_of_rasterio_scaled(archive):
    numbers = native(archive, "old", "blue").astype(np.float32)
    expected = np.where(numbers == 0, np.nan, numbers * np.float32(1e-4))
    opened = load(archive, [0], archive.geobox, roles=("blue",))
    np.testing.assert_array_equal(opened["blue"][0], expected)
    assert opened["blue"].dtype == np.float32
    assert opened.odc.geobox == archive.geobox
    assert opened.rio.crs.to_epsg() == 32632


def test_half_resolution_comes_from_the_overview(archive):
    with rasterio.open(archive.folder / "old_blue.tif", overview_level=0) as raster:
        numbers = raster.read(1).astype(np.float32)
    expected = np.where(numbers == 0, np.nan, numbers * np.float32(1e-4))
    opened = load(archive, [0], archive.geobox.zoom_out(2), roles=("blue",))
    np.testing.assert_array_equal(opened["blue"][0], expected)


def test_offsets_are_applied_per_item_before_the_mosaic(archive):
    whole = GeoBox((640, 940), archive.geobox.transform, archive.geobox.crs)
    opened = load(archive, [0, 1], whole, roles=("blue",))
    raw = native(archive, "raw", "blue").astype(np.float32)
    expected = raw * np.float32(1e-4) + np.float32(-0.1)
    np.testing.assert_array_equal(opened["blue"][0, :, 640:], expected[:, 340:])
    # Where the first item has no data the second shows through, with its own offset.
    assert (opened["source"][0, :200, :260] == -1).all()
    assert (opened["source"][0, 200:, :640] == 0).all()
    assert (opened["source"][0, :, 640:] == 1).all()


def test_the_first_item_with_data_wins(archive):
    overlap = archive.geobox[:, 300:640]
    items = [load(archive, [n], overlap)["blue"].values for n in (0, 1)]
    for order in ((1, 0), (0, 1)):
        top, other = items[order[0]], items[order[1]]
        both = load(archive, order, overlap)["blue"].values
        differs = both != np.where(np.isfinite(top), top, other)
        # Bands of 20 m have no neighbour beyond an item's edge, and the other item goes on there.
        columns = np.flatnonzero(differs.any(axis=(0, 1)))
        assert columns.size == 1
        (column,) = columns
        assert column == {1: 0, 0: both.shape[2] - 1}[order[0]]
        np.testing.assert_array_equal(both[..., column], other[..., column])


def test_data_means_all_roles(archive):
    opened = load(archive, [0], archive.geobox)
    assert (np.isfinite(opened["blue"]) == np.isfinite(opened["nir"])).all()
    assert ((opened["source"] >= 0) == np.isfinite(opened["blue"])).all()


@settings(max_examples=15)
@given(
    st.sampled_from(
        [
            (10, "EPSG:32632"),
            (20, "EPSG:32632"),
            (15, "EPSG:32632"),
            (25, "EPSG:32632"),
            (20, "EPSG:3035"),
            (50, "EPSG:3035"),
        ]
    ),
    st.lists(st.sampled_from([0, 1, 2]), min_size=1, max_size=3, unique=True),
    st.integers(40, 300),
    st.tuples(st.integers(0, 150), st.integers(0, 150)),
    st.tuples(st.integers(20, 150), st.integers(20, 150)),
)
def test_any_chunks_and_any_cut_give_the_same_pixels(
    archive, grid, items, chunk_px, start, size
):
    resolution, crs = grid
    corner = archive.geobox.extent.to_crs(crs).boundingbox
    left, top = corner.left // resolution * resolution, corner.top // resolution * resolution
    whole = GeoBox(
        (300, 300), Affine(resolution, 0, left, 0, -resolution, top - resolution), crs
    )
    cut = tuple(slice(first, first + extent) for first, extent in zip(start, size, strict=True))
    expected = load(archive, items, whole, 300)
    found = load(archive, items, whole[cut], chunk_px)
    for name in (*ROLES, "source"):
        np.testing.assert_array_equal(found[name][0], expected[name][0][cut])


def test_nothing_there_is_no_data(archive):
    far = GeoBox((64, 64), Affine(10, 0, 0, 0, -10, 100_000), "EPSG:32632")
    opened = load(archive, [0, 1], far)
    assert np.isnan(opened["blue"]).all()
    assert (opened["source"] == -1).all()


def test_opening_reads_nothing(archive):
    before = cube.METER.total()
    opened = cube.open_cube([scene(0)], archive.items, archive.geobox, ROLES, chunk_px=256)
    assert cube.METER.total() == before
    opened.compute()
    read = cube.METER.total().bytes_read - before.bytes_read
    assert read >= 640 * 640 * 2 + 320 * 320 * 2


def broken(archive, tmp_path, damage) -> Items:
    item = archive.items.items[0].clone()
    path = tmp_path / "broken.tif"
    damage(path, (archive.folder / "old_blue.tif").read_bytes())
    item.assets["blue"].href = str(path)
    return Items(items=(item,))


@pytest.mark.parametrize(
    "damage",
    [
        lambda path, content: path.write_bytes(content[: len(content) // 2]),
        lambda path, content: path.write_bytes(b"<html>not a raster</html>"),
        lambda path, content: None,
    ],
    ids=["truncated", "html", "missing"],
)
def test_what_cannot_be_read_is_named(archive, tmp_path, damage):
    items = broken(archive, tmp_path, damage)
    opened = cube.open_cube([scene(0)], items, archive.geobox, ROLES, chunk_px=640)
    with pytest.raises(AssetError, match="item old, asset 'blue': cannot be read") as caught:
        opened.compute()
    assert (caught.value.item_id, caught.value.asset) == ("old", "blue")


def test_missing_roles_are_named(archive):
    assert cube.missing_roles(archive.items.items[0], ["blue", "swir16"]) == ["swir16"]


def test_an_item_is_read_where_its_raster_lies_whatever_its_outline(archive):
    item = archive.items.items[0].clone()
    item.geometry = None
    far = GeoBox((64, 64), Affine(10, 0, 0, 0, -10, 100_000), "EPSG:32632")
    request = CubeRequest(roles=("blue",), settings=CubeSettings(), measured=False)
    assert make_layer(item, archive.geobox, request).touches(archive.geobox)
    assert not make_layer(item, far, request).touches(far)
    item.properties.pop("proj:epsg")
    assert make_layer(item, far, request).touches(far)


def test_projection_is_read_from_either_version_of_the_extension(archive):
    item = archive.items.items[0].clone()
    item.properties["proj:code"] = f"EPSG:{item.properties.pop('proj:epsg')}"
    items = dataclasses.replace(archive.items, items=(item,))
    opened = cube.open_cube([scene(0)], items, archive.geobox, ("blue",), chunk_px=640)
    assert np.isfinite(opened["blue"].compute()).any()
    assert isinstance(item, pystac.Item)


@settings(max_examples=15)
@given(
    st.lists(st.sampled_from([0, 1, 2]), min_size=1, max_size=3, unique=True),
    st.integers(40, 300),
    st.tuples(
        st.integers(0, 290), st.integers(0, 290), st.integers(1, 200), st.integers(1, 200)
    ),
)
def test_wanted_pixels_are_the_same_and_others_are_spared(archive, items, chunk_px, place):
    grid = GeoBox((300, 300), Affine(10, 0, 602_500, 0, -10, 5_398_000), "EPSG:32632")
    row, col, height, width = place
    wanted = np.zeros((1, 300, 300), bool)
    wanted[0, row : row + height, col : col + width] = True
    scene = Scene(sensor="sentinel-2", time=archive.items.items[0].datetime, items=tuple(items))
    opened = [
        cube.open_measured(
            [scene], archive.items, grid, ROLES, chunk_px=chunk_px, wanted=pixels
        )
        for pixels in (None, wanted)
    ]
    whole = opened[0].compute()
    before = cube.METER.total().bytes_spared
    part = opened[1].compute()
    for name in (*ROLES, "source", "unfit"):
        np.testing.assert_array_equal(part[name].values[wanted], whole[name].values[wanted])
    spared = cube.METER.total().bytes_spared - before
    assert spared == (wanted.size - wanted.sum()) * len(ROLES) * 4
    assert (part["source"].values[~wanted] == -1).all()


def stating_angles(items: Items) -> Items:
    """Return items that say where the sun and the sensor stood."""
    stated = []
    for n, item in enumerate(items):
        known = item.clone()
        known.properties |= {
            "view:sun_azimuth": 150.0,
            "view:sun_elevation": 50.0 + n,
            "view:azimuth": 105.0,
            "view:incidence_angle": 8.0 - n,
        }
        stated.append(known)
    return Items(items=tuple(stated))


@pytest.mark.parametrize(
    "adjust", [Adjust(harmonize="hls"), Adjust(brdf="c-factor", harmonize="hls")]
)
def test_reflectance_goes_through_each_item_s_own_line(archive, adjust):
    items = stating_angles(archive.items)
    whole = GeoBox((640, 940), archive.geobox.transform, archive.geobox.crs)
    lazy = [
        cube.open_measured([scene(0, 1)], items, whole, ("blue",), chunk_px=512, adjust=each)
        for each in (None, adjust)
    ]
    # Dask would take one for the other.
    assert lazy[0]["blue"].data.name != lazy[1]["blue"].data.name
    plain, adjusted = (each.compute() for each in lazy)
    # Which item gives a pixel, and which numbers are valid, does not change.
    np.testing.assert_array_equal(adjusted["source"], plain["source"])
    np.testing.assert_array_equal(adjusted["unfit"], plain["unfit"])
    for n in (0, 1):
        here = plain["source"].values == n
        slope, offset = adjust.line(items.items[n], "blue")
        expected = plain["blue"].values[here].astype(np.float64) * slope + offset
        np.testing.assert_allclose(adjusted["blue"].values[here], expected, atol=1e-6)


def test_harmonized_near_infrared_of_sentinel_2_is_read_from_its_narrow_band(archive):
    item = archive.items.items[0].clone()
    # The narrow band's file is that of blue here, so that it can be told apart.
    item.add_asset("nir08", item.assets["blue"].clone())
    items = Items(items=(item,))
    plain, adjusted = (
        cube.open_measured(
            [scene(0)], items, archive.geobox, ("blue", "nir"), chunk_px=640, adjust=each
        ).compute()
        for each in (None, Adjust(harmonize="hls"))
    )
    slope, offset = Adjust(harmonize="hls").line(item, "nir08")
    expected = plain["blue"].values.astype(np.float64) * slope + offset
    np.testing.assert_allclose(adjusted["nir"], expected, atol=1e-6)
    assert list(adjusted.data_vars) == list(plain.data_vars)
