"""How long commands take from a cold start: wall seconds and CPU seconds, the best of several.

    python benchmarks/starting.py [STORE] [--times 5]

STORE is one that `make demo` leaves. ``python -X importtime -m pipeline.cli …`` says which import it is.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TYPO = "nam: x\n"


def commands(store: str, typo: str) -> list[list[str]]:
    """Return what must answer within a second."""
    return [
        ["--version"],
        ["--help"],
        ["schema"],
        ["plan", typo],
        ["log", store],
        ["runs", store],
        ["runs", store, "--profile"],
        ["models", "list"],
        ["query", store, "--aoi", "11.70,48.10,11.75,48.15", "--datetime", "2023-06"],
    ]


def best(words: list[str], times: int) -> tuple[float, float]:
    """Return the least wall and CPU seconds of a command."""
    found = []
    for _ in range(times):
        began, before = time.perf_counter(), os.times()
        subprocess.run(
            [sys.executable, "-m", "pipeline.cli", *words], capture_output=True, check=False
        )
        after = os.times()
        cpu = sum(after[2:4]) - sum(before[2:4])
        found.append((time.perf_counter() - began, cpu))
    walls, cpus = zip(*found, strict=True)
    return min(walls), min(cpus)


def main() -> None:
    """Print a line a command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", nargs="?", default="demo/store")
    parser.add_argument("--times", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        typo = Path(folder) / "typo.yaml"
        typo.write_text(TYPO)
        for words in commands(asked.store, str(typo)):
            wall, cpu = best(words, asked.times)
            name = " ".join(each for each in words if each in {words[0], "list", "--profile"})
            print(f"{name:<14} {wall:5.2f} s wall {cpu:5.2f} s CPU")


if __name__ == "__main__":
    main()
