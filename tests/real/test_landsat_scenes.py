"""Two whole Landsat scenes, thinned to pixels of half a kilometre: QA bits, odd pixels, a polar grid.

Too coarse for a trained network, so a threshold stands in for it.
"""

import numpy as np
import odc.geo.xr  # noqa: F401
import pytest
import rasterio.warp
from odc.geo.geobox import GeoBox

from pipeline import cube, models, search
from pipeline.grid import make_grid
from pipeline.run.common.scenes import scenes_of
from pipeline.testing import ThresholdModel
from pipeline.testing.models import certain
from pipeline.types import Code
from tests.real.real_catalogue import (
    ANTARCTICA,
    COLOMBIA,
    LANDSAT_BANDS,
    METADATA,
    landsat_metadata,
)

BANDS = ("blue", "green", "red", "nir", "swir16", "swir22")
CRS = {ANTARCTICA: "EPSG:3031", COLOMBIA: "EPSG:32618"}
GRID = {"resolution_m": 600.0, "tile_px": 256}

# Antarctica's scene has four times as many tiles.
pytestmark = pytest.mark.parametrize(
    "name", [pytest.param(ANTARCTICA, marks=pytest.mark.slow), COLOMBIA]
)


class BrightModel(ThresholdModel):
    """Tells the brighter clouds from the rest, and the brighter snow."""

    def predict(self, windows: np.ndarray) -> np.ndarray:
        bright = windows.mean(axis=1) > 0.9
        return certain(np.where(bright, Code.THICK_CLOUD, Code.CLEAR).astype(np.uint8))


def band_of(role: str) -> str:
    return LANDSAT_BANDS["nir08" if role == "nir" else role]


@pytest.fixture
def job(name, real, tmp_path):
    return real.job("scene", name, tmp_path, grid={"crs": CRS[name], **GRID})


@pytest.fixture
def opened(job):
    """Return a function that opens the scene as a cube on any grid."""
    items = search.search(job)
    scenes = scenes_of(items)
    return lambda geobox: cube.open_cube(scenes, items, geobox, BANDS, chunk_px=200).compute()


@pytest.fixture
def reflectance(name, real):
    """Return a function that scales a band as the product's own metadata says."""
    said = landsat_metadata(real.imagery / METADATA[name])[
        "LEVEL2_SURFACE_REFLECTANCE_PARAMETERS"
    ]
    source = real.source(name)

    def scaled(role: str) -> np.ndarray:
        band = band_of(role)
        number = band[-1]
        scale = float(said[f"REFLECTANCE_MULT_BAND_{number}"])
        offset = float(said[f"REFLECTANCE_ADD_BAND_{number}"])
        numbers = source.read(band)
        return np.where(numbers == 0, np.nan, numbers * scale + offset)

    return scaled


def test_on_its_own_pixels_it_is_what_the_metadata_say(name, opened, reflectance, real):
    profile = real.source(name).profile
    own = GeoBox((profile["height"], profile["width"]), profile["transform"], profile["crs"])
    seen = opened(own)
    fill = (real.source(name).read("QA_PIXEL") & 1).astype(bool)
    expected = {role: reflectance(role) for role in BANDS}
    # A pixel counts as data where all bands have data.
    held = np.logical_and.reduce([np.isfinite(each) for each in expected.values()])
    for role in BANDS:
        wanted = np.where(held, expected[role], np.nan)
        np.testing.assert_allclose(seen[role].isel(time=0), wanted, atol=1e-6)
    assert 0.3 < held.mean() < 0.8
    # Whoever thinned the scene thinned QA_PIXEL otherwise: its fill reaches a few pixels further in.
    assert held[~fill].all()
    assert (held == ~fill).mean() > 0.99


def test_on_a_grid_of_its_crs_it_is_what_gdal_interpolates(
    name, job, opened, reflectance, real
):
    geobox = make_grid(job).geobox
    assert geobox.crs.epsg == int(CRS[name].split(":")[1])
    seen = opened(geobox)
    assert seen.odc.geobox == geobox
    profile = real.source(name).profile
    for role in BANDS:
        wanted = np.full(geobox.shape, np.nan)
        rasterio.warp.reproject(
            reflectance(role),
            wanted,
            src_transform=profile["transform"],
            src_crs=profile["crs"],
            src_nodata=np.nan,
            dst_transform=geobox.transform,
            dst_crs=str(geobox.crs),
            dst_nodata=np.nan,
            resampling=rasterio.warp.Resampling.bilinear,
            # GDAL widens its kernel where pixels grow; ours is of fixed width below a factor of two.
            XSCALE=1,
            YSCALE=1,
        )
        ours = seen[role].isel(time=0).to_numpy()
        both = np.isfinite(ours) & np.isfinite(wanted)
        assert (np.isfinite(ours) == np.isfinite(wanted)).mean() > 0.99
        assert both.sum() > 40_000
        # Up to the edge of the swath, where the two weigh missing neighbours differently.
        assert np.percentile(np.abs(ours[both] - wanted[both]), 99) < 1e-3


def test_it_goes_through_a_run(name, carried_out, monkeypatch):
    model = BrightModel()
    monkeypatch.setattr(models, "resolve", lambda *_, **__: model.card)
    monkeypatch.setattr(models, "check", lambda _: None)
    monkeypatch.setattr(models, "load", lambda _: model)
    monkeypatch.setattr(models, "bytes_needed", lambda *_, **__: 0)
    ran = carried_out("scene", name, grid={"crs": CRS[name], **GRID})
    assert ran.record.complete == ran.record.expected
    assert "Collection 2" in ran.record.radiometry[name]
    archive = ran.archive
    masks, composite = archive.masks("landsat"), archive.composite("all").isel(time=0)
    assert masks.odc.crs.epsg == composite.odc.crs.epsg == int(CRS[name].split(":")[1])
    mask = masks["mask"].isel(time=0).to_numpy()
    cloudy = (mask == Code.THICK_CLOUD).sum() / (mask != Code.NO_DATA).sum()
    print(f"\n{name}: {cloudy:.1%} brighter than the threshold")
    assert 0.0 < cloudy < 1.0
    np.testing.assert_array_equal(composite["count"] == 1, mask == Code.CLEAR)
