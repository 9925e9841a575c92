"""What planning costs: seconds an item against pystac's own parsing, bytes, and tasks a tile.

    python benchmarks/planning.py [FOLDER_OF_REAL_ITEMS] [SIZE ...]

Items are real ones of Earth Search (Sentinel-2 L2A Collection 1, Landsat 8 Collection 2) moved to
other MGRS tiles and days. `parse` is `pystac.Item.from_dict` of the same documents in the same
run, as pystac does it by default (`migrate`) and as our search does it. `search` reads the item
collection from disk; `plan` is everything after it. Times are medians of interleaved repeats.
"""

from __future__ import annotations

import argparse
import copy
import gc
import json
import pickle
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pystac
from pyproj import Transformer
from shapely.geometry import box, mapping
from shapely.ops import transform as moved

from pipeline import cube, models
from pipeline.cube.metadata.outlines import LONLAT, Frame, outlines
from pipeline.mask import mask_cube, read_geobox
from pipeline.run import Plan, plan_job
from pipeline.run.plan import prepare
from pipeline.search import search
from pipeline.types import (
    CompositeSettings,
    GridSettings,
    Items,
    Job,
    Period,
    RunSettings,
    Source,
)

SENTINEL_2 = "earthsearch_v1/sentinel-2-c1-l2a__S2A_T13TDE_20240402T174230_L2A.json"
LANDSAT = "earthsearch_v1/landsat-c2-l2__LC08_L2SP_033032_20231008_02_T1.json"
START = datetime(2023, 1, 1, 17, 42, tzinfo=UTC)
STEP_M, WEST_M, NORTH_M = 100_000.0, 300_000.0, 4_600_020.0
"""Sentinel-2 tiles stand 100 km apart."""
REGIONS = {10: (1,), 100: (1, 2), 1_000: (1, 3), 10_000: (2, 5, 10)}
"""Items -> how many MGRS tiles a region is wide and high."""


# -- items -------------------------------------------------------------------------------------


def documents(folder: Path, count: int, side: int) -> list[dict[str, Any]]:
    """Make items: each MGRS tile of a region in turn, three Sentinel-2 days, then a Landsat one."""
    real = [json.loads((folder / name).read_text()) for name in (SENTINEL_2, LANDSAT)]
    made = []
    for number in range(count):
        visit, place = divmod(number, side * side)
        row, col = divmod(place, side)
        landsat = visit % 4 == 3
        day = timedelta(days=visit * 2 + (place % 5), seconds=place)
        east, north = WEST_M + col * STEP_M, NORTH_M - row * STEP_M
        jitter = 30.0 * (number % 7) if landsat else 0.0
        made.append(
            _moved(
                real[landsat], f"{place:03d}_{visit:04d}", START + day, (east + jitter, north)
            )
        )
    return made


def _moved(
    real: dict[str, Any], name: str, when: datetime, corner: tuple[float, float]
) -> dict[str, Any]:
    document = copy.deepcopy(real)
    properties = document["properties"]
    document["id"] = f"{real['id']}_{name}"
    properties["datetime"] = when.isoformat().replace("+00:00", "Z")
    frame = None
    for holder in (properties, *document["assets"].values()):
        if "proj:transform" in holder:
            numbers = list(holder["proj:transform"])[:6]
            numbers[2], numbers[5] = corner
            holder["proj:transform"] = numbers
            frame = frame or Frame("EPSG:32613", tuple(holder["proj:shape"]), tuple(numbers))
    for key in ("s2:datastrip_id", "landsat:scene_id"):
        if key in properties:
            # Another acquisition, not another processing.
            stamp = f"{when:%Y%m%dT%H%M%S}"
            properties[key] = (
                f"S2A_OPER_MSI_L2A_DS_2APS_{stamp}_S{stamp}_N05.10"
                if "s2" in key
                else name.rjust(16, "0")
            )
    if "grid:code" in properties:
        properties["grid:code"] = f"MGRS-{name}"
    outline = outlines([frame], LONLAT)[0]
    document["geometry"], document["bbox"] = mapping(outline), list(outline.bounds)
    document["links"] = [
        each for each in document["links"] if each["rel"] in ("self", "license")
    ]
    return document


