"""What a whole run costs beside its network and its decoding: seconds, CPU, bytes and requests of each stage.

    python benchmarks/whole.py [--dates 6] [--latency-ms 20] [--model ukis-csmask] [--rounds 1]
    python benchmarks/whole.py --stand-in [--device-seconds .1] [--composed] [--dates 6] [--latency-ms 20] [--rounds 1]

A region of one Sentinel-2 tile is written as COGs at 10 and 20 m and masked and composed at 20 m by the command line, each time in a
process of its own and a new store: from files of this machine, over HTTP on loopback with latency and an empty cache of blocks, and
again with that cache. Printed are the record's profile and three ratios: CPU of the run / CPU of models and of decoding;
wall time of the stages that touch pixels / that of the slower of models and reading; bytes downloaded / distinct bytes,
which the server counts.

With ``--stand-in`` three bands are masked at 10 m over HTTP, by a device that sleeps so long for each megapixel and computes nothing;
with and without threads that read ahead, and with a device that takes no time, which is how long the rest takes by itself. Printed are
wall time of masks and composites / that of the slower of device and rest, the share of its time that the device was busy from its first
batch to its last, and CPU seconds a megapixel. With ``--composed`` tiles are composed, too, beside which the next is masked: on a
busy machine only a slow device shows whether it waits for that.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from reading import sentinel_2
from shapely.geometry import box, mapping, shape
from stand_in import LATTICE, LOG, NAME, ROLES, SECONDS, install

from pipeline import store
from pipeline.report.profile import ratios, stages

START = datetime(2023, 6, 1, 10, 20, tzinfo=UTC)
BANDS = ("blue", "green", "red", "nir", "swir16")


def write_region(folder: Path, dates: int) -> list[dict[str, Any]]:
    """Write the scenes of a region; return their items, with paths of this machine."""
    found = []
    for number in range(dates):
        rng = np.random.default_rng(number)
        item = sentinel_2(folder, f"S2A_32UPU_{number:02d}", 600_000, rng, 1024)
        document = item.to_dict(include_self_link=False, transform_hrefs=False)
        moment = START + timedelta(days=5 * number)
        document["properties"] |= {
            "datetime": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
            "platform": "sentinel-2a",
            "eo:cloud_cover": 10.0,
        }
        found.append(document)
    return found


@dataclass(frozen=True)
class Case:
    """One way to read the region."""

    name: str
    items: Sequence[Mapping[str, Any]]
    cache: Path | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Parts of the job that differ; None: left out."""
    env: Mapping[str, str] = field(default_factory=dict)


def job_of(case: Case, folder: Path, asked: argparse.Namespace) -> Path:
    """Write the job and the items of a case; return the job's path."""
    items = folder / "items.json"
    items.write_text(json.dumps({"type": "FeatureCollection", "features": list(case.items)}))
    outline = shape(case.items[0]["geometry"])
    document = {
        "name": "whole",
        "aoi": mapping(box(*outline.buffer(-0.002).bounds)),
        "datetime": "2023-06-01/2023-08-31",
        "sources": [{"catalog": str(items)}],
        "cube": {"hosts": ["127.0.0.1"]},
        "grid": {"resolution_m": 20.0},
        "mask": {"model": asked.model},
        "composite": {"period": "month", "bands": list(BANDS)},
        "store": str(folder / "store"),
    }
    document |= case.changes
    path = folder / "job.yaml"
    path.write_text(
        yaml.safe_dump({name: part for name, part in document.items() if part is not None})
    )
    return path


def run_once(case: Case, asked: argparse.Namespace) -> Mapping[str, Any]:
    """Run the command line in a process of its own; return the record."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        cache = {"CLOUDMASK_BLOCK_CACHE__SIZE": "0"}
        if case.cache is not None:
            cache = {"CLOUDMASK_BLOCK_CACHE__FOLDER": str(case.cache)}
        subprocess.run(
            [
                sys.executable,
                "-m",
                "pipeline.cli",
                "run",
                job_of(case, folder, asked),
                "--plain",
                "--no-report",
                "--quiet",
            ],
            env=os.environ | cache | case.env,
            check=True,
        )
        return store.open_archive(str(folder / "store")).records()[-1]


@contextlib.contextmanager
def served(folder: Path, log: Path, latency_ms: float) -> Iterator[str]:
    """Serve a folder; yield its URL."""
    command = [sys.executable, "-m", "pipeline.testing.file_host", folder, log, str(latency_ms)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def at_url(items: Sequence[Mapping[str, Any]], folder: Path, url: str) -> list[dict[str, Any]]:
    """Return items whose assets lie at a URL instead of in a folder."""
    return json.loads(json.dumps(items).replace(str(folder), url))


def downloaded(log: Path, skip: int) -> tuple[int, int, int]:
    """Return the lines of a log, and of those after the first `skip` the bytes that were sent and the distinct ones."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    spans: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for path, start, stop in lines[skip:]:
        spans[path].append((start, stop))
    sent = sum(stop - start for each in spans.values() for start, stop in each)
    return len(lines), sent, sum(map(_distinct, spans.values()))


def _distinct(spans: Sequence[tuple[int, int]]) -> int:
    """Return how many bytes lie in at least one of some spans."""
    total = end = 0
    for start, stop in sorted(spans):
        total += max(0, stop - max(start, end))
        end = max(end, stop)
    return total


