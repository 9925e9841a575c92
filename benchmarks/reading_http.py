"""What reading a tile over HTTP takes beside other readers: seconds, requests and bytes, as the server counts them.

    python benchmarks/reading_http.py [--repeats 3] [--latency-ms 20] [--threads 8] [--tile-px 2048] [--source-px 1024]

The cases of `benchmarks/reading.py`, with each answer of the server some milliseconds late. *cloudmask* reads in the blocks of 512 px
that masking asks for; *odc* is plain ``odc.stac.load``, in the same blocks and in one block a band; *rasterio* reads of each
raster, or of the overview that cloudmask takes, the rectangle that the tile needs, a raster a thread, and resamples nothing.
All have the same number of threads, GDAL's settings for cloud storage, and a server of their own for each round, so that
nothing is cached. Figures are medians; rounds are interleaved.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dask
import odc.stac
import rasterio
from reading import MASK_PX, Case, Decoded, cases, decoded_blocks, ours, plain
from whole import downloaded, served

from pipeline.models import prepare_process
from pipeline.types import CubeSettings, Items

CLOUD = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_HTTP_MULTIPLEX": "YES",
}
SETTINGS = CubeSettings(hosts=("127.0.0.1",))


def at_url(case: Case, folder: Path, url: str) -> Case:
    """Return a case whose assets lie at a URL instead of in a folder."""
    items, geobox, roles = case
    moved = [each.clone() for each in items.items]
    for asset in (asset for each in moved for asset in each.assets.values()):
        asset.href = asset.href.replace(str(folder), url)
    return Items(items=tuple(moved)), geobox, roles


def with_rasterio(blocks: Decoded, folder: Path, url: str, threads: int) -> None:
    """Read the rectangle of each raster's blocks, a raster a thread."""

    def read(each: tuple[tuple[str, int | None], list]) -> None:
        (path, level), windows = each
        options = {} if level is None else {"overview_level": level}
        (top, bottom), (left, right) = (
            (min(w[axis][0] for _, w in windows), max(w[axis][1] for _, w in windows))
            for axis in (0, 1)
        )
        href = path.replace(str(folder), url)
        with rasterio.Env(**CLOUD), rasterio.open(href, **options) as raster:
            raster.read(windows[0][0], window=((top, bottom), (left, right)))

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(read, blocks.items()))


def ways_of(
    case: Case, folder: Path, asked: argparse.Namespace
) -> Mapping[str, Callable[[str], None]]:
    """Return what reads a case from a server."""
    blocks = decoded_blocks(case)
    return {
        "cloudmask": lambda url: ours(at_url(case, folder, url), MASK_PX, SETTINGS),
        "odc, blocks": lambda url: plain(at_url(case, folder, url), MASK_PX),
        "odc, bands": lambda url: plain(at_url(case, folder, url), asked.tile_px),
        "rasterio": lambda url: with_rasterio(blocks, folder, url, asked.threads),
    }


def main() -> None:
    """Print each case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--latency-ms", type=float, default=20.0)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--tile-px", type=int, default=2048)
    parser.add_argument("--source-px", type=int, default=1024, help="edge of the COGs' blocks")
    parser.add_argument("--only", default="", help="cases whose names have this in them")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    prepare_process()
    odc.stac.configure_rio(cloud_defaults=True)
    with (
        tempfile.TemporaryDirectory() as scratch,
        dask.config.set(scheduler="threads", num_workers=asked.threads),
    ):
        folder = Path(scratch) / "scenes"
        folder.mkdir()
        print(f"{'case':28} {'reader':12} {'wall':>7} {'CPU':>7} {'requests':>8} {'MB':>7}")
        for name, case in cases(folder, asked.tile_px, asked.source_px).items():
            if asked.only not in name:
                continue
            found = defaultdict(list)
            ways = ways_of(case, folder, asked)
            for number in range(asked.repeats):
                for way, read in ways.items():
                    log = Path(scratch) / f"{way}{number}"
                    log.write_text("")
                    with served(folder, log, asked.latency_ms) as url:
                        begun, cpu = time.perf_counter(), time.process_time()
                        read(url)
                        spent = time.perf_counter() - begun, time.process_time() - cpu
                    requests, sent, _ = downloaded(log, 0)
                    found[way].append((*spent, requests, sent / 1e6))
            for way, rounds in found.items():
                wall, cpu, requests, sent = map(statistics.median, zip(*rounds, strict=True))
                print(
                    f"{name:28} {way:12} {wall:6.2f}s {cpu:6.2f}s {requests:8.0f} {sent:7.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
