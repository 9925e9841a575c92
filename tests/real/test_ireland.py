"""Sentinel-2 of baseline 04.00, its offset still in the pixels, half under cloud: job to store to file."""

from datetime import date

import icechunk
import numpy as np
import odc.geo.xr  # noqa: F401
import pytest
import rasterio
import rioxarray  # noqa: F401
import xarray as xr
from rasterio.windows import from_bounds

from pipeline import query, run
from pipeline.types import CLOUD, Code, is_usable
from tests.real.real_catalogue import IRELAND, SENTINEL_2_BANDS

BANDS = ("blue", "green", "red", "nir", "swir16", "swir22")
EPSG = 32629

SCL_SHADOW, SCL_VEGETATION, SCL_WATER = 3, 4, 6
SCL_CLOUD = (8, 9, 10)

OFFSET = 0.1
"""What baseline 04.00 adds to reflectance."""
ROUNDED = 6e-5
"""Composites are stored in steps of 1e-4."""


@pytest.fixture(scope="module")
def product(real, ireland):
    """Read bands of the product, as it was delivered, on the pixels of the store: 0 outside."""
    bounds = ireland.archive.grid.geobox.boundingbox
    source = real.source(IRELAND)

    def read(band: str) -> np.ndarray:
        with rasterio.open(source.path) as raster:
            window = from_bounds(*bounds, raster.transform)
            for edge in (window.row_off, window.col_off, window.height, window.width):
                assert edge == pytest.approx(round(edge), abs=1e-6)
            return raster.read(source.bands[band], window=window, boundless=True, fill_value=0)

    return read


@pytest.fixture(scope="module")
def mask(ireland) -> np.ndarray:
    return ireland.archive.masks("sentinel-2")["mask"].isel(time=0).to_numpy()


@pytest.fixture(scope="module")
def composite(ireland) -> xr.Dataset:
    return ireland.archive.composite("all").isel(time=0).load()


def test_the_record_says_what_was_used_and_which_rule_made_reflectance_of_it(ireland):
    record = ireland.record
    assert record.snapshot is not None
    assert (record.expected, record.complete, record.dropped) == (4, 4, ())
    assert record.items == (IRELAND,)
    assert "04.00" in record.radiometry[IRELAND]
    assert "offset -0.1" in record.radiometry[IRELAND]
    assert set(record.models) == {"sentinel-2"}
    assert record.models["sentinel-2"]["name"] == "ukis-csmask-6b-l2a"
    (stored,) = ireland.archive.records()
    assert stored["radiometry"] == record.radiometry


def test_a_second_run_finds_nothing_to_do(ireland):
    assert run.plan_job(ireland.job).nothing_to_do


@pytest.mark.parametrize("role", BANDS)
def test_the_composite_is_the_product_pixel_for_pixel(role, product, mask, composite):
    numbers = product(SENTINEL_2_BANDS[role]).astype(np.float64)
    expected = np.where(is_usable(mask), numbers * 1e-4 - OFFSET, np.nan)
    np.testing.assert_allclose(composite[role].to_numpy(), expected, atol=ROUNDED)


def test_every_composite_pixel_says_what_it_comes_from(mask, composite, ireland):
    usable = is_usable(mask)
    np.testing.assert_array_equal(composite["count"], usable)
    day = (date(2022, 10, 5) - date(1970, 1, 1)).days
    np.testing.assert_array_equal(composite["day"], np.where(usable, day, -1))
    np.testing.assert_array_equal(composite["source"], np.where(usable, 0, -1))
    assert ireland.archive.item_ids == [IRELAND]


def test_no_data_is_where_the_product_has_none(product, mask):
    np.testing.assert_array_equal(mask == Code.NO_DATA, product("B02") == 0)