def show(name: str, records: Sequence[Mapping[str, Any]]) -> None:
    """Print the medians of a case's rounds."""
    counted = [stages(record) for record in records]
    for stage in counted[0]:
        numbers = {
            field: statistics.median(each[stage][field] or 0 for each in counted)
            for field in counted[0][stage]
        }
        print(
            f"{name:12} {stage:10}"
            f" {numbers['seconds']:7.1f} s, CPU {numbers['cpu_seconds']:6.1f}"
            f" (models {numbers['model_cpu_seconds']:6.1f}, decoding {numbers['decoding_cpu_seconds']:5.1f}),"
            f" reading {numbers['reading_seconds']:5.1f} s, models {numbers['model_seconds']:5.1f} s,"
            f" {numbers['bytes_fetched'] / 1e6:7.1f} MB, {numbers['requests']:5.0f} requests,"
            f" blocks {numbers['blocks_decoded']:.0f} ({numbers['blocks_again']:.0f} again,"
            f" {numbers['blocks_from_disk']:.0f} from disk)"
        )
    found = [ratios(record) for record in records]
    for ratio, words in (("cpu", "CPU / models + decoding"), ("wall", "wall / slowest part")):
        print(f"{name:12} {words}: {statistics.median(each[ratio] or 0 for each in found):.2f}")


STEPS = (("in turn", 1, 0), ("ahead", 1, None), ("no device", 0, None))
"""Name of a case, whether its device takes time, `run.read_ahead`."""


def stand_in(asked: argparse.Namespace) -> None:
    """Print how well a device of a fixed speed is kept busy over HTTP."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, log, busy = (Path(scratch) / name for name in ("scenes", "log", "busy"))
        folder.mkdir()
        items = write_region(folder, asked.dates)
        path = install(Path(scratch) / "site")
        found: dict[str, list[Mapping[str, float]]] = defaultdict(list)
        with served(folder, log, asked.latency_ms) as url:
            for _, (name, slow, ahead) in itertools.product(range(asked.rounds), STEPS):
                busy.write_text("")
                case = Case(
                    name,
                    at_url(items, folder, url),
                    changes={
                        "grid": {"resolution_m": 10.0},
                        "mask": {"model": NAME},
                        "composite": {"bands": list(ROLES)} if asked.composed else None,
                        "run": {"read_ahead": ahead},
                    },
                    env={
                        SECONDS: str(asked.device_seconds * slow),
                        LOG: str(busy),
                        "PYTHONPATH": path,
                    },
                )
                found[name].append(device_shares(stages(run_once(case, asked)), busy))
        medians = {
            name: {key: statistics.median(each[key] for each in rounds) for key in rounds[0]}
            for name, rounds in found.items()
        }
        rest = medians["no device"]["wall"]
        for name, each in medians.items():
            slowest = max(rest, each["device"])
            print(
                f"{name:10} {each['wall']:6.1f} s, device {each['device']:5.1f} s"
                f" ({each['share']:.0%} busy after its first batch), wall / slowest part {each['wall'] / slowest:.2f},"
                f" {each['mp']:.1f} MP, CPU {each['cpu']:.1f} s, {each['cpu'] / each['mp']:.3f} s/MP"
            )


def device_shares(
    costs: Mapping[str, Mapping[str, float | None]], log: Path
) -> Mapping[str, float]:
    """Return seconds of masks and composites, CPU and megapixels of the masks, and how busy their device was."""
    batches = [json.loads(line) for line in log.read_text().splitlines()]
    first, last = min(begun for begun, *_ in batches), max(end for _, end, _ in batches)
    device = sum(end - begun for begun, end, _ in batches)
    return {
        "wall": sum(
            costs[each]["seconds"] or 0 for each in ("mask", "composite") if each in costs
        ),
        "cpu": costs["mask"]["cpu_seconds"] or 0,
        "device": device,
        "share": device / (last - first),
        "mp": sum(n for *_, n in batches) * LATTICE.core_px**2 / 1e6,
    }


def main() -> None:
    """Print each case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dates", type=int, default=6)
    parser.add_argument("--latency-ms", type=float, default=20.0)
    parser.add_argument("--model", default="ukis-csmask")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--stand-in", action="store_true")
    parser.add_argument("--device-seconds", type=float, default=0.1)
    parser.add_argument("--composed", action="store_true")
    asked = parser.parse_args()
    if asked.stand_in:
        stand_in(asked)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder, log = Path(scratch) / "scenes", Path(scratch) / "log"
        folder.mkdir()
        log.touch()
        items = write_region(folder, asked.dates)
        records: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        bytes_of: dict[str, list[tuple[int, int]]] = defaultdict(list)
        skip = 0
        for number in range(asked.rounds):
            with served(folder, log, asked.latency_ms) as url:
                # Another port each round, and so another cache.
                cache, there = Path(scratch) / f"blocks{number}", at_url(items, folder, url)
                for case in (
                    Case("local", items),
                    Case("HTTP", there, cache),
                    Case("HTTP again", there, cache),
                ):
                    records[case.name].append(run_once(case, asked))
                    skip, sent, distinct = downloaded(log, skip)
                    bytes_of[case.name].append((sent, distinct))
        for name, found in records.items():
            show(name, found)
            sent, distinct = (
                statistics.median(each) for each in zip(*bytes_of[name], strict=True)
            )
            print(
                f"{name:12} bytes downloaded {sent / 1e6:.1f} MB, distinct {distinct / 1e6:.1f} MB"
            )
            if distinct:
                print(f"{name:12} bytes / distinct bytes: {sent / distinct:.3f}")


if __name__ == "__main__":
    main()
