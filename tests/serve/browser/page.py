"""A page of the map, and the server and the browser that it needs."""

import math
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlparse

import requests
from playwright.sync_api import BrowserContext, Playwright, sync_playwright

DESKTOP = {"width": 1280, "height": 800}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
    "device_scale_factor": 2,
}
MODULES = Path(__file__).parents[3] / "build" / "web" / "node_modules"
"""The packages of npm that `make web` has fetched."""
WAIT_MS = 30_000
TILE_PX = 512
"""Pixels of the whole world at zoom 0, in MapLibre."""


@contextmanager
def serving(archives, **settings) -> Iterator[str]:
    """Run the command, in a process of its own, with some settings."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        f"CLOUDMASK_SERVE__{name.upper()}": str(value) for name, value in settings.items()
    }
    stores = [f"{name}={url}" for name, url in archives.items()]
    server = subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", "serve", *stores, "--port", str(port)],
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}/"
        while not _answers(url + "health/live"):
            assert server.poll() is None, "the server ended"
            time.sleep(0.1)
        yield url
    finally:
        server.terminate()
        server.wait(30)


class _Files(SimpleHTTPRequestHandler):
    def __init__(self, *args, cors: bool, **kwargs) -> None:
        self.cors = cors
        super().__init__(*args, **kwargs)

    def end_headers(self) -> None:
        if self.cors:
            self.send_header("Access-Control-Allow-Origin", "*")
        super().end_headers()

    def log_message(self, *_) -> None:
        pass


@contextmanager
def serving_files(folder: Path, *, cors: bool = False) -> Iterator[str]:
    """Serve a folder, to pages of other origins, too, if `cors`."""
    handler = partial(_Files, directory=folder, cors=cors)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.ConnectionError:
        return False


def find_browser() -> str | None:
    return next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)


@contextmanager
def open_browser():
    started: Playwright
    with sync_playwright() as started:
        chromium = started.chromium.launch(
            executable_path=find_browser(),
            # WebGL is drawn by the processor; a container has no sandbox of its own.
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield chromium
        chromium.close()


class MapPage:
    """A page, what it asked for, and what went wrong in it."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        context.set_default_timeout(WAIT_MS)
        self.url = url
        self.context = context
        self.errors: list[str] = []
        self.foreign: list[str] = []
        self.asked: list[str] = []
        self.page = context.new_page()
        self.page.on("console", self._told)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._requested)

    def _told(self, message) -> None:
        # What the software renderer of WebGL says of its own speed is no fault of the page.
        if message.type in ("error", "warning") and not message.text.startswith("[.WebGL"):
            self.errors.append(message.text)

    def _requested(self, request) -> None:
        self.asked.append(request.url)
        if not request.url.startswith((self.url, "blob:", "data:")):
            self.foreign.append(request.url)

    def goto(self, fragment: str = "") -> "MapPage":
        self.page.goto(self.url + fragment)
        return self

    def ready(self) -> "MapPage":
        self.page.wait_for_selector("body[data-ready]")
        return self.idle()

    def idle(self) -> "MapPage":
        """Wait until all tiles are drawn."""
        self.page.wait_for_timeout(150)
        self.page.wait_for_selector("body:not([data-busy])")
        return self

    def close(self) -> None:
        self.context.close()

    @property
    def state(self) -> dict[str, str]:
        """What the hash says."""
        self.page.wait_for_selector("body:not([data-writing])")
        hash_ = urlparse(self.page.url).fragment
        return {
            key: unquote(value)
            for key, _, value in (e.partition("=") for e in hash_.split("&"))
        }

    def tiles(self, **wanted: str) -> list[dict[str, str]]:
        """Return the parameters of tiles that were asked for."""
        found = [
            {key: values[0] for key, values in parse_qs(urlparse(url).query).items()}
            for url in self.asked
            if "/tiles/" in url
        ]
        return [each for each in found if wanted.items() <= each.items()]

    def at(self, lon: float, lat: float) -> tuple[float, float]:
        """Return where on the map a place is, pixels from its left upper corner."""
        zoom, centre_lat, centre_lon = map(float, self.state["at"].split("/"))
        box = self.page.locator("#map").bounding_box()
        scale = TILE_PX * 2**zoom

        def mercator(lat: float) -> float:
            return math.asinh(math.tan(math.radians(lat))) / (2 * math.pi)

        x = box["width"] / 2 + scale * (lon - centre_lon) / 360
        return x, box["height"] / 2 - scale * (mercator(lat) - mercator(centre_lat))

    def click_map(self, lon: float, lat: float) -> None:
        x, y = self.at(lon, lat)
        self.page.locator("#map").click(position={"x": x, "y": y})

    def text(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()

    def rows(self, table: str) -> list[list[str]]:
        """Return the cells of a table's body."""
        return self.page.locator(f"{table} tbody").evaluate(
            "body => [...body.rows].map(row => [...row.cells].map(cell => cell.textContent))"
        )

    def picture(self, selector: str = "#stage") -> bytes:
        return self.page.locator(selector).screenshot()


def number(text: str) -> float:
    return float(re.sub(r"[^\d.]", "", text))
