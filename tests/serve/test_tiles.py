"""Tiles show the stored pixels, resampled by nearest neighbour from the overview that fits."""

import io

import morecantile
import numpy as np
import pytest
import rasterio.warp
from PIL import Image

from pipeline.serve.draw import ramps
from pipeline.types import LEGEND
from tests.serve.conftest import client_of
from tests.serve.region import START, Region, fill

TMS = morecantile.tms.get("WebMercatorQuad")
SIZE = 256
MASK = "/archives/alps/tiles/WebMercatorQuad/{z}/{x}/{y}.png?layer=mask&sensor=sentinel-2&time={time}"
RGB = "/archives/alps/tiles/WebMercatorQuad/{z}/{x}/{y}.png?layer=composite&name=monthly&time=2026-06"


def tile_at(region, zoom):
    tile = TMS.tile(*region.lonlat(80, 100), zoom)
    return {"z": zoom, "x": tile.x, "y": tile.y}


def drawn(client, address):
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGBA"))


def rows_and_cols(region, tile):
    """Say which pixel of the region each pixel of a tile lies in, projected one by one."""
    left, bottom, right, top = TMS.xy_bounds(morecantile.Tile(tile["x"], tile["y"], tile["z"]))
    centres = (np.arange(SIZE) + 0.5) / SIZE
    x, y = np.meshgrid(left + centres * (right - left), top - centres * (top - bottom))
    px, py = rasterio.warp.transform("EPSG:3857", "EPSG:32632", x.ravel(), y.ravel())
    affine = region.grid.geobox.affine
    cols = (np.array(px) - affine.c) / affine.a
    rows = (np.array(py) - affine.f) / affine.e
    return rows.reshape(x.shape), cols.reshape(x.shape)


def fitting(levels, rows):
    """Return the coarsest overview whose pixels are at most half as large again as the tile's."""
    step = np.abs(np.diff(rows, axis=0)).mean()
    return max((each for each in levels if each <= 1.5 * step), default=1)


def sampled(pixels, rows, cols, factor, fill):
    """Take the nearest pixel of an overview; `pixels` are its own."""
    ny, nx = pixels.shape
    at = np.floor(rows / factor).astype(int), np.floor(cols / factor).astype(int)
    inside = (
        (at[0] >= 0) & (at[0] < ny) & (at[1] >= 0) & (at[1] < nx) & (rows >= 0) & (cols >= 0)
    )
    return np.where(inside, pixels[np.clip(at[0], 0, ny - 1), np.clip(at[1], 0, nx - 1)], fill)


@pytest.mark.parametrize("zoom", [8, 10, 11, 12, 13, 14, 16])
def test_a_mask_is_the_stored_one_in_the_legends_colours(client, region, zoom):
    tile = tile_at(region, zoom)
    shown = drawn(client, MASK.format(**tile, time=START.isoformat().replace("+", "%2B")))
    rows, cols = rows_and_cols(region, tile)
    factor = fitting(region.open().levels("masks", "sentinel-2"), rows)
    archive = region.open()
    [at] = [
        n
        for n, each in enumerate(archive.stored_masks("sentinel-2").scenes)
        if each.time == START
    ]
    level = archive.masks("sentinel-2", level=factor)["mask"].isel(time=at).to_numpy()
    codes = sampled(level, rows, cols, factor, 0)
    table = np.array(
        [[*bytes.fromhex(e.colour[1:]), 255 * (e.code > 0)] for e in LEGEND], np.uint8
    )
    # Centres on the edge of two pixels may fall to either.
    near = np.minimum(np.abs(rows / factor % 1 - 0.5), np.abs(cols / factor % 1 - 0.5)) < 0.499
    same = (table[codes] == shown).all(-1) | ((codes == 0) & (shown[..., 3] == 0))
    assert same[near].all()
    assert same.mean() > 0.99


