"""CPU seconds of composing a pixel, in 1, 4, 16 and 64 tiles.

    python -m benchmarks.scaling_composing [--rounds 3] [--tile 128]

A simulated archive is masked by its products' own masks and composed, in the run's own process with one thread. Each case
is of a new store; cases are interleaved. What comes before the tiles (search, plan) is left out, and one tile warms the process up.
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

TILES = (1, 4, 16, 64)


def job_over(catalog: Path, where: Path, tile_px: int) -> Job:
    """Return a job that masks and composes the whole archive, one month of it."""
    return parse_job(
        {
            "name": "scaling",
            "aoi": [11.63, 48.10, 11.85, 48.26],
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


def spent(job: Job, where: Path, tiles: int) -> float:
    """Mask and compose so many tiles anew; return CPU seconds a megapixel."""
    shutil.rmtree(where, ignore_errors=True)
    plan = run.plan_job(job)
    # The archive's edge cuts the outer ones.
    counts = [sum(cell.covered for cell in plan.cells_of(each)) for each in plan.tiles_to_do]
    whole = [each for each, n in zip(plan.tiles_to_do, counts, strict=True) if n == max(counts)]
    if len(whole) <= tiles:
        raise SystemExit(f"{len(whole)} whole tiles: the archive is too small")
    with run.open_session(plan) as session:
        session.do_tiles(whole[-1:])
        before = time.process_time()
        for tile in whole[:tiles]:
            session.do_tiles([tile])
        took = time.process_time() - before
    return took * 1e6 / (tiles * plan.grid.tile_px**2)


def main() -> None:
    """Print every round, medians, and the ratio of the largest to the least."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tile", type=int, default=128)
    parser.add_argument("--dates", type=int, default=6)
    asked = parser.parse_args()
    found: dict[int, list[float]] = {tiles: [] for tiles in TILES}
    with tempfile.TemporaryDirectory() as folder:
        settings = ArchiveSettings(
            size_px=12 * asked.tile, sentinel2_dates=asked.dates, landsat_dates=0
        )
        catalog = make_archive(Path(folder) / "archive", settings)
        where = Path(folder) / "store"
        job = job_over(catalog, where, asked.tile)
        for number in range(asked.rounds):
            for tiles, each in found.items():
                each.append(spent(job, where, tiles))
                print(
                    f"round {number}: {tiles} tiles, {each[-1]:.1f} CPU-s/Mpx",
                    flush=True,
                )
    middle = {tiles: statistics.median(each) for tiles, each in found.items()}
    print(", ".join(f"{tiles} tiles: {each:.1f}" for tiles, each in middle.items()))
    print(f"largest / least: {max(middle.values()) / min(middle.values()):.2f}")


if __name__ == "__main__":
    main()
