"""Rooms that answer at once, in the place of the real ones."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

# A fake in the place of `pipeline.run` has no rooms inside: those that commands import from it are there already.
import pipeline.run.common.threads  # noqa: F401
from pipeline.cli import app
from pipeline.types import CellReceipt, Cost, Dropped, Job, Record, TileReceipt

JOB = """\
name: demo
aoi: [9, 50, 10, 51]
datetime: 2023-06-01/2023-08-31
sources: {catalog: earth-search}
store: store
"""


class Silent:
    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


@dataclass
class FakePlan:
    job: Job
    nothing_to_do: bool = False
    bytes_needed: int = 2**30
    bytes_to_read: int = 3 * 2**20
    n_begun: int = 0
    dropped: tuple[Dropped, ...] = (Dropped(item_id="odd", reason="it has no datetime"),)

    @property
    def views(self) -> tuple[Any, ...]:
        return (self,)

    def counts(self) -> dict[str, dict[str, int]]:
        return {"sentinel-2": {"new": 2, "unchanged": 1}, "landsat": {"changed": 1}}

    def rows(self) -> list[dict[str, Any]]:
        return [
            {"sensor": "sentinel-2", "state": "new", "reason": "not in the store yet"},
            {"sensor": "sentinel-2", "state": "new", "reason": "not in the store yet"},
            {"sensor": "sentinel-2", "state": "unchanged", "reason": "the store has it"},
            {"sensor": "landsat", "state": "changed", "reason": "its items have changed"},
        ]

    def composite_rows(self) -> list[dict[str, Any]]:
        return []

    def to_dict(self) -> dict[str, Any]:
        return {"job": self.job.name, "cells": self.rows()}


@dataclass
class Rooms:
    """What the fakes were asked, and what they are to answer."""

    calls: list[tuple[str, Any]] = field(default_factory=list)
    nothing_to_do: bool = False
    error: BaseException | None = None

    def note(self, name: str, value: Any = None) -> None:
        self.calls.append((name, value))

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    def of(self, name: str) -> Any:
        return dict(self.calls)[name]

    def plan_job(self, job: Job, said: Any = None) -> FakePlan:
        self.note("plan_job", job)
        if self.error is not None:
            raise self.error
        return FakePlan(job, nothing_to_do=self.nothing_to_do)

    def execute(self, plan: FakePlan, progress: Any) -> Record:
        self.note("execute")
        progress.start("tiles", 20)
        for _ in range(20):
            progress.advance("tiles")
        progress.message("tile r000c000: trying again")
        return make_record(plan.job)

    def flow(self, job: Job, progress: Any) -> Record:
        self.note("flow", job)
        progress.start("tiles", 1)
        progress.advance("tiles")
        return make_record(job)


def make_record(job: Job) -> Record:
    now = datetime(2023, 9, 1, tzinfo=UTC)
    cell = CellReceipt(
        sensor="s", time=now, tile="r000c000", status="masked", fingerprint=1, items=("a",)
    )
    dropped = (Dropped(item_id="b", reason="asset [red] is gone"),)
    return Record(
        job=job.name,
        run_id="r",
        started=now,
        finished=now.replace(second=5),
        snapshot="SNAP",
        expected=2,
        complete=1,
        items=("a", "b"),
        dropped=dropped,
        radiometry={},
        models={},
        tiles=(TileReceipt(tile="r000c000", cells=(cell,), composites=("2023-06-01",)),),
        stages={"mask": Cost(bytes_read=2**20)},
    )


ROWS = [
    {"sensor": "sentinel-2", "time": "2023-06-01T10:00:00+00:00", "clear": 71.25, "thick": 0.0},
    {"sensor": "landsat", "time": "2023-06-02T10:00:00+00:00", "clear": 0.0, "thick": None},
]


class FakeArchive:
    url = "/store"
    snapshot = "SNAP"
    sensors = ("landsat", "sentinel-2")
    composite_names = ()

    def masks(self, sensor: str) -> str:
        return f"masks of {sensor}"

    def stored_masks(self, sensor: str) -> SimpleNamespace:
        return SimpleNamespace(name=f"masks of {sensor}", scenes=())

    def records(self) -> list[dict[str, Any]]:
        return [{"job": "demo"}]

    def searched(self) -> list[Any]:
        return []


class FakeAccuracy:
    def rows(self) -> list[dict[str, Any]]:
        return [{"scene": "all", "recall": 0.5}]

    def composite_rows(self) -> list[dict[str, Any]]:
        return []

    def to_dict(self) -> dict[str, Any]:
        return {"masks": self.rows()}


@pytest.fixture
def rooms(monkeypatch) -> Rooms:  # noqa: C901  (a row a room)
    """Put fakes in the place of the rooms."""
    found = Rooms()

    def module(name: str, **members: Any) -> None:
        fake = ModuleType(f"pipeline.{name}")
        vars(fake).update(members)
        monkeypatch.setitem(sys.modules, fake.__name__, fake)

    def clear_sky(masks: Mapping[str, Any], aoi: Any, period: Any) -> str:
        found.note("clear_sky", (masks, aoi, period))
        return "series"

    def make_archive(path: Path, settings: Any, *, workers: int, progress: Any) -> Path:
        found.note("make_archive", (settings, workers))
        progress("passes", 0, 2)
        progress("passes", 2, 2)
        write_catalogue(path)
        return path / "catalog.json"

    def write_report(path: Path, material: Any) -> Path:
        found.note("write_report", material)
        path.write_text("<html>")
        return path

    def open_archive(url: str, as_of: str | None = None) -> FakeArchive:
        found.note("open_archive", (url, as_of))
        return FakeArchive()

    def find_archive(url: str) -> FakeArchive | None:
        return None if found.nothing_to_do else open_archive(url)

    def export(dataset: Any, path: Path, overwrite: bool = False) -> None:
        found.note("export", (dataset, path, overwrite))

    def require_archived(series: Any) -> None:
        if found.error is not None:
            raise found.error

    def against_truth(masks: Any, composites: Any, truth: Path, seen: Any) -> FakeAccuracy:
        found.note("against_truth", truth)
        return FakeAccuracy()

    module(
        "run",
        lacking_angles=lambda _: [],
        plan_job=found.plan_job,
        require_ready=lambda _: None,
        require_scheduler=lambda _: None,
        execute=found.execute,
        observations=lambda *_: "observations",
        Silent=Silent,
        emit_unchanged=lambda _: None,
    )
    module("store", open_archive=open_archive, find_archive=find_archive)
    module(
        "query",
        clear_sky=clear_sky,
        select_masks=lambda *_: "selected",
        select_composite=lambda *_: "selected",
        export=export,
        to_rows=lambda _: [] if found.nothing_to_do else ROWS,
        to_dict=lambda _: {"scenes": [] if found.nothing_to_do else ROWS},
        in_words=lambda _: ["2 scenes on 2 dates"],
        require_archived=require_archived,
    )
    module("evaluate", against_truth=against_truth, BANDS=("red",))
    module(
        "report",
        Material=SimpleNamespace,
        write_report=write_report,
        choose_example=lambda _: None,
    )
    # The fakes' masks are words, which have no pixels to cut.
    monkeypatch.setattr("pipeline.cli.material._cropped", lambda dataset, _: dataset)
    module(
        "simulate",
        ArchiveSettings=lambda seed=7, size_px=1536: SimpleNamespace(
            seed=seed, size_px=size_px
        ),
        make_archive=make_archive,
        truth_path=lambda path: path / "truth.zarr",
    )
    entry = SimpleNamespace(load=lambda: found.flow)
    monkeypatch.setattr("pipeline.cli.commands.jobs.entry_points", lambda **_: [entry])
    return found


def write_catalogue(path: Path) -> None:
    """Write a catalogue of two collections, and an empty truth."""
    (path / "truth.zarr").mkdir(parents=True, exist_ok=True)
    links = [{"rel": "self", "href": "x"}]
    for name, bbox in {"s2": [9, 50, 10, 51], "ls": [9.5, 50, 11, 50.9]}.items():
        (path / f"{name}.json").write_text(
            json.dumps({"extent": {"spatial": {"bbox": [bbox]}}})
        )
        links.append({"rel": "child", "href": f"./{name}.json"})
    (path / "catalog.json").write_text(json.dumps({"links": links}))


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    """Work in an empty folder, without settings of the machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CLOUDMASK_LOG_LEVEL", raising=False)
    monkeypatch.delenv("CLOUDMASK_MEMORY_BYTES", raising=False)


@pytest.fixture
def job(tmp_path) -> Path:
    path = tmp_path / "job.yaml"
    path.write_text(JOB)
    return path


@pytest.fixture
def cloudmask():
    """Call the command line."""
    return lambda *arguments: CliRunner().invoke(app, [str(each) for each in arguments])
