"""The store that benchmarks/serving.py asks: one region of the size of an MGRS tile, stubbed pixels.

``python -m benchmarks.serving_store STORE [--px 10980] [--dates 146]`` writes it through the store room, as a run does:
two sensors, tiles of 2048 pixels, overviews. A scene is a cloud field of a few kilometres and finer edges, moved on from
date to date; half of its rim is no data on every third date, as an orbit's edge leaves it.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import scipy.ndimage
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from pipeline.store import open_writer
from pipeline.types import Grid, Period, outline_of

START = datetime(2025, 1, 2, 10, 27, 44, tzinfo=UTC)
ROLES = ("blue", "green", "red", "nir")
RESOLUTION_M = 10
FIELD_PX = 4096


def grid_of(px: int) -> Grid:
    box = GeoBox(
        (px, px), Affine(RESOLUTION_M, 0, 600_000, 0, -RESOLUTION_M, 5_400_000), "EPSG:32632"
    )
    return Grid(geobox=box, tile_px=2048, chunk_px=256)


def noise(random: np.random.Generator, coarsest: int) -> np.ndarray:
    """Return a periodic field of several scales, mean 0."""
    field = np.zeros((FIELD_PX, FIELD_PX), np.float32)
    for step, weight in ((coarsest, 1.0), (coarsest // 4, 0.35), (coarsest // 16, 0.12)):
        coarse = random.normal(0, weight, (FIELD_PX // step,) * 2).astype(np.float32)
        field += scipy.ndimage.zoom(coarse, step, order=1, mode="grid-wrap", grid_mode=True)
    return field


def fields(random: np.random.Generator) -> list[np.ndarray]:
    """Return codes of some skies: clear, thin and thick cloud, shadow; and water on the ground."""
    water = noise(random, 512) > 1.6
    found = []
    for cover in (-0.9, -0.3, 0.0, 0.4, 1.1):
        cloud = noise(random, 512) + cover
        codes = np.where(water, 2, 1).astype(np.uint8)
        codes[np.roll(cloud, (40, 25), (0, 1)) > 0.45] = 6
        codes[cloud > 0.25] = 4
        codes[cloud > 0.45] = 5
        found.append(codes)
    return found


def sky(kinds: list[np.ndarray], number: int, ys: slice, xs: slice) -> np.ndarray:
    """Return the codes of a window in a scene."""
    field = kinds[(number * 7) % len(kinds)]
    rows = (np.arange(ys.start, ys.stop) + 977 * number) % FIELD_PX
    cols = (np.arange(xs.start, xs.stop) + 1409 * number) % FIELD_PX
    codes = field[rows][:, cols]
    if number % 3 == 0:
        edge = 7000 - 0.21 * np.arange(ys.start, ys.stop)[:, np.newaxis]
        codes[np.arange(xs.start, xs.stop) > edge] = 0
    return codes


def scenes(dates: int) -> list[tuple[str, datetime]]:
    """Return sensor and time of each scene: three of Sentinel-2, then one of Landsat, over a year."""
    step = timedelta(days=364) / dates
    return [
        ("landsat" if number % 4 == 3 else "sentinel-2", START + step * number)
        for number in range(dates)
    ]


def months() -> list[Period]:
    edges = [datetime(2025, month, 1, tzinfo=UTC) for month in (6, 7, 8)]
    return [Period(start=a, end=b) for a, b in pairwise(edges)]


def build(url: str, px: int, dates: int) -> None:
    grid, random = grid_of(px), np.random.default_rng(7)
    kinds, all_scenes = fields(random), scenes(dates)
    begun = time.process_time()
    with open_writer(url, grid, title="benchmark", run_key="stub", overviews=True) as writer:
        for sensor in ("landsat", "sentinel-2"):
            rows = [
                (at, f"{sensor}-a", [f"{sensor}-{at:%Y%m%d}"])
                for each, at in all_scenes
                if each == sensor
            ]
            writer.set_scenes(sensor, rows)
        writer.set_composite(
            "monthly", ROLES, months(), {"method": "median", "period": "month"}
        )
        writer.commit("axes")
        for number, tile in enumerate(grid.tiles()):
            write_tile(writer, tile, number, kinds, all_scenes)
            writer.commit(tile.name)
            print(
                f"{tile.name} {time.process_time() - begun:.0f} CPU-s",
                file=sys.stderr,
                flush=True,
            )
        writer.publish({"run_id": "stub", "searched": searched(grid)})


def searched(grid: Grid) -> dict[str, object]:
    area = outline_of(grid.geobox.geographic_extent.geom)
    start, end = "2025-01-01T00:00:00+00:00", "2026-01-01T00:00:00+00:00"
    return {"start": start, "end": end, "sensors": [], "aoi": area, "filtered": False}


def write_tile(writer, tile, number, kinds, all_scenes) -> None:
    for at, (sensor, when) in enumerate(all_scenes):
        writer.write_mask(sensor, when, tile, sky(kinds, at, *tile.window), 100 + number)
    shape = tile.geobox.shape
    rows, cols = (np.arange(size, dtype=np.float32) for size in shape)
    ground = 0.12 + 0.08 * np.sin(rows[:, np.newaxis] / 90) * np.cos(cols / 70)
    grain = np.random.default_rng(number).normal(0, 0.01, (512, 512)).astype(np.float32)
    ground = ground + np.tile(grain, (4, 4))[: shape[0], : shape[1]]
    for at, period in enumerate(months()):
        values = {role: ground * (1 + n) * 0.6 + 0.01 * at for n, role in enumerate(ROLES)}
        values["count"] = np.full(shape, 7 + at, np.uint16)
        values["day"] = np.full(shape, 20240 + 30 * at, np.int32)
        values["source"] = np.full(shape, -1, np.int32)
        dataset = xr.Dataset({name: (("y", "x"), each) for name, each in values.items()})
        writer.write_composite("monthly", period.start, tile, dataset, 100 + number)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store")
    parser.add_argument("--px", type=int, default=10_980)
    parser.add_argument("--dates", type=int, default=146)
    asked = parser.parse_args()
    build(asked.store, asked.px, asked.dates)
