"""How quickly a server of archives answers, beside titiler.xarray on the same pixels.

``python -m benchmarks.serving STORE`` (made by benchmarks/serving_store.py) starts `cloudmask serve` on loopback and
prints, cold and warm: clear-sky of 200 areas of 0.01 to 1000 km² (log-uniform) over a year, of 200 fields of 5 ha; tiles of
every zoom; histories of places; then a bounded load of many clients, and memory while some thousand requests are answered.
titiler.xarray's reader draws the same tiles of the same composite, opened by xarray from the same store, in the same run.
On a busy machine the processor's time tells more than the clock's: both are printed (the former on Linux alone).
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import NamedTuple

import morecantile
import numpy as np
import psutil
import shapely
from pyproj import Transformer

from pipeline.store import open_archive
from tests.serve.process import serving

TMS = morecantile.tms.get("WebMercatorQuad")
YEAR = "2025"


class Asked:
    """What is asked: random areas, places and tiles of the part of the region that has masks."""

    def __init__(self, url: str, seed: int) -> None:
        archive = open_archive(url)
        self.random = np.random.default_rng(seed)
        self.grid = archive.grid
        cells = archive.stored_masks("sentinel-2").reader("fingerprint", (slice(None),))
        rows = np.flatnonzero((np.asarray(cells) > 2).any(0).all(1))
        ny, nx = self.grid.geobox.shape
        self.bottom, self.right = min(ny, (int(rows.max()) + 1) * self.grid.tile_px), nx
        crs = self.grid.geobox.crs.proj
        self.to_degrees = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
        self.scenes = archive.stored_masks("sentinel-2").scenes

    def degrees(self, col: float, row: float) -> tuple[float, float]:
        """Return longitude and latitude of a place in pixels."""
        return self.to_degrees.transform(*(self.grid.geobox.affine @ (col, row)))

    def area(self, km2: float) -> dict[str, object]:
        """Return a star of 12 corners with about this area, as far as it fits into the region."""
        radius = math.sqrt(km2 * 1e6 / math.pi) / self.grid.resolution_m
        middle = [
            self.random.uniform(min(radius, most / 2), max(most - radius, most / 2))
            for most in (self.right, self.bottom)
        ]
        angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
        radii = radius * self.random.uniform(0.8, 1.2, 12)
        ring = [
            self.degrees(
                float(np.clip(middle[0] + r * np.cos(a), 1, self.right - 1)),
                float(np.clip(middle[1] + r * np.sin(a), 1, self.bottom - 1)),
            )
            for r, a in zip(radii, angles, strict=True)
        ]
        return {
            "type": "Feature",
            "properties": {},
            "geometry": shapely.geometry.mapping(shapely.Polygon(ring)),
        }

    def place(self) -> tuple[float, float]:
        """Return a random place, degrees."""
        return self.degrees(
            self.random.uniform(0, self.right), self.random.uniform(0, self.bottom)
        )

    def tile(self, zoom: int) -> morecantile.Tile:
        """Return the tile of a random place."""
        return TMS.tile(*self.place(), zoom)


class Took(NamedTuple):
    """Of a request, seconds."""

    wall: float
    cpu: float
    """Of the server's process; of several clients at once it is no request's own."""


class Client:
    """One connection; times each answer."""

    def __init__(self, address: str) -> None:
        self.connection = HTTPConnection(address.removeprefix("http://"), timeout=60)

    def ask(self, path: str, body: object = None) -> Took:
        """Ask, and read the answer to its end."""
        content = None if body is None else json.dumps(body)
        cpu, begun = server_cpu_s(), time.perf_counter()
        self.connection.request("GET" if body is None else "POST", path, content)
        answer = self.connection.getresponse()
        answer.read()
        took = Took(time.perf_counter() - begun, server_cpu_s() - cpu)
        if answer.status != 200:
            raise RuntimeError(f"{answer.status} {path}")
        return took


def clear_sky(client: Client, area: dict[str, object]) -> Took:
    return client.ask(f"/archives/a/clear-sky?datetime={YEAR}", area)


def tile_path(asked: Asked, zoom: int, kind: str) -> str:
    tile = asked.tile(zoom)
    start = f"/archives/a/tiles/WebMercatorQuad/{zoom}/{tile.x}/{tile.y}.png"
    if kind == "mask":
        scene = asked.scenes[int(asked.random.integers(len(asked.scenes)))]
        return f"{start}?layer=mask&sensor=sentinel-2&time={scene.time:%Y-%m-%dT%H:%M:%S.%f}"
    return f"{start}?layer=composite&name=monthly&time=2025-06"


def server_cpu_s() -> float:
    """Return the processor time of the server so far: a busy machine changes it little."""
    # Linux's clock of a process's processor time (clock_getcpuclockid); psutil's has steps of 10 ms.
    return time.clock_gettime(~PROCESS[0].pid << 3 | 2)


PROCESS: list[psutil.Process] = []
"""The server, once it runs."""


def show(what: str, times: list[Took]) -> None:
    wall, cpu = (np.array(each) * 1000 for each in zip(*times, strict=True))
    p50, p95, p99 = np.percentile(wall, [50, 95, 99])
    line = f"p50 {p50:7.1f}  p95 {p95:7.1f}  p99 {p99:7.1f} ms"
    used = f"CPU-ms mean {cpu.mean():6.1f}  p95 {np.percentile(cpu, 95):6.1f}"
    print(f"{what:<46} n {len(wall):5d}  {line}  {used}", flush=True)


def measure(address: str, asked: Asked, count: int) -> None:
    client = Client(address)
    sizes = 10 ** asked.random.uniform(-2, 3, count)
    areas, fields = (
        [asked.area(each) for each in sizes],
        [asked.area(0.05) for _ in range(count)],
    )
    show("clear-sky, 0.01–1000 km², a year, cold", [clear_sky(client, each) for each in areas])
    show("clear-sky, the same, warm", [clear_sky(client, each) for each in areas])
    others = [asked.area(each) for each in 10 ** asked.random.uniform(-2, 3, count)]
    show("clear-sky, other areas after these", [clear_sky(client, each) for each in others])
    show("clear-sky, 5 ha, a year, cold", [clear_sky(client, each) for each in fields])
    show("clear-sky, the same, warm", [clear_sky(client, each) for each in fields])
    places = ["/archives/a/point?lon={}&lat={}".format(*asked.place()) for _ in range(count)]
    show("history of a place, cold", [client.ask(each) for each in places])
    show("history of the same places, warm", [client.ask(each) for each in places])
    warm = {}
    for kind in ("mask", "composite"):
        for zoom in range(5, 17):
            paths = [tile_path(asked, zoom, kind) for _ in range(max(count // 8, 10))]
            show(f"tiles of {kind}, zoom {zoom}, cold", [client.ask(each) for each in paths])
            warm[kind, zoom] = [client.ask(each) for each in paths]
            show(f"tiles of {kind}, zoom {zoom}, warm", warm[kind, zoom])
    show("tiles, all zooms, warm", [each for found in warm.values() for each in found])


def load(address: str, asked: Asked, seconds: float, clients: int) -> None:
    """Ask from many clients at once, and print how long it took and how many answers were errors."""
    until = time.monotonic() + seconds
    requests = list(_mixed(asked, 400))

    def work(number: int) -> tuple[list[Took], int]:
        client, found, errors, at = Client(address), [], 0, number
        while time.monotonic() < until:
            path, body = requests[at % len(requests)]
            at += clients
            try:
                found.append(client.ask(path, body))
            except (RuntimeError, OSError):
                errors += 1
                client = Client(address)
        return found, errors

    before = server_cpu_s()
    with ThreadPoolExecutor(clients) as pool:
        results = list(pool.map(work, range(clients)))
    times = [each for found, _ in results for each in found]
    each = (server_cpu_s() - before) / len(times)
    errors = sum(errors for _, errors in results)
    show(
        f"{clients} clients for {seconds:g} s: {errors} errors",
        [Took(took.wall, each) for took in times],
    )


def memory(address: str, asked: Asked, requests: int) -> None:
    """Print the memory of the server while it answers many requests."""
    client, seen = Client(address), []
    for number in range(requests + 1):
        if number % (requests // 10) == 0:
            seen.append(round(memory_mb()))
            print(f"after {number} more requests {seen[-1]} MB", flush=True)
        for path, body in _mixed(asked, 1, first=number):
            client.ask(path, body)
    print(f"memory {max(seen[1:]) / min(seen[1:]) - 1:.1%} between least and most", flush=True)


def _mixed(asked: Asked, count: int, first: int = 0) -> Iterator[tuple[str, object]]:
    for number in range(first, first + count):
        if number % 4 == 0:
            yield f"/archives/a/clear-sky?datetime={YEAR}", asked.area(0.05)
        elif number % 4 == 1:
            yield "/archives/a/point?lon={}&lat={}".format(*asked.place()), None
        else:
            zoom = int(asked.random.integers(8, 15))
            yield tile_path(asked, zoom, "mask" if number % 4 == 2 else "composite"), None


def beside_titiler(url: str, address: str, asked: Asked, count: int) -> None:
    """Draw the same tiles with titiler.xarray's reader; its pixels are opened once, as ours are."""
    from rio_tiler.io.xarray import XarrayReader  # noqa: PLC0415

    # Left out of the imports above: everything else is measured without it.
    from titiler.xarray.io import Reader  # noqa: PLC0415

    assert issubclass(Reader, XarrayReader), "titiler.xarray draws with rio-tiler's reader"
    composite = open_archive(url).composite("monthly").isel(time=0)[["red", "green", "blue"]]
    array = composite.to_array("band").rio.write_crs(str(asked.grid.geobox.crs))
    client = Client(address)
    for zoom in (9, 10, 11, 12, 13, 14):
        tiles = [asked.tile(zoom) for _ in range(count)]
        for when in ("first", "again"):
            ours, theirs = [], []
            for tile in tiles:
                path = f"{zoom}/{tile.x}/{tile.y}.png?layer=composite&name=monthly&time=2025-06"
                ours.append(client.ask(f"/archives/a/tiles/WebMercatorQuad/{path}"))
                theirs.append(_timed(lambda tile=tile: _drawn(XarrayReader, array, tile)))
            show(f"zoom {zoom}, {when}: ours over HTTP", ours)
            show(f"zoom {zoom}, {when}: titiler.xarray, no HTTP", theirs)
            cpu, other = (statistics.median(t.cpu for t in each) for each in (ours, theirs))
            print(f"zoom {zoom}, {when}: {other / cpu:.1f} times the CPU time", flush=True)


