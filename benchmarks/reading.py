"""What reading a tile costs against plain ``odc.stac.load`` of the same items.

Two neighbouring MGRS tiles of one day and a Landsat scene are written as COGs, then one tile of
2048 × 2048 pixels of 10 m is read by both, alternately: bands on the grid (10 m), bands that are
interpolated (20 m, and 30 m of another zone), and a composite's coarser grid (60 m, from
overviews). Bytes are counted by the kernel (``rchar`` of this process), so that headers, overviews
and read-ahead count too.

    python benchmarks/reading.py [--repeats 7] [--tile-px 2048]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import dask
import numpy as np
import odc.stac
import psutil
import pystac
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from scipy.ndimage import zoom
from shapely.geometry import mapping

from pipeline.cube import open_cube
from pipeline.types import Items, Scene

SCENE_PX = 3072
THREADS = 2


def write(path: Path, geobox: GeoBox, rng: np.random.Generator) -> None:
    """Write a COG of smooth ground with noise, so that it compresses as real scenes do."""
    ground = zoom(
        rng.uniform(300, 4000, (geobox.shape.y // 32, geobox.shape.x // 32)), 32, order=1
    )
    numbers = (ground + rng.normal(0, 25, ground.shape)).astype("uint16")
    with rasterio.open(
        path,
        "w",
        driver="COG",
        height=geobox.shape.y,
        width=geobox.shape.x,
        count=1,
        dtype="uint16",
        crs=str(geobox.crs),
        transform=geobox.transform,
        nodata=0,
        compress="deflate",
        predictor="yes",
        blocksize=1024,
        overview_resampling="average",
    ) as raster:
        raster.write(numbers, 1)


def sentinel_2(folder: Path, name: str, left: float, rng: np.random.Generator) -> pystac.Item:
    """Write an item of Sentinel-2: blue at 10 m, swir16 at 20 m."""
    fine = GeoBox((SCENE_PX,) * 2, Affine(10, 0, left, 0, -10, 5_400_000), "EPSG:32632")
    return item_of(folder, name, {"blue": fine, "swir16": fine.zoom_out(2)}, rng)


def item_of(
    folder: Path, name: str, assets: dict[str, GeoBox], rng: np.random.Generator
) -> pystac.Item:
    """Write an item whose assets lie where they are told."""
    first = next(iter(assets.values()))
    outline = first.geographic_extent.geom
    item = pystac.Item(
        id=name,
        geometry=mapping(outline),
        bbox=list(outline.bounds),
        datetime=datetime(2023, 6, 5, 10, 20, tzinfo=UTC),
        collection="sentinel-2-l2a",
        properties={"proj:epsg": first.crs.epsg, "s2:processing_baseline": "03.01"},
    )
    for role, geobox in assets.items():
        path = folder / f"{name}_{role}.tif"
        write(path, geobox, rng)
        asset = pystac.Asset(href=str(path), media_type=pystac.MediaType.COG)
        asset.extra_fields = {
            "proj:shape": list(geobox.shape),
            "proj:transform": list(geobox.transform)[:6],
            "raster:bands": [{"nodata": 0, "data_type": "uint16"}],
        }
        item.add_asset(role, asset)
    return item


def ours(items: Items, geobox: GeoBox, role: str) -> np.ndarray:
    scene = Scene(
        sensor="sentinel-2", time=items.items[0].datetime, items=tuple(range(len(items)))
    )
    return open_cube([scene], items, geobox, [role], chunk_px=512)[role].compute().values


def plain(items: Items, geobox: GeoBox, role: str) -> np.ndarray:
    loaded = odc.stac.load(
        items.items,
        bands=[role],
        geobox=geobox,
        groupby="solar_day",
        chunks={"y": 512, "x": 512},
        resampling="bilinear",
        dtype="uint16",
        nodata=0,
    )
    numbers = loaded[role].where(loaded[role] != 0).astype("float32")
    return (numbers * np.float32(1e-4)).compute().values


def measure(read: Callable[[], np.ndarray]) -> tuple[float, float, int]:
    """Return wall seconds, CPU seconds and bytes of one reading."""
    process = psutil.Process()
    before, wall, cpu = (
        process.io_counters().read_chars,
        time.perf_counter(),
        time.process_time(),
    )
    read()
    return (
        time.perf_counter() - wall,
        time.process_time() - cpu,
        process.io_counters().read_chars - before,
    )


def cases(folder: Path, tile_px: int) -> dict[str, tuple[Items, GeoBox, str]]:
    rng = np.random.default_rng(0)
    west = sentinel_2(folder, "west", 600_000, rng)
    east = sentinel_2(folder, "east", 600_000 + (SCENE_PX - 1024) * 10, rng)
    zone = GeoBox((SCENE_PX // 2,) * 2, Affine(30, 0, 165_000, 0, -30, 5_408_000), "EPSG:32633")
    other = item_of(folder, "zone", {"blue": zone}, rng)
    inside = GeoBox((tile_px,) * 2, Affine(10, 0, 602_560, 0, -10, 5_397_440), "EPSG:32632")
    across = inside.pad(0)[:, :].translate_pix(1024, 0) if tile_px else inside
    coarse = inside.zoom_out(6)
    one, both = Items(items=(west,)), Items(items=(west, east))
    return {
        "10 m on the grid": (one, inside, "blue"),
        "10 m, two MGRS tiles": (both, across, "blue"),
        "20 m interpolated": (one, inside, "swir16"),
        "30 m of another zone": (Items(items=(other,)), inside, "blue"),
        "60 m from overviews": (one, coarse, "blue"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--tile-px", type=int, default=2048)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    with (
        tempfile.TemporaryDirectory() as folder,
        dask.config.set(scheduler="threads", num_workers=THREADS),
    ):
        print(
            f"{'case':24} {'wall':>7} {'wall ratio':>11} {'CPU ratio':>10} {'bytes ratio':>12}"
        )
        for name, case in cases(Path(folder), given.tile_px).items():
            ours(*case), plain(*case)
            runs = [
                (
                    measure(lambda case=case: ours(*case)),
                    measure(lambda case=case: plain(*case)),
                )
                for _ in range(given.repeats)
            ]
            ratios = [
                statistics.median(a[index] / max(b[index], 1e-9) for a, b in runs)
                for index in range(3)
            ]
            wall = statistics.median(a[0] for a, _ in runs)
            print(
                f"{name:24} {wall:6.2f}s {ratios[0]:11.2f} {ratios[1]:10.2f} {ratios[2]:12.2f}"
            )


if __name__ == "__main__":
    main()