@pytest.mark.parametrize("zoom", [9, 11, 13, 15])
def test_a_composite_is_within_a_grey_level(client, region, zoom):
    tile = tile_at(region, zoom)
    shown = drawn(client, RGB.format(**tile)).astype(int)
    rows, cols = rows_and_cols(region, tile)
    factor = fitting(region.open().levels("composites", "monthly"), rows)
    stored = region.open().composite("monthly", level=factor)
    for channel, band in enumerate(("red", "green", "blue")):
        values = sampled(stored[band].isel(time=0).to_numpy(), rows, cols, factor, np.nan)
        wanted = np.clip(255 * values / ramps.WHITE[band], 0, 255)
        visible = shown[..., 3] > 0
        assert visible.any()
        off = np.abs(wanted - shown[..., channel])[visible]
        assert np.mean(off <= 1) > 0.99


FORMULAS = {
    "NDVI": lambda b: (b["nir"] - b["red"]) / (b["nir"] + b["red"]),
    "ndwi": lambda b: (b["green"] - b["nir"]) / (b["green"] + b["nir"]),
    "EVI": lambda b: (
        2.5 * (b["nir"] - b["red"]) / (b["nir"] + 6 * b["red"] - 7.5 * b["blue"] + 1)
    ),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_a_spectral_index_is_its_formula_in_its_ramp(client, region, name):
    tile = tile_at(region, 13)
    shown = drawn(client, RGB.format(**tile) + f"&bands={name}").astype(int)
    rows, cols = rows_and_cols(region, tile)
    factor = fitting(region.open().levels("composites", "monthly"), rows)
    stored = region.open().composite("monthly", level=factor).isel(time=0)
    bands = {
        band: sampled(stored[band].to_numpy(), rows, cols, factor, np.nan)
        for band in ("blue", "green", "red", "nir")
    }
    with np.errstate(divide="ignore", invalid="ignore"):
        values = FORMULAS[name](bands).astype(np.float32)
    layer = "NDVI" if name == "NDVI" else "index"
    table = np.array([ramps.colours(layer)[at] for at in range(256)])
    visible = (shown[..., 3] > 0) & np.isfinite(values)
    assert visible.any()
    off = np.abs(table[ramps.ramp(values, layer)] - shown)[visible].max(axis=-1)
    assert np.mean(off <= 1) > 0.98


@pytest.mark.parametrize(
    "name", ["NBR", "kNDVI2", "nir+red", "__class__", "VV", "ndvi,red,nir"]
)
def test_an_index_that_the_bands_do_not_allow_is_refused(client, region, name):
    answer = client.get(
        RGB.format(**tile_at(region, 12)) + f"&bands={name}".replace("+", "%2B")
    )
    assert answer.status_code == 422
    assert "bands:" in answer.json()["detail"]


def test_a_tile_beside_the_region_is_transparent(client):
    shown = drawn(client, RGB.format(z=8, x=10, y=10))
    assert not shown[..., 3].any()


def test_only_the_chosen_classes_are_drawn(client, region):
    address = MASK.format(**tile_at(region, 13), time="2026-06-01T10:30:20Z")
    all_of_them = drawn(client, address)
    clouds = drawn(client, f"{address}&classes=thick_cloud,4")
    assert 0 < (clouds[..., 3] > 0).sum() < (all_of_them[..., 3] > 0).sum()
    white = (clouds[clouds[..., 3] > 0][:, :3] == 255).all(-1)
    assert white.any()


def test_missing_overviews_are_told(client, region, tmp_path):
    plain = Region(str(tmp_path / "store"))
    fill(plain, overviews=False, confidence=False)
    without = client_of({"alps": plain.url}, tmp_path)
    address = MASK.format(**tile_at(region, 12), time="2026-06-01T10:30:20Z")
    assert without.get(address).headers["x-overviews"] == "missing"
    assert "x-overviews" not in client.get(address).headers


@pytest.mark.parametrize(
    "time", ["2026-06-01", "2026-06-01T00:00:00Z", "2026-06-01T02:00:00%2B02:00"]
)
def test_a_period_is_found_by_its_start(client, region, time):
    address = RGB.format(**tile_at(region, 12))
    named = drawn(client, address)
    np.testing.assert_array_equal(drawn(client, address.replace("2026-06", time)), named)