def test_the_offset_matters_and_is_gone(product, mask, composite):
    water = is_usable(mask) & (product("SCL") == SCL_WATER)
    print("\nreflectance of the darkest 1 % of clear water, without and with the offset")
    for role in ("nir", "swir16", "swir22"):
        raw = product(SENTINEL_2_BANDS[role])[water] * 1e-4
        dark, right = np.percentile(raw, 1), np.percentile(composite[role].to_numpy()[water], 1)
        print(f"  {role:7} {dark:.4f} {right:.4f}")
        assert dark > 0.1
        assert -0.01 < right < 0.02


def test_reflectance_is_plausible(product, mask, composite):
    classes = np.where(is_usable(mask), product("SCL"), 0)
    green, water = classes == SCL_VEGETATION, classes == SCL_WATER
    red, nir = composite["red"].to_numpy(), composite["nir"].to_numpy()
    ndvi = (nir - red) / (nir + red)
    print(f"\nNDVI of vegetation, median: {np.median(ndvi[green]):.3f}")
    print(f"near infrared of water, median: {np.median(nir[water]):.4f}")
    assert 0.75 < np.median(ndvi[green]) < 0.95
    assert 0.0 < np.median(nir[water]) < 0.03
    for role in BANDS:
        assert 0.0 < float(composite[role].mean()) < 0.6


# -- the mask against the product's own scene classification, which is no truth either ----------


def agreement(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float, float]:
    """Return F1, and the share of ours that is theirs, and of theirs that is ours."""
    both = (ours & theirs).sum()
    return (
        2 * both / (ours.sum() + theirs.sum()),
        both / ours.sum(),
        both / theirs.sum(),
    )


def test_the_mask_agrees_with_the_products_own(product, mask):
    seen = mask != Code.NO_DATA
    scl = product("SCL")
    pairs = {
        "cloud": (np.isin(mask, CLOUD), np.isin(scl, SCL_CLOUD)),
        "cloud shadow": (mask == Code.CLOUD_SHADOW, scl == SCL_SHADOW),
    }
    figures = {name: agreement(*(each[seen] for each in pair)) for name, pair in pairs.items()}
    cover = {name: [each[seen].mean() for each in pair] for name, pair in pairs.items()}
    print("\n              F1    precision recall  cover  cover in SCL")
    for name, (f1, precision, recall) in figures.items():
        ours, theirs = cover[name]
        print(
            f"  {name:12}{f1:.3f} {precision:.3f}     {recall:.3f}   {ours:.3f}  {theirs:.3f}"
        )
    assert figures["cloud"][0] > 0.9
    assert figures["cloud shadow"][0] > 0.7
    # What the product calls shadow is found; the network calls more so, lake water among it.
    assert figures["cloud shadow"][2] > 0.85
    assert abs(np.subtract(*cover["cloud"])) < 0.05


def test_water_is_not_cloud(product, mask):
    water = (mask != Code.NO_DATA) & (product("SCL") == SCL_WATER)
    shares = {code.name: float((mask[water] == code).mean()) for code in Code}
    print(
        f"\nSCL's water is { ({name: round(each, 3) for name, each in shares.items() if each}) }"
    )
    assert shares["THICK_CLOUD"] + shares["THIN_CLOUD"] < 0.1


def test_edges_of_inference_windows_do_not_show(mask):
    """Where windows meet, no more changes of class than natural lines have at most."""
    changes = np.concatenate([_changes(mask, axis) for axis in (0, 1)])
    edges = [_changes(mask, axis)[511] for axis in (0, 1)]
    print(
        f"\nshare of neighbours of another class: {np.mean(changes):.3f}, at most "
        f"{changes.max():.3f}; across windows {edges[0]:.3f} and {edges[1]:.3f}"
    )
    assert max(edges) < 0.1


def _changes(mask: np.ndarray, axis: int) -> np.ndarray:
    """Return for each line between rows (0) or columns (1) the share of pixels that differ."""
    first, second = (np.delete(mask, at, axis) for at in (-1, 0))
    seen = (first != Code.NO_DATA) & (second != Code.NO_DATA)
    differ = (seen & (first != second)).sum(axis=1 - axis)
    total = seen.sum(axis=1 - axis)
    return np.where(total > 100, differ / np.maximum(total, 1), 0.0)


