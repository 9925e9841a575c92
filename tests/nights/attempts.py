"""Sixty runs that die, drawn from their numbers; and what a run is that nobody disturbs."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pipeline import store
from tests.nights.killing import Moment, count_files, ended
from tests.nights.region import ROOT, Region
from tests.nights.running import cloudmask
from tests.nights.seen import Cell, State, assert_sound, cells, look

How = Literal["plain", "workers", "embedded", "served"]
"""As a plain run, as one with worker processes, as a flow on Prefect's embedded server, or on one of
its own."""
WORKERS: Mapping[str, Any] = {"run": {"cluster": {"kind": "local", "workers": 2}}}
UKIS: Mapping[str, Any] = {"mask": {"model": "ukis-csmask"}}

SEEDS = 60
FATES: Mapping[range, tuple[How, str]] = {
    range(32, 38): ("workers", "worker"),
    range(38, 40): ("workers", "run"),
    range(42, 48): ("embedded", "flow"),
    range(48, 52): ("embedded", "server"),
    range(52, 56): ("served", "flow"),
    range(56, 60): ("served", "server"),
}
"""Seeds -> how they run, and what is killed. The others are plain."""
NETWORK = (40, 41)
"""Seeds with a real network."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What happens to the runs of a seed."""

    seed: int
    how: How
    target: str
    """``run``, ``worker``, ``flow`` or ``server``."""
    start: tuple[str, ...]
    """Catalogues whose runs were published before."""
    meanwhile: str
    """The catalogue of the runs that die; the last run's is ``after``."""
    deaths: tuple[Moment, ...]
    changes: Mapping[str, Any]
    """Of the job, that change what it makes."""

    @property
    def in_flight(self) -> int:
        """Tiles between two commits: four a worker, or one where there are none."""
        return 8 if self.how == "workers" else 1

    @property
    def moments(self) -> tuple[Moment, ...]:
        """When something is killed; workers while they mask, and not on their way out."""
        if self.target != "worker":
            return self.deaths
        return tuple(Moment(0.05 + 0.6 * abs(each.share), 0.0) for each in self.deaths)

    @property
    def settings(self) -> Mapping[str, Any]:
        """What the job says besides."""
        return {**self.changes, **(WORKERS if self.how == "workers" else {})}

    @classmethod
    def of(cls, seed: int) -> Fate:
        draw = random.Random(seed)
        how, target = next(
            (fate for seeds, fate in FATES.items() if seed in seeds), ("plain", "run")
        )
        start = ("before",) if draw.random() < 0.7 else ()
        moved = bool(start) and draw.random() < 0.25
        return cls(
            seed=seed,
            how=how,
            target=target,
            start=start,
            meanwhile="halfway" if moved else "after",
            deaths=tuple(Moment.draw(draw) for _ in range(draw.choice((1, 1, 2, 2, 3)))),
            changes=UKIS if seed in NETWORK else {},
        )


# -- undisturbed -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outcome:
    """What runs leave that nobody disturbs."""

    store: Path
    state: State | None
    files: int
    windows: int
    """What the last run masked."""
    cells: frozenset[tuple[Cell, int]]


@dataclass
class Undisturbed:
    """Stores after runs over a sequence of catalogues, made when they are first asked for."""

    region: Region
    folder: Path
    _made: dict[str, Outcome] = field(default_factory=dict)

    def after(self, path: tuple[str, ...], changes: Mapping[str, Any]) -> Outcome:
        name = "-".join(("start", *path, *(("ukis",) if changes else ())))
        if name not in self._made:
            self._made[name] = self._make(self.folder / name, path, changes)
        return self._made[name]

    def expired(self, path: tuple[str, ...], changes: Mapping[str, Any]) -> Path:
        """Return the store after such runs and `expire`."""
        whole = self.after(path, changes).store
        copy = whole.with_name("expired")
        if not copy.exists():
            shutil.copytree(whole, copy)
            store.expire(str(copy), datetime.now(UTC))
        return copy

    def _make(self, folder: Path, path: tuple[str, ...], changes: Mapping[str, Any]) -> Outcome:
        folder.mkdir()
        url = folder / "store"
        if not path:
            return Outcome(url, None, 0, 0, frozenset())
        before = self.after(path[:-1], changes)
        if before.state is not None:
            shutil.copytree(before.store, url)
        job = self.region.job_file(folder / "job.yaml", path[-1], **changes)
        (folder / "log").touch()
        environment = self.region.environment(folder / "log")
        arguments = ["run", str(job), "--plain", "--no-report", "--quiet"]
        code = ended(cloudmask(arguments, environment, folder / "said", forked=not changes))
        assert code == 0, (folder / "said").read_text()
        archive = store.open_archive(str(url))
        assert_sound(archive)
        seen = len((folder / "log").read_text().split()) if not changes else 0
        state, files = look(str(url)), count_files(url)
        return Outcome(url, state, files, seen, frozenset(cells(archive)))


# -- the reader --------------------------------------------------------------------------------


class Reader:
    """A process that looks at a store all the time."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.nights.reader"],
            stdin=subprocess.PIPE,
            env=dict(environment),
            cwd=ROOT,
            text=True,
        )

    @contextmanager
    def reading(self, url: Path, log: Path) -> Iterator[None]:
        """Read a store; `log` is whole when the block ends."""
        self._say(f"{url} {log}")
        yield
        self._say("")
        while not log.exists() or not log.read_text().endswith('{"end": true}\n'):
            assert self._process.poll() is None, "the reader is gone"
            time.sleep(0.05)

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        print(line, file=self._process.stdin, flush=True)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def looks(log: Path) -> list[dict[str, Any]]:
    """Return what a reader has seen."""
    return [json.loads(line) for line in log.read_text().splitlines()[:-1]]