def job_over(side: int, count: int, catalogue: Path) -> Job:
    """Return the job of a region that its items fill."""
    reach, edge = side * STEP_M, 15_000.0
    to_degrees = Transformer.from_crs("EPSG:32613", LONLAT, always_xy=True)
    square = box(
        WEST_M + edge, NORTH_M - reach + edge, WEST_M + reach - edge, NORTH_M - edge
    ).segmentize(20_000)
    visits = -(-count // (side * side))
    return Job(
        name="benchmark",
        aoi=moved(to_degrees.transform, square),
        period=Period(
            start=START - timedelta(days=1), end=START + timedelta(days=2 * visits + 10)
        ),
        sources=(Source(catalog=str(catalogue)),),
        store=str(catalogue.parent / "store"),
        # Wide regions get an equal-area grid, so that every item is reprojected.
        grid=GridSettings(crs="utm" if side < 4 else "EPSG:5070"),
        composite=CompositeSettings(),
        run=RunSettings(memory_bytes=2**50),
    )


# -- measuring ---------------------------------------------------------------------------------


def seconds(work: Callable[[], object]) -> float:
    """Time one call, garbage collected before."""
    gc.collect()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(folder: Path, count: int, side: int, repeats: int) -> dict[str, Any]:
    """Measure one size."""
    with tempfile.TemporaryDirectory() as scratch:
        catalogue = Path(scratch) / "items.json"
        made = documents(folder, count, side)
        catalogue.write_text(json.dumps({"type": "FeatureCollection", "features": made}))
        job = job_over(side, count, catalogue)
        found = search(job)
        times: dict[str, list[float]] = {}
        for _ in range(repeats):
            for name, work in {
                "parse": lambda: [pystac.Item.from_dict(each) for each in made],
                "parse unmigrated": lambda: [
                    pystac.Item.from_dict(each, migrate=False) for each in made
                ],
                "search": lambda: search(job),
                "plan": lambda: planned(job, found),
            }.items():
                times.setdefault(name, []).append(seconds(work))
        plan, peak = peak_bytes(job, found)
    row: dict[str, Any] = {
        name: statistics.median(each) / count * 1e6 for name, each in times.items()
    }
    return row | {
        "items": count,
        "found": len(found),
        "tiles": len(plan.tiles),
        "cells": len(plan.cells),
        "bytes": len(pickle.dumps(plan)) / count,
        "items' bytes": len(pickle.dumps(plan.items)) / count,
        "peak": peak / count,
        "tasks": tasks(plan),
    }


def planned(job: Job, found: Items) -> Plan:
    """Plan from the answer of a search."""
    with patch.object(prepare, "search", lambda *_, **__: found):
        return plan_job(job)


def peak_bytes(job: Job, found: Items) -> tuple[Plan, int]:
    """Plan, and return the peak of Python's memory."""
    gc.collect()
    tracemalloc.start()
    plan = planned(job, found)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return plan, peak


def tasks(plan: Plan) -> int:
    """Count the tasks of the graph that masks one cell in the middle of the region."""
    cells = plan.cells_of(plan.tiles[len(plan.tiles) // 2])
    cell = max(cells, key=lambda each: len(each.items))
    card = plan.cards[cell.scene.sensor]
    reads = read_geobox(card.lattice, cell.tile.geobox)
    opened = cube.open_cube(
        [cell.scene], plan.items, reads, card.roles, chunk_px=card.lattice.core_px
    )
    return len(mask_cube(opened, models.load(card), cell.tile.geobox).__dask_graph__())


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    real = Path(__file__).parents[2] / "shared" / "data" / "stac_items"
    parser.add_argument("folder", nargs="?", type=Path, default=real)
    parser.add_argument("sizes", nargs="*", type=int, default=list(REGIONS))
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    columns = {
        "items": "items",
        "found": "found",
        "tiles": "tiles",
        "cells": "cells",
        "parse": "parse µs",
        "parse unmigrated": "unmigrated µs",
        "search": "search µs",
        "plan": "plan µs",
        "ratio": "plan/parse",
        "strict": "plan/unmigrated",
        "bytes": "plan B",
        "items' bytes": "items' B",
        "peak": "peak B",
        "tasks": "tasks/tile",
    }
    print("(µs and B an item)\n" + " | ".join(columns.values()))
    for count in asked.sizes:
        for side in REGIONS[count]:
            row = measure(asked.folder, count, side, asked.repeats)
            row["ratio"] = row["plan"] / row["parse"]
            row["strict"] = row["plan"] / row["parse unmigrated"]
            cells = (
                f"{row[name]:.2f}" if name in ("ratio", "strict") else f"{row[name]:.0f}"
                for name in columns
            )
            print(" | ".join(cells), flush=True)


if __name__ == "__main__":
    main()
