"""What reading a tile costs against decoding its blocks alone, and against plain ``odc.stac.load``.

Two neighbouring MGRS tiles of one day and a Landsat scene are written as COGs, then one tile is read in the blocks
that masking (512 px) and composing (256 px) ask for, and each block is dropped once it is there. Rounds are
interleaved, nothing is cached from one round to the next but the files in memory, and figures are medians of CPU
seconds, with the allocator's settings of a run. *decoder* opens each raster once with rasterio and reads the same source blocks that our reader decoded, each
once; *odc* is plain ``odc.stac.load`` in blocks of the same size.

    python benchmarks/reading.py [--repeats 5] [--tile-px 2048] [--source-px 1024] [--only "another zone"]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import odc.stac
import pystac
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from scipy.ndimage import zoom
from shapely.geometry import mapping

from pipeline.cube import open_cube, open_measured, opening
from pipeline.cube.blocks import raster
from pipeline.cube.blocks.units import place
from pipeline.models import prepare_process
from pipeline.types import CubeSettings, Items, Scene

SCENE_PX = 3072
THREADS = 2
MASK_PX, COMPOSITE_PX = 512, 256
ROLES = ("blue", "green", "red", "nir", "swir16", "swir22")
FINE = ROLES[:4]


def write(path: Path, geobox: GeoBox, rng: np.random.Generator, block_px: int) -> None:
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
        blocksize=block_px,
        overview_resampling="average",
    ) as target:
        target.write(numbers, 1)


def sentinel_2(
    folder: Path, name: str, left: float, rng: np.random.Generator, block_px: int
) -> pystac.Item:
    """Write an item of Sentinel-2: four bands at 10 m, two at 20 m."""
    fine = GeoBox((SCENE_PX,) * 2, Affine(10, 0, left, 0, -10, 5_400_000), "EPSG:32632")
    assets = {role: fine if role in FINE else fine.zoom_out(2) for role in ROLES}
    return item_of(folder, name, assets, rng, block_px)


def item_of(
    folder: Path,
    name: str,
    assets: dict[str, GeoBox],
    rng: np.random.Generator,
    block_px: int,
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
        write(path, geobox, rng, block_px)
        asset = pystac.Asset(href=str(path), media_type=pystac.MediaType.COG)
        asset.extra_fields = {
            "proj:shape": list(geobox.shape),
            "proj:transform": list(geobox.transform)[:6],
            "raster:bands": [{"nodata": 0, "data_type": "uint16"}],
        }
        item.add_asset(role, asset)
    return item


Case = tuple[Items, GeoBox, Sequence[str]]


def ours(case: Case, block_px: int, settings: CubeSettings | None = None) -> None:
    items, geobox, roles = case
    raster.BLOCKS.clear()
    raster.HEADERS.drop()
    opening.IDLE.drop()
    scene = Scene(
        sensor="sentinel-2", time=items.items[0].datetime, items=tuple(range(len(items)))
    )
    layout = open_cube if block_px == MASK_PX else open_measured
    opened = layout([scene], items, geobox, list(roles), chunk_px=block_px, settings=settings)
    read([opened[role].data for role in roles])


def plain(case: Case, block_px: int) -> None:
    items, geobox, roles = case
    loaded = odc.stac.load(
        items.items,
        bands=list(roles),
        geobox=geobox,
        groupby="solar_day",
        chunks={"y": block_px, "x": block_px},
        resampling="bilinear",
        dtype="uint16",
        nodata=0,
    )
    read([loaded[role].data for role in roles])


def read(bands: Sequence[da.Array]) -> None:
    """Compute all bands of a block together, and keep none."""
    blocks = [band.to_delayed(optimize_graph=False).ravel() for band in bands]
    dask.compute(
        *[dask.delayed(lambda *_: None)(*block) for block in zip(*blocks, strict=True)]
    )


Decoded = dict[tuple[str, int | None], list[tuple[int, Any]]]
"""(path, overview level) -> bands and windows."""


def decoded_blocks(case: Case) -> Decoded:
    """Return what our reader decodes for a case."""
    found: Decoded = {}
    real = raster.BlockRaster._blocks

    def noted(self: raster.BlockRaster, band: int, wanted: Any, source: Any) -> Any:
        blocks = real(self, band, wanted, source)
        windows = found.setdefault((self._opening.path, self._level), [])
        header = self._header
        windows += [(band, place(at, header.unit, header.shape)) for at in blocks]
        return blocks

    raster.BlockRaster._blocks = noted
    try:
        ours(case, MASK_PX)
    finally:
        raster.BlockRaster._blocks = real
    return found


def decode(blocks: Decoded) -> None:
    for (path, level), windows in blocks.items():
        options = {} if level is None else {"overview_level": level}
        with rasterio.open(path, **options) as source:
            for band, window in windows:
                source.read(band, window=window)


def cpu_s(do: Callable[[], None]) -> float:
    before = time.process_time()
    do()
    return time.process_time() - before


def cases(folder: Path, tile_px: int, block_px: int) -> dict[str, Case]:
    rng = np.random.default_rng(0)
    west = sentinel_2(folder, "west", 600_000, rng, block_px)
    east = sentinel_2(folder, "east", 600_000 + (SCENE_PX - 1024) * 10, rng, block_px)
    zone = GeoBox((SCENE_PX // 2,) * 2, Affine(30, 0, 165_000, 0, -30, 5_408_000), "EPSG:32633")
    other = item_of(folder, "zone", dict.fromkeys(FINE, zone), rng, block_px)
    inside = GeoBox((tile_px,) * 2, Affine(10, 0, 602_560, 0, -10, 5_397_440), "EPSG:32632")
    half = GeoBox((tile_px // 2,) * 2, Affine(20, 0, 602_560, 0, -20, 5_397_440), "EPSG:32632")
    one, both = Items(items=(west,)), Items(items=(west, east))
    return {
        "10 m on the grid, 4 bands": (one, inside, FINE),
        "10 m on the grid, 2 bands": (one, inside, FINE[:2]),
        "20 m from 10 m, 6 bands": (one, half, ROLES),
        "two MGRS tiles, 4 bands": (both, inside.translate_pix(1024, 0), FINE),
        "20 m interpolated, 2 bands": (one, inside, ROLES[4:]),
        "another zone, 4 bands": (Items(items=(other,)), inside, FINE),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tile-px", type=int, default=2048)
    parser.add_argument("--source-px", type=int, default=1024, help="edge of the COGs' blocks")
    parser.add_argument("--only", default="", help="cases whose names have this in them")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    # As in a run: memory that was freed is used again, by all that are measured.
    prepare_process()
    with (
        tempfile.TemporaryDirectory() as folder,
        dask.config.set(scheduler="threads", num_workers=THREADS),
    ):
        print(f"{'case':28} {'blocks':>6} {'CPU':>7} {'/ decoder':>10} {'/ odc':>7}")
        for name, case in cases(Path(folder), given.tile_px, given.source_px).items():
            if given.only not in name:
                continue
            blocks = decoded_blocks(case)
            for px in (MASK_PX, COMPOSITE_PX):
                runs = [
                    [
                        cpu_s(lambda case=case, px=px: ours(case, px)),
                        cpu_s(lambda blocks=blocks: decode(blocks)),
                        cpu_s(lambda case=case, px=px: plain(case, px)),
                    ]
                    for _ in range(given.repeats)
                ]
                own, alone, odc_s = (
                    statistics.median(each) for each in zip(*runs, strict=True)
                )
                print(
                    f"{name:28} {px:6} {own:6.2f}s {own / alone:10.2f} {own / odc_s:7.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
