"""The masking engine against its models' own engines, on the same network, pixels and machine.

    python benchmarks/masking.py                      # ukis-csmask, 1536², three rounds
    python benchmarks/masking.py --size 4096 --rounds 5
    python benchmarks/masking.py --model omnicloudmask --size 4096
    python benchmarks/masking.py --growth 2 8 32 128  # megapixels: cost by size, overhead, memory
    python benchmarks/masking.py --tiles 1 8 30       # the same by how many tiles a run masks
    python benchmarks/masking.py --model omnicloudmask --device cuda --size 10980   # on a GPU; 5490 likewise

Runs are interleaved and reported as medians, each in a process of its own, because a peak of
memory is a process's. The main figure is the process's CPU time: it does not count what others do
on the machine. Memory is the peak minus a baseline: the process with the network loaded, a first patch masked, free
memory given back to the system and the pixels in memory (theirs takes the scene as an array, ours reads blocks).
``ours free`` is the engine without a network.

On a GPU the clock counts, and one more run is watched by torch's profiler: the device is busy while at least
one kernel or copy is under way, from the first of them to the last.
"""

from __future__ import annotations

import argparse
import ctypes
import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from masking_engines import TILE_PX, Asked, made, random_weights

CORE_PX = {"ukis-csmask": 512, "omnicloudmask": 1024}
"""Edge of a core of each model's lattice."""

Kind = tuple[str, str]
"""Engine, precision."""

KINDS: dict[str, list[Kind]] = {
    "ukis-csmask": [("theirs", "float32")],
    "omnicloudmask": [("theirs", "float32"), ("theirs", "bfloat16")],
}
OURS: list[Kind] = [("ours", "float32"), ("ours", "bfloat16"), ("ours", "free")]


def resident(field: str) -> int:
    """Bytes of a line of /proc/self/status: VmRSS is now, VmHWM the peak."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def child(asked: Asked, *, again: bool) -> None:
    """Print what one run takes; the time of a second one, if asked, which finds its memory in place."""
    warm, measured = made(asked)
    warm()
    # What the C library kept of the window belongs to the run, not to what was there before it.
    ctypes.CDLL(None).malloc_trim(0)
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    figures = timed(measured)
    figures["bytes"] = resident("VmHWM") - before
    if again:
        figures |= timed(measured)
    if asked.device == "cuda":
        figures["busy"] = busy(measured)
    print(json.dumps(figures))


def timed(run: Callable[[], object]) -> dict[str, float]:
    """Seconds of the process and of the clock."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}


def busy(run: Callable[[], object]) -> float:
    """Return the share of a run in which the GPU did something."""
    activities = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profiler:
        wall = timed(run)["wall"]
    cuda = torch.autograd.DeviceType.CUDA
    spans = sorted(
        (each.time_range.start, each.time_range.end)
        for each in profiler.events()
        if each.device_type == cuda
    )
    return covered(spans) / 1e6 / wall


def covered(spans: list[tuple[float, float]]) -> float:
    """Return the length of the union of some spans, given in the order of their starts."""
    total, reached = 0.0, float("-inf")
    for start, end in spans:
        total += max(end - max(start, reached), 0.0)
        reached = max(reached, end)
    return total


