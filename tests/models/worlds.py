"""Scenes as plain arrays round the CRS origin, simulated and real, and how a model masks a part of one.

Free of torch, so that a worker process starts quickly: ``python worlds.py WORLD MODEL …``.
"""

import dask
import dask.array as da
import numpy as np
import rasterio
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

from pipeline.mask import read_geobox
from pipeline.mask.combined import mask_with_confidence
from pipeline.mask.lattice import origin_px
from pipeline.types import DeviceModel

SIZE, ORIGIN = 640, -320

S2_BANDS = {
    "coastal": "B01",
    "blue": "B02",
    "green": "B03",
    "red": "B04",
    "rededge1": "B05",
    "nir": "B08",
    "nir08": "B8A",
    "nir09": "B09",
    "swir16": "B11",
    "swir22": "B12",
    "scl": "SCL",
}
STANDS_IN = {"coastal": "blue", "nir": "nir08", "nir09": "nir08"}
"""Where a product has no such band: what a pixel holds does not matter here, where it lies does."""


def filled(bands, rng):
    """Add what no Sentinel-2 L2A product has, a slanted swath edge and gaps; size it (SIZE, SIZE)."""
    for role, other in STANDS_IN.items():
        bands.setdefault(role, bands[other])
    bands["cirrus"] = np.clip(bands["blue"] - 0.2, 0, None) / 10 + 0.002
    bands["fmask"] = rng.integers(0, 256, (SIZE, SIZE))
    bands["dea_fmask"] = rng.integers(0, 6, (SIZE, SIZE))
    world = {}
    y, x = np.indices((SIZE, SIZE))
    gone = (x + y / 3 > 560) | ((abs(y - 310) < 12) & (abs(x - 330) < 30))
    for role, pixels in bands.items():
        more = [(0, SIZE - edge) for edge in pixels.shape]
        world[role] = np.pad(pixels, more, mode="symmetric").astype(np.float32)
        world[role][gone] = np.nan
    # A band alone may be missing, too.
    world["blue"][350:360, 270:280] = np.nan
    return world


def real(shared_data):
    """Ireland in Sentinel-2, half under cloud, and quality bits of Colombia in Landsat 8."""
    imagery = shared_data / "imagery"
    bands = {}
    with rasterio.open(imagery / "S2A_L2A_20221005_T29UNU_60m_crop.tif") as raster:
        for role, name in S2_BANDS.items():
            if name in raster.descriptions:
                numbers = raster.read(raster.descriptions.index(name) + 1).astype(np.float32)
                bands[role] = numbers if role == "scl" else (numbers - 1000) / 10000
    name = "LC08_L2SP_008059_20191201_20200825_02_T1.tif"
    with rasterio.open(imagery / "landsat_c2" / name) as raster:
        bands["qa_pixel"] = raster.read(raster.descriptions.index("QA_PIXEL") + 1)
    return filled(bands, np.random.default_rng(2))


def simulated(folder):
    """The cloudiest tile of a simulated archive, 10 m, and quality bits of its Landsat scene."""
    from pipeline.simulate import ArchiveSettings, make_archive  # noqa: PLC0415

    settings = ArchiveSettings(size_px=240, sentinel2_dates=2, landsat_dates=1)
    archive = make_archive(folder, settings, workers=1).parent
    tile = max(
        archive.glob("sentinel-2-l2a/*/SCL.tif"), key=lambda each: (read(each) == 9).sum()
    )
    bands = {}
    for role, name in S2_BANDS.items():
        path = tile.parent / f"{name}.tif"
        if path.exists():
            numbers = read(path).astype(np.float32)
            times = read(tile.parent / "B02.tif").shape[0] // numbers.shape[0]
            numbers = np.kron(numbers, np.ones((times, times), np.float32))
            bands[role] = numbers if role == "scl" else numbers / 10000
    (quality,) = archive.glob("landsat-c2-l2/*/*QA_PIXEL.TIF")
    bands["qa_pixel"] = read(quality)
    return filled(bands, np.random.default_rng(3))


def read(path):
    with rasterio.open(path) as raster:
        return raster.read(1)


def box(top, left, height, width):
    return GeoBox((height, width), Affine(30, 0, left * 30, 0, -30, -top * 30), "EPSG:32632")


def masked(world, model, geobox, chunk):
    """Codes and confidence (2, y, x)."""
    reads = read_geobox(model.card.lattice, geobox)
    top, left = (px - ORIGIN for px in origin_px(reads))
    ys, xs = (
        slice(max(top, 0), top + reads.shape[0]),
        slice(max(left, 0), left + reads.shape[1]),
    )
    variables = {}
    for role in model.card.roles:
        # Beyond the world there is nothing.
        pixels = np.full((1, *reads.shape), np.nan, np.float32)
        held = world[role][ys, xs]
        put = slice(ys.start - top, ys.start - top + held.shape[0])
        along = slice(xs.start - left, xs.start - left + held.shape[1])
        pixels[0, put, along] = held
        variables[role] = (("time", "y", "x"), da.from_array(pixels, (1, chunk, chunk)))
    cube = xr.Dataset(variables, xr_coords(reads))
    for role in model.card.roles:
        cube[role].encoding["grid_mapping"] = "spatial_ref"
    return np.stack(
        [each[0] for each in dask.compute(*mask_with_confidence(cube, model, geobox))]
    )


class OnLattice:
    """A model on smaller windows than its own, so that a small scene has many, and in batches."""

    def __init__(self, model, lattice, batch=1):
        from dataclasses import replace  # noqa: PLC0415

        self.model = model
        self.card = replace(model.card, lattice=lattice, batch=batch)

    def predict(self, windows):
        return self.model.predict(windows)


class OnLatticeOfADevice(OnLattice):
    """The same of a model that lets its scores be worked on where they are."""

    def predict_then(self, windows, beside, then):
        return self.model.predict_then(windows, beside, then)


def on_lattice(model, lattice, batch):
    """A model on another lattice, of the kind that it is."""
    kind = OnLatticeOfADevice if isinstance(model, DeviceModel) else OnLattice
    return kind(model, lattice, batch)
