"""Prints the geometric median on a GPU against the processor and against the card's memory bandwidth.

``python -m benchmarks.composing_device`` composes 9 600² pixels, 10 bands, 75 dates: one block of synthetic observations
(`benchmarks.composing`) again and again, copied to the card each time, as a run streams a tile. The processor composes a
part of the block on one thread. The floor is the time in which the card's memory, as it copies within itself, would be
read once for every observation. ``--device cpu --edge 128 --block 64`` tries it without a card.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
import xarray as xr

from benchmarks.composing import observations
from pipeline.composite import compose
from pipeline.models.engine.device import TorchDevice

ON_ONE_THREAD_PX = 192
"""Edge of what the processor composes."""


class Watched(TorchDevice):
    """Counts the seconds in which the device computes; the rest goes to copies and the processor."""

    seconds = 0.0

    def run(self, work: Callable, arrays: list[np.ndarray]) -> tuple[np.ndarray, ...]:
        """See `pipeline.types.Device`."""

        def timed(*there: torch.Tensor) -> tuple[torch.Tensor, ...]:
            wait(self.name)
            before = time.perf_counter()
            made = work(*there)
            wait(self.name)
            Watched.seconds += time.perf_counter() - before
            return made

        return TorchDevice.run(self, timed, arrays)


def wait(name: str) -> None:
    if name == "cuda":
        torch.cuda.synchronize()


def fastest(work: Callable[[], object], name: str) -> float:
    """Return the least seconds of five turns, after one that is not counted."""
    turns = []
    for _ in range(6):
        wait(name)
        before = time.perf_counter()
        work()
        wait(name)
        turns.append(time.perf_counter() - before)
    return min(turns[1:])


def bandwidth(name: str) -> float:
    """Return bytes a second that the device reads and writes when it copies within its memory."""
    one = torch.zeros(2**28 if name == "cuda" else 2**25, device=name)
    other = torch.empty_like(one)
    return 2 * 4 * one.numel() / fastest(lambda: other.copy_(one), name)


def apart(one: xr.Dataset, other: xr.Dataset) -> str:
    """Say how far two composites are from each other."""
    roles = [name for name in one if name not in ("count", "day", "source")]
    most = max(float(np.nanmax(np.abs(one[role] - other[role]))) for role in roles)
    whole = all((one[name] == other[name]).all() for name in ("count", "day", "source"))
    return f"largest difference {most:.1e}; count, day and source {'the same' if whole else 'differ'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--edge", type=int, default=9600)
    parser.add_argument("--block", type=int, default=480)
    parser.add_argument("--dates", type=int, default=75)
    parser.add_argument("--bands", type=int, default=10)
    given = parser.parse_args()
    if given.device == "cuda" and not torch.cuda.is_available():
        parser.error(
            "torch finds no usable GPU; --device cpu --edge 128 --block 64 tries the program"
        )
    cube, usable, _ = observations(given.dates, given.bands, 0.45, given.block)
    device = Watched(given.device)

    part = {dim: slice(0, min(given.block, ON_ONE_THREAD_PX)) for dim in ("y", "x")}
    some, shown = cube.isel(part).compute(), usable.isel(part).compute()
    compose(some, shown, "geomedian")  # compiled
    before = time.process_time()
    here = compose(some, shown, "geomedian")
    processor = (time.process_time() - before) / shown[0].size
    print(
        "device against processor:",
        apart(compose(some, shown, "geomedian", device=device), here),
    )

    Watched.seconds, times = 0.0, (-(-given.edge // given.block)) ** 2
    before = time.perf_counter()
    for _ in range(times):
        compose(cube, usable, "geomedian", device=device)
    spent = time.perf_counter() - before
    n_px = times * given.block**2
    n_bytes = 4 * n_px * given.dates * given.bands
    speed = bandwidth(given.device)
    print(
        f"geometric median of {n_px / 1e6:.3g} megapixels × {given.bands} bands × {given.dates} dates"
    )
    print(f"on {given.device}: {spent:.3g} s, of which computing {Watched.seconds:.3g} s")
    print(
        f"on the processor, one thread: {processor * n_px:.3g} s; ratio {processor * n_px / spent:.2g}"
    )
    print(
        f"memory of {given.device}: {speed / 1e9:.3g} GB/s; {n_bytes / 1e9:.3g} GB of observations read once take "
        f"{n_bytes / speed:.3g} s; computing takes {Watched.seconds * speed / n_bytes:.3g} times as long"
    )


if __name__ == "__main__":
    main()
