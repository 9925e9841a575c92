"""CPU seconds of the same few tiles, done after none, 12 and 60 others: what a tile costs must not grow with them.

    python -m benchmarks.scaling_composing [--rounds 3] [--tile 128] [--before 0,12,60]

A simulated archive is masked by its products' own masks and composed, in the run's own process with one thread, a
commit a tile. Each case is of a new store; cases are interleaved. What comes before the tiles (search, plan) is left
out. The tiles that are timed are the same in all cases: others differ in their clouds, and where two MGRS tiles
overlap they read twice as many items.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from pipeline import run
from pipeline.config import parse_job
from pipeline.simulate import ArchiveSettings, make_archive
from pipeline.types import Job

AOI = [11.63, 48.145, 11.77, 48.26]
"""Inside of an archive of 1 536 px."""
TIMED = 4
"""Tiles that are timed."""


def job_over(catalog: Path, where: Path, tile_px: int) -> Job:
    """Return a job that masks and composes the whole archive, one month of it."""
    return parse_job(
        {
            "name": "scaling",
            "aoi": AOI,
            "datetime": "2023-06-01/2023-08-31",
            "sources": [{"catalog": str(catalog)}],
            "mask": {"model": "scl"},
            "grid": {"crs": "utm", "resolution_m": 10, "tile_px": tile_px, "chunk_px": tile_px},
            "composite": {"name": "all", "period": "all", "screen": {}},
            "store": str(where),
            "run": {"workers": 1},
        },
        base=where.parent,
    )


def spent(job: Job, where: Path, before: int) -> float:
    """Mask and compose a few tiles after so many others; return CPU seconds a megapixel."""
    shutil.rmtree(where, ignore_errors=True)
    plan = run.plan_job(job)
    tiles = plan.tiles_to_do
    # From the middle of the region, where every scene has pixels.
    first = len(tiles) // 2
    timed, others = tiles[first : first + TIMED], [*tiles[:first], *tiles[first + TIMED :]]
    if len(others) < before:
        raise SystemExit(f"{len(tiles)} tiles: the archive is too small for {before} before")
    with run.open_session(plan) as session:
        for tile in others[:before]:
            session.do_tiles([tile])
        start = time.process_time()
        for tile in timed:
            session.do_tiles([tile])
        took = time.process_time() - start
    return took * 1e6 / (TIMED * plan.grid.tile_px**2)


def main() -> None:
    """Print every round, medians, and the ratio of the largest to the least."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tile", type=int, default=128)
    parser.add_argument("--dates", type=int, default=6)
    parser.add_argument("--size", type=int, default=1536, help="edge of the archive, px")
    parser.add_argument("--before", default="0,12,60")
    asked = parser.parse_args()
    found: dict[int, list[float]] = {int(each): [] for each in asked.before.split(",")}
    with tempfile.TemporaryDirectory() as folder:
        settings = ArchiveSettings(
            size_px=asked.size, sentinel2_dates=asked.dates, landsat_dates=0
        )
        catalog = make_archive(Path(folder) / "archive", settings)
        where = Path(folder) / "store"
        job = job_over(catalog, where, asked.tile)
        # Compiles, and reads what the timed tiles read.
        spent(job, where, 0)
        for number in range(asked.rounds):
            for before, each in found.items():
                each.append(spent(job, where, before))
                print(
                    f"round {number}: after {before} tiles, {each[-1]:.1f} CPU-s/Mpx",
                    flush=True,
                )
    middle = {before: statistics.median(each) for before, each in found.items()}
    print(", ".join(f"after {before} tiles: {each:.1f}" for before, each in middle.items()))
    print(f"largest / least: {max(middle.values()) / min(middle.values()):.2f}")


if __name__ == "__main__":
    main()
