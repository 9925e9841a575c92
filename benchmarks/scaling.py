"""Throughput of reading and masking with one worker process and with two.

    python benchmarks/scaling.py [--rounds 3] [--size 2048]

A simulated archive is masked by the real network, tile by tile on a local cluster whose workers have
one thread each. Runs are interleaved and each is of a new store. What starts the workers and loads the
network is left out: tiles are timed from the first batch on, after one that warms the workers up.
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


def job_over(catalog: Path, where: Path, workers: int) -> Job:
    """Return a job that masks the whole archive on so many workers."""
    job = parse_job(
        {
            "name": "scaling",
            "aoi": [11.63, 48.10, 11.85, 48.26],
            "datetime": "2023-06-01/2023-08-31",
            "sources": [{"catalog": str(catalog)}],
            "grid": {"crs": "utm", "resolution_m": 10, "tile_px": 512, "chunk_px": 256},
            "store": str(where),
            "run": {"workers": 1, "cluster": {"kind": "local", "workers": workers}},
        },
        base=where.parent,
    )
    return job.replace(composite=None)


def throughput(catalog: Path, where: Path, workers: int) -> float:
    """Mask everything anew; return cells (scene × tile) a second."""
    shutil.rmtree(where, ignore_errors=True)
    plan = run.plan_job(job_over(catalog, where, workers))
    warm, rest = plan.tiles_to_do[:workers], plan.tiles_to_do[2:]
    with run.open_session(plan) as session:
        # Every worker loads its network.
        session.do_tiles(warm)
        start = time.perf_counter()
        session.do_tiles(rest)
        took = time.perf_counter() - start
    cells = sum(cell.covered for tile in rest for cell in plan.cells_of(tile))
    return cells / took


def main() -> None:
    """Print every round and the ratio of medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=1536, help="edge of the archive in pixels")
    parser.add_argument("--dates", type=int, default=4)
    asked = parser.parse_args()
    found: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as folder:
        settings = ArchiveSettings(
            size_px=asked.size, sentinel2_dates=asked.dates, landsat_dates=0
        )
        catalog = make_archive(Path(folder) / "archive", settings)
        for number in range(asked.rounds):
            for workers, each in found.items():
                each.append(throughput(catalog, Path(folder) / "store", workers))
                print(f"round {number}: {workers} workers, {each[-1]:.3f} cells/s", flush=True)
    ratios = [two / one for one, two in zip(found[1], found[2], strict=True)]
    one, two = (statistics.median(each) for each in found.values())
    print(
        f"1 → 2 workers: {two / one:.2f} × (rounds {min(ratios):.2f} to {max(ratios):.2f}); "
        f"{one:.3f} and {two:.3f} cells/s"
    )


if __name__ == "__main__":
    main()
