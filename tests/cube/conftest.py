"""A few small rasters with every quirk that a cube must get right."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from shapely.geometry import mapping

from pipeline.types import Items


@dataclass
class Archive:
    items: Items
    folder: Path
    geobox: GeoBox
    """Of the 10 m rasters of the first item."""


def write_raster(path: Path, pixels: np.ndarray, geobox: GeoBox) -> None:
    with rasterio.open(
        path,
        "w",
        driver="COG",
        width=pixels.shape[1],
        height=pixels.shape[0],
        count=1,
        dtype="uint16",
        crs=str(geobox.crs),
        transform=geobox.transform,
        nodata=0,
        blocksize=128,
        overview_resampling="average",
    ) as raster:
        raster.write(pixels, 1)


def make_item(folder: Path, name: str, geobox: GeoBox, pixels: np.ndarray, **properties):
    """Write blue at full and nir at half resolution; say where they lie as Earth Search does."""
    coarse = geobox.zoom_out(2)
    half = pixels.reshape(coarse.shape[0], 2, coarse.shape[1], 2).mean(axis=(1, 3))
    item = pystac.Item(
        id=name,
        geometry=mapping(geobox.geographic_extent.geom),
        bbox=list(geobox.geographic_extent.geom.bounds),
        datetime=datetime(2023, 6, 5, 10, 20, tzinfo=UTC),
        collection="sentinel-2-l2a",
        properties={"proj:epsg": geobox.crs.epsg, "platform": "sentinel-2a", **properties},
    )
    for role, box, values in (("blue", geobox, pixels), ("nir", coarse, half)):
        path = folder / f"{name}_{role}.tif"
        write_raster(path, values.round().astype("uint16"), box)
        asset = pystac.Asset(href=str(path))
        asset.extra_fields = {
            "proj:shape": list(box.shape),
            "proj:transform": list(box.transform)[:6],
        }
        item.add_asset(role, asset)
    return item


@pytest.fixture(scope="session")
def archive(tmp_path_factory) -> Archive:
    folder = tmp_path_factory.mktemp("rasters")
    rng = np.random.default_rng(7)
    geobox = GeoBox((640, 640), Affine(10, 0, 600_000, 0, -10, 5_400_000), "EPSG:32632")
    east = GeoBox((640, 640), Affine(10, 0, 603_000, 0, -10, 5_400_000), "EPSG:32632")
    zone = GeoBox((640, 640), Affine(10, 0, 160_000, 0, -10, 5_405_000), "EPSG:32633")
    ground = rng.integers(200, 9000, (640, 640)).astype(float)
    ground[:200, :260] = 0
    shifted = rng.integers(1200, 9000, (640, 640)).astype(float)
    items = (
        make_item(folder, "old", geobox, ground, **{"s2:processing_baseline": "03.01"}),
        make_item(folder, "raw", east, shifted, **{"s2:processing_baseline": "05.09"}),
        make_item(folder, "zone", zone, shifted, **{"s2:processing_baseline": "03.01"}),
    )
    return Archive(Items(items=items), folder, geobox)


@pytest.fixture(scope="session")
def new_item():
    return make_item