def _drawn(reader: Callable[..., object], array: object, tile: morecantile.Tile) -> bytes:
    with reader(array) as opened:
        image = opened.tile(tile.x, tile.y, tile.z)
        image.rescale(in_range=((0, 0.3),))
        return image.render(img_format="PNG")


def _timed(do: Callable[[], object]) -> Took:
    cpu, begun = time.process_time(), time.perf_counter()
    do()
    return Took(time.perf_counter() - begun, time.process_time() - cpu)


def memory_mb() -> float:
    return PROCESS[0].memory_info().rss / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--requests", type=int, default=10_000, help="for memory; 0: none")
    parser.add_argument(
        "--beside", type=int, default=8, help="tiles a zoom for titiler.xarray; 0: none"
    )
    given = parser.parse_args()
    asked = Asked(given.store, seed=3)
    print(f"{asked.grid.geobox.shape} pixels, {len(asked.scenes)} scenes of Sentinel-2")
    with serving({"a": given.store}) as address:
        PROCESS[:] = psutil.Process().children()
        measure(address, asked, given.count)
        if given.beside:
            beside_titiler(given.store, address, asked, given.beside)
        load(address, asked, given.seconds, given.clients)
        if given.requests:
            memory(address, asked, given.requests)


if __name__ == "__main__":
    main()
