"""What a wide region costs beside its pixels: planning a tile, and the memory of a Dask scheduler.

    python benchmarks/region.py [SIDE ...]

A region of SIDE × SIDE MGRS tiles has 50 dates; 9 makes 2 000 tiles. Pixels are stubbed: workers
answer each task with receipts and write nothing. Planning, the scheduler's tasks and memory, and
the run are then all there is. The scheduler is a process of its own, started anew for each size.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import psutil
from distributed import Client
from planning import documents, job_over, planned

from pipeline import run
from pipeline.run import Plan
from pipeline.run.executors.dask import LIMITS
from pipeline.search import search
from pipeline.types import ClusterSettings, MaskSettings

DATES = 50
SIDES = (3, 6, 9)
REAL = Path(__file__).parents[2] / "shared" / "data" / "stac_items"
STUB = """
import pickle

from pipeline.run.executors import dask as cluster
from pipeline.types import CellReceipt, TileReceipt

def mask_on_worker(packed, fork):
    task = pickle.loads(packed)
    cells = tuple(
        CellReceipt(
            sensor=cell.scene.sensor, time=cell.scene.time, tile=task.tile.name,
            status="masked" if cell.covered else "uncovered", fingerprint=cell.fingerprint,
            items=tuple(map(task.item_id, cell.items)),
        )
        for cell in task.cells
    )
    return packed, (TileReceipt(tile=task.tile.name, cells=cells), pickle.loads(fork))

def compose_on_worker(masked):
    packed, made = masked
    pickle.loads(packed)
    return made

cluster.mask_on_worker, cluster.compose_on_worker = mask_on_worker, compose_on_worker
"""


@contextlib.contextmanager
def dask_cluster(scratch: Path, n_workers: int) -> Iterator[tuple[str, psutil.Process]]:
    """Start a scheduler and workers that make no pixels; yield its address and its process."""
    stub = scratch / "stubbed_pixels.py"
    stub.write_text(STUB)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address, local = f"tcp://127.0.0.1:{port}", ["--host", "127.0.0.1"]
    dask = [sys.executable, "-m", "dask"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    web = ["--dashboard-address", "127.0.0.1:0"]
    commands = [[*dask, "scheduler", *local, "--port", str(port), *web]]
    flags = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--preload", str(stub)]
    commands += [[*dask, "worker", address, *local, *flags]] * n_workers
    # As `deploy` configures its schedulers.
    limits = {
        "DASK_" + name.upper().replace(".", "__").replace("-", "_"): str(value)
        for name, value in LIMITS.items()
    }
    environment = os.environ | limits
    processes = [subprocess.Popen(each, env=environment, **quiet) for each in commands]
    try:
        with Client(address, timeout="120 s", set_as_default=False) as client:
            client.wait_for_workers(n_workers, timeout="120 s")
        yield address, psutil.Process(processes[0].pid)
    finally:
        for process in processes:
            process.kill()
            process.wait()


class Watch:
    """Samples a scheduler's number of tasks and its memory several times a second."""

    def __init__(self, address: str, scheduler: psutil.Process) -> None:
        with Client(address, set_as_default=False) as client:
            # What it imports with the first task is no cost of a region.
            client.run_on_scheduler(import_module, "pipeline.run.executors.dask")
        self.tasks, self.before = 0, scheduler.memory_info().rss
        self.peak = self.before
        self._address, self._scheduler = address, scheduler
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        with Client(self._address, set_as_default=False) as client:
            while not self._done.wait(0.2):
                known = client.run_on_scheduler(
                    lambda dask_scheduler: len(dask_scheduler.tasks)
                )
                self.tasks = max(self.tasks, known)
                self.peak = max(self.peak, self._scheduler.memory_info().rss)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


def measure(side: int, n_workers: int) -> str:
    """Plan and run one region; return a row."""
    count = side * side * DATES
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        catalogue = scratch / "items.json"
        features = documents(REAL, count, side)
        catalogue.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
        job = job_over(side, count, catalogue)
        job = job.replace(mask=MaskSettings(model="ukis-csmask"))
        found = search(job)
        start = time.perf_counter()
        plan = planned(job, found)
        planning = time.perf_counter() - start
        with dask_cluster(scratch, n_workers) as (address, scheduler):
            settings = ClusterSettings(kind="address", address=address)
            wide = job.replace(run=job.run.replace(cluster=settings, memory_bytes=2**50))
            plan = dataclasses.replace(plan, job=wide)
            with Watch(address, scheduler) as watch:
                start = time.perf_counter()
                done = carried_out(plan)
                took = time.perf_counter() - start
    tiles = len(plan.tiles)
    assert done == tiles, (done, tiles)
    return " | ".join(
        (
            f"{tiles:5d}",
            f"{len(plan.scenes):4d}",
            f"{len(found):5d}",
            f"{planning / tiles * 1e3:7.2f}",
            f"{took / tiles * 1e3:8.1f}",
            f"{watch.tasks:5d}",
            f"{(watch.peak - watch.before) / 2**20:7.1f}",
        )
    )


def carried_out(plan: Plan) -> int:
    """Do every batch of a plan and publish nothing; return how many tiles were done."""
    done = 0
    with run.open_session(plan) as session:
        for tiles in session.batches():
            done += len(session.do_tiles(tiles))
    return done


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sides", nargs="*", type=int, default=list(SIDES))
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    print("tiles | scenes | items | plan ms/tile | run ms/tile | most tasks | scheduler + MiB")
    for side in asked.sides:
        print(measure(side, asked.workers), flush=True)


if __name__ == "__main__":
    main()
