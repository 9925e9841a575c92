"""The masking engine against ukis-csmask's own, on the same network, pixels and machine.

    python benchmarks/masking.py                      # 1536², both precisions, three rounds
    python benchmarks/masking.py --size 4096 --rounds 5
    python benchmarks/masking.py --growth 2 8 32      # megapixels: cost by size, overhead, memory

Runs are interleaved and reported as medians, each in a process of its own, because a peak of
memory is a process's. The main figure is the process's CPU time: it does not count what others do
on the machine. ``over the network`` of memory is the peak less what the process held with the
network loaded and one window run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import dask
import dask.array as da
import numpy as np
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

from pipeline import models
from pipeline.mask import mask_cube, read_geobox
from pipeline.mask.lattice import origin_px
from pipeline.models import allocator

ROLES = ("blue", "green", "red", "nir", "swir16", "swir22")
WORKERS = 2


def scene(size: int) -> np.ndarray:
    """(B, size, size) float32: clouds of many sizes over fields; nobody's timing depends on it."""
    rng = np.random.default_rng(7)
    image = np.full((len(ROLES), size, size), 0.1, np.float32)
    for cell in (512, 128, 32, 8):
        coarse = rng.random((-(-size // cell),) * 2, dtype=np.float32) ** 3
        image += 0.2 * np.kron(coarse, np.ones((cell, cell), np.float32))[:size, :size]
    image += rng.normal(0, 0.01, image.shape).astype(np.float32)
    return image


def cube_of(image: np.ndarray, reads: GeoBox, chunk: int) -> xr.Dataset:
    """Return bands (B, Y, X) in memory as a lazy cube: what reading costs is another benchmark."""
    cube = xr.Dataset(
        {
            role: (
                ("time", "y", "x"),
                da.from_array(band[np.newaxis], (1, chunk, chunk), name=f"{role}-{id(image)}"),
            )
            for role, band in zip(ROLES, image, strict=True)
        },
        xr_coords(reads),
    )
    for role in ROLES:
        cube[role].encoding["grid_mapping"] = "spatial_ref"
    return cube


class Free:
    """A model that costs nothing: what is left is the engine."""

    def __init__(self, card) -> None:
        self.card = card
        # As a loaded network does.
        allocator.keep_freed_memory()
        shape = (1, len(card.classes), card.lattice.window_px, card.lattice.window_px)
        self._scores = np.zeros(shape, np.float32)

    def predict(self, windows: np.ndarray) -> np.ndarray:
        """Return the same scores for any window."""
        return np.broadcast_to(self._scores, (len(windows), *self._scores.shape[1:]))


def ours(size: int, precision: str) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return what warms up and what is measured."""
    card = models.resolve(
        "ukis-csmask",
        level="L2A",
        roles=ROLES,
        options={"precision": precision if precision != "free" else "float32"},
    )
    model = Free(card) if precision == "free" else models.load(card)
    geobox = GeoBox((size, size), Affine(20, 0, 0, 0, -20, 0), "EPSG:32632")
    reads = read_geobox(card.lattice, geobox)
    top, left = (-each for each in origin_px(reads))
    # No data round the scene.
    image = np.full((len(ROLES), *reads.shape), np.nan, np.float32)
    image[:, top : top + size, left : left + size] = scene(size)
    window = image[np.newaxis, :, top : top + 512, left : left + 512].copy()

    def measured() -> None:
        cube = cube_of(image, reads, card.lattice.core_px)
        with dask.config.set(scheduler="threads", num_workers=WORKERS):
            mask_cube(cube, model, geobox).compute()

    return lambda: model.predict(window), measured


def theirs(size: int, _: str) -> tuple[Callable[[], None], Callable[[], None]]:
    # Its import starts onnxruntime, which ours must not pay for.
    from ukis_csmask.mask import CSmask  # noqa: PLC0415

    image = np.ascontiguousarray(np.moveaxis(scene(size), 0, -1))

    def run(part: np.ndarray) -> None:
        CSmask(
            part,
            list(ROLES),
            product_level="l2a",
            intra_op_num_threads=WORKERS,
            providers=["CPUExecutionProvider"],
        )

    return lambda: run(image[:256, :256].copy()), lambda: run(image)


def resident(field: str) -> int:
    """Bytes of a line of /proc/self/status: VmRSS is now, VmHWM the peak."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def child(engine: str, size: int, precision: str) -> None:
    warm, measured = (ours if engine == "ours" else theirs)(size, precision)
    warm()
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    wall, cpu = time.perf_counter(), time.process_time()
    measured()
    print(
        json.dumps(
            {
                "cpu": time.process_time() - cpu,
                "wall": time.perf_counter() - wall,
                "bytes": resident("VmHWM") - before,
            }
        )
    )


def run(engine: str, size: int, precision: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, "--child", engine, str(size), precision],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def median(results: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(each[key] for each in results) for key in results[0]}


def line(name: str, size: int, figures: dict[str, float]) -> str:
    pixels = size**2 / 1e6
    return (
        f"{name:22} {pixels:6.1f} MP  {figures['cpu'] / pixels:6.3f} CPU-s/MP  "
        f"{figures['wall'] / pixels:6.3f} s/MP  {figures['bytes'] / 2**20:7.0f} MiB"
    )


def compare(size: int, rounds: int) -> None:
    """Both engines, interleaved."""
    kinds = [("theirs", "float32"), ("ours", "float32"), ("ours", "bfloat16"), ("ours", "free")]
    results: dict[tuple[str, str], list[dict[str, float]]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind in kinds:
            results[kind].append(run(kind[0], size, kind[1]))
    medians = {kind: median(each) for kind, each in results.items()}
    peer, overhead = medians["theirs", "float32"], medians["ours", "free"]
    for (engine, precision), figures in medians.items():
        print(line(f"{engine} {precision}", size, figures))
        if engine == "ours" and precision != "free":
            network = figures["cpu"] - overhead["cpu"]
            print(
                f"    {peer['cpu'] / figures['cpu']:.2f} times as fast (CPU), "
                f"{peer['wall'] / figures['wall']:.2f} (wall), "
                f"{figures['bytes'] / peer['bytes']:.2f} of the memory; the engine adds "
                f"{overhead['cpu'] / network:.1%} to the network"
            )


def growth(megapixels: list[float], rounds: int) -> None:
    """Cost a megapixel and memory by the size of the scene."""
    sizes = [round((each * 1e6) ** 0.5) for each in megapixels]
    for precision in ("bfloat16", "free"):
        results: dict[int, list[dict[str, float]]] = {size: [] for size in sizes}
        for _ in range(rounds):
            for size in sizes:
                results[size].append(run("ours", size, precision))
        for size in sizes:
            print(line(f"ours {precision}", size, median(results[size])))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=1536, help="edge of the scene in pixels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--growth", type=float, nargs="+", help="megapixels")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child[0], int(given.child[1]), given.child[2])
    elif given.growth:
        growth(given.growth, given.rounds)
    else:
        compare(given.size, given.rounds)


if __name__ == "__main__":
    main()