class Runs:
    """Measures engines of one model, each run in a process of its own."""

    def __init__(self, name: str, weights: str, device: str, *, again: bool) -> None:
        self._given = {"model": name, "weights": weights, "device": device}
        self._again = again

    def medians(
        self, kinds: list[tuple[Kind, int]], rounds: int
    ) -> dict[tuple[Kind, int], dict[str, float]]:
        """Run every (kind, size) in turn, so many rounds."""
        results: dict[tuple[Kind, int], list[dict[str, float]]] = {each: [] for each in kinds}
        for _ in range(rounds):
            for kind, size in kinds:
                results[kind, size].append(self._run(kind, size))
        return {
            each: {key: statistics.median(run[key] for run in runs) for key in runs[0]}
            for each, runs in results.items()
        }

    def _run(self, kind: Kind, size: int) -> dict[str, float]:
        engine, precision = kind
        asked = Asked(engine=engine, precision=precision, size=size, **self._given)
        words = json.dumps(dataclasses.asdict(asked))
        done = subprocess.run(
            [sys.executable, __file__, "--child", words, *["--again"] * self._again],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(done.stderr)
        figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return figures


def line(kind: Kind, size: int, figures: dict[str, float]) -> str:
    pixels = size**2 / 1e6
    return (
        f"{' '.join(kind):22} {pixels:6.1f} MP  {figures['cpu'] / pixels:6.3f} CPU-s/MP  "
        f"{figures['wall'] / pixels:6.3f} s/MP  {figures['bytes'] / 2**20:7.0f} MiB"
    )


def compare(name: str, runs: Runs, size: int, rounds: int) -> None:
    """All engines of a model, interleaved."""
    medians = {
        kind: figures
        for (kind, _), figures in runs.medians(
            [(kind, size) for kind in KINDS[name] + OURS], rounds
        ).items()
    }
    overhead = medians["ours", "free"]
    for (engine, precision), figures in medians.items():
        print(line((engine, precision), size, figures))
        if engine == "ours" and precision != "free":
            # A peer without this precision is compared at its only one.
            peer = medians.get(("theirs", precision), medians["theirs", "float32"])
            network = figures["cpu"] - overhead["cpu"]
            print(
                f"    {peer['cpu'] / figures['cpu']:.2f} times as fast (CPU), "
                f"{peer['wall'] / figures['wall']:.2f} (wall), "
                f"{figures['bytes'] / peer['bytes']:.2f} of the memory; the engine adds "
                f"{overhead['cpu'] / network:.1%} to the network"
            )


def compare_on_gpu(name: str, runs: Runs, size: int, rounds: int) -> None:
    """Both engines of a model on a GPU, interleaved."""
    theirs, ours = [("theirs", "bfloat16"), ("ours", "bfloat16")]
    medians = runs.medians([(theirs, size), (ours, size)], rounds)
    for (kind, _), figures in medians.items():
        print(line(kind, size, figures))
        print(f"    {figures['wall']:.2f} s a scene, the device busy {figures['busy']:.1%}")
    ratio = medians[theirs, size]["wall"] / medians[ours, size]["wall"]
    print(f"    ours is {ratio:.2f} times as fast as {name}'s own")


def growth(name: str, runs: Runs, megapixels: list[float], rounds: int) -> None:
    """Cost a megapixel and memory by the size of the scene.

    Sizes are whole cores of the lattice, as those of tiles are: otherwise the share of windows that see the
    scene's edge differs more than the sizes do.
    """
    core = CORE_PX[name]
    sizes = [max(round((each * 1e6) ** 0.5 / core), 1) * core for each in megapixels]
    kinds = [
        (("ours", precision), size) for precision in ("bfloat16", "free") for size in sizes
    ]
    for (kind, size), figures in runs.medians(kinds, rounds).items():
        print(line(kind, size, figures))


def tiles(runs: Runs, numbers: list[int], rounds: int) -> None:
    """Cost a megapixel and memory by the number of tiles that are masked one after another, as runs do."""
    kinds = [(("tiled", "bfloat16"), number) for number in numbers]
    for (kind, number), figures in runs.medians(kinds, rounds).items():
        print(line(kind, round(number**0.5 * TILE_PX), figures))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=KINDS, default="ukis-csmask")
    parser.add_argument("--size", type=int, default=1536, help="edge of the scene in pixels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--growth", type=float, nargs="+", help="megapixels")
    parser.add_argument("--tiles", type=int, nargs="+", help="numbers of tiles")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--again", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(Asked(**json.loads(given.child)), again=given.again)
        return
    if given.device == "cuda" and given.model != "omnicloudmask":
        parser.error("ukis-csmask's own engine is compared on the CPU only")
    with tempfile.TemporaryDirectory() as weights:
        if given.model == "omnicloudmask":
            random_weights(Path(weights))
        runs = Runs(given.model, weights, given.device, again=bool(given.growth))
        if given.growth:
            growth(given.model, runs, given.growth, given.rounds)
        elif given.tiles:
            tiles(runs, given.tiles, given.rounds)
        elif given.device == "cuda":
            compare_on_gpu(given.model, runs, given.size, given.rounds)
        else:
            compare(given.model, runs, given.size, given.rounds)


if __name__ == "__main__":
    main()
