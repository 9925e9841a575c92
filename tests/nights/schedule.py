"""A job that runs every night over a catalogue that is up or down, and all that it reads."""

from __future__ import annotations

import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from pipeline import store
from tests.integration.processes import running
from tests.nights.counting import NAME, install
from tests.nights.killing import ended
from tests.nights.region import AOI, ROOT, environment
from tests.nights.running import cloudmask
from tests.nights.story import Story, bright_on

MONTHS = (date(2023, 6, 1), date(2023, 7, 1))


@contextmanager
def host(folder: Path, module: str, *arguments: object) -> Iterator[str]:
    """Start a host of the tests; yield its URL."""
    name = module.rpartition(".")[2]
    address = folder / f"{name}.address"
    address.unlink(missing_ok=True)
    paths = filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))
    command = [sys.executable, "-m", module, *map(str, arguments)]
    with running(
        [*command, str(address)],
        log=folder / f"{name}.txt",
        ready=lambda: address.exists() and bool(address.read_text()),
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
    ):
        yield f"http://127.0.0.1:{address.read_text()}"


class Schedule:
    """A job that runs every night, and all that it reads."""

    def __init__(self, folder: Path, story: Story, asked: Path) -> None:
        self.folder, self.story, self._asked = folder, story, asked
        self.site = install(folder / "site")
        self.listing = folder / "listing.json"
        self._noted = 0

    def run(self, night: date, catalogue: str, name: str, *, cached: bool = True) -> int:
        """Run once, with or without blocks on disk; return how it ended."""
        self.listing.write_text(json.dumps(self.story.listed(night)))
        job = self.folder / f"{name}.yaml"
        job.write_text(yaml.safe_dump(self.document(night, catalogue, name)))
        self.said = self.folder / f"{name}-{night}.txt"
        arguments = ["run", str(job), "--plain", "--no-report", "--quiet"]
        here = environment(self.site, self.folder / "windows")
        if not cached:
            here["CLOUDMASK_BLOCK_CACHE__SIZE"] = "0"
        return ended(cloudmask(arguments, here, self.said, forked=True))

    def document(self, night: date, catalogue: str, name: str) -> dict[str, Any]:
        return {
            "name": "nights",
            "aoi": list(AOI),
            "datetime": f"{MONTHS[0]}/2023-07-31",
            "sources": [{"catalog": f"{catalogue}/v1"}],
            "cube": {"hosts": ["127.0.0.1"]},
            "grid": {"resolution_m": 10.0, "tile_px": 128, "chunk_px": 64},
            "mask": {"model": NAME, "options": {"bright": bright_on(night)}},
            "composite": {"period": "month", "bands": ["green", "red"]},
            "store": self.url(name),
        }

    def asked(self) -> dict[tuple[str, str], int]:
        """Return the bytes that were read since the last call, by item and asset."""
        lines = self._asked.read_text().splitlines()
        read: dict[tuple[str, str], int] = defaultdict(int)
        for line in lines[self._noted :]:
            path, start, stop = json.loads(line)
            read[self.assets[path]] += stop - start
        self._noted = len(lines)
        return dict(read)

    @property
    def assets(self) -> dict[str, tuple[str, str]]:
        """Path at the host -> item and asset."""
        return {
            "/" + asset["href"].split("/", 3)[3]: (piece.id, name)
            for piece in self.story.pieces
            for name, asset in piece.document["assets"].items()
        }

    def url(self, name: str) -> str:
        return str(self.folder / name)

    def archive(self, name: str) -> store.Archive:
        return store.open_archive(self.url(name))


class Catalogue:
    """A catalogue that is up or down."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._up: ExitStack | None = None
        self.url = ""
        """Of the last time that it was up: when it is down, it refuses connections."""

    def be(self, *, up: bool) -> None:
        if up and self._up is None:
            self._schedule.listing.touch()
            self._up = ExitStack()
            served = host(
                self._schedule.folder, "tests.nights.catalogue_host", self._schedule.listing
            )
            self.url = self._up.enter_context(served)
        if not up and self._up is not None:
            self._up.close()
            self._up = None