def test_another_cut_into_tiles_gives_the_same_pixels(ireland, carried_out):
    whole = carried_out("ireland-whole", IRELAND, grid={"resolution_m": 60.0, "tile_px": 1024})
    masks = [each.archive.masks("sentinel-2")["mask"] for each in (ireland, whole)]
    np.testing.assert_array_equal(*masks)
    composites = [each.archive.composite("all") for each in (ireland, whole)]
    for name in (*BANDS, "count", "day", "source"):
        np.testing.assert_array_equal(*(each[name] for each in composites))


# -- other programs ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("group", "at"),
    # A composite of all the store knows begins with time, whatever dates the job has.
    [("masks/sentinel-2", "2022-10-05"), ("composites/all", "1970-01-01")],
)
def test_xarray_opens_the_store_without_us(ireland, group, at):
    storage = icechunk.local_filesystem_storage(ireland.job.store)
    session = icechunk.Repository.open(storage).readonly_session("main")
    opened = xr.open_zarr(session.store, group=group, consolidated=False)
    geobox = ireland.archive.grid.geobox
    name = "mask" if group.startswith("masks") else "nir"
    assert opened.rio.crs.to_epsg() == EPSG
    assert opened[name].rio.crs.to_epsg() == EPSG
    assert opened[name].rio.transform() == geobox.transform
    assert opened[name].odc.geobox == geobox
    times = opened["time"].to_numpy().astype("datetime64[D]").astype(str).tolist()
    assert times == [at]


def test_an_exported_mask_lies_on_the_same_pixels(ireland, real, mask, tmp_path):
    aoi = real.inside(IRELAND, 5000)
    cut = query.select_masks({"sentinel-2": ireland.archive.masks("sentinel-2")}, aoi)
    path = query.export(cut, tmp_path / "mask.tif")
    source = real.source(IRELAND)
    with rasterio.open(path) as exported, rasterio.open(source.path) as delivered:
        assert exported.crs.to_epsg() == EPSG
        assert exported.res == delivered.res == (60.0, 60.0)
        codes = exported.read(1)
        window = from_bounds(*exported.bounds, delivered.transform)
        scl = delivered.read(source.bands["SCL"], window=window)
        assert scl.shape == codes.shape
        left, top = ireland.archive.grid.geobox.transform.c, exported.bounds.top
        col = round((exported.bounds.left - left) / 60)
        row = round((ireland.archive.grid.geobox.transform.f - top) / 60)
    stored = mask[row : row + codes.shape[0], col : col + codes.shape[1]]
    inside = codes != Code.NO_DATA
    assert inside.mean() > 0.9
    np.testing.assert_array_equal(codes[inside], stored[inside])
    f1 = [
        agreement(
            np.isin(codes, CLOUD)[inside], np.isin(np.roll(scl, shift, 1), SCL_CLOUD)[inside]
        )[0]
        for shift in (-2, 0, 2)
    ]
    # Two pixels to a side the product's clouds fit worse.
    assert max(f1) == f1[1]


def test_an_exported_composite_is_the_product(ireland, real, tmp_path):
    composite = ireland.archive.composite("all")[["nir", "count"]]
    path = query.export(composite, tmp_path / "composite.tif")
    source = real.source(IRELAND)
    with rasterio.open(path) as exported, rasterio.open(source.path) as delivered:
        names = [each.split()[-1] for each in exported.descriptions]
        nir = exported.read(names.index("nir") + 1)
        window = from_bounds(*exported.bounds, delivered.transform)
        numbers = delivered.read(source.bands["B8A"], window=window, boundless=True)
    held = np.isfinite(nir)
    assert held.sum() > 100_000
    np.testing.assert_allclose(nir[held], numbers[held] * 1e-4 - OFFSET, atol=ROUNDED)
