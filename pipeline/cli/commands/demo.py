"""The demo: every step once, on a simulated archive whose truth is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli import show
from pipeline.cli.commands.archives import show_accuracy
from pipeline.cli.commands.data import simulate
from pipeline.cli.commands.jobs import Plain, carry_out, read_job
from pipeline.cli.material import measure, open_store, write_report
from pipeline.cli.template import Answers
from pipeline.errors import ConfigError

_SHARE = 0.05
"""How far inside the landscape the demo's AOI begins, as a share of its extent."""


def demo(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Folder of the demo.")] = Path(
        "demo"
    ),
    *,
    plain: Plain = False,
) -> None:
    """Simulate an archive, mask and compose it, measure it, and write a report."""
    from pipeline.simulate import truth_path

    archive, job = path / "archive", path / "job.yaml"
    if not (archive / "catalog.json").exists():
        path.mkdir(parents=True, exist_ok=True)
        simulate(archive)
    if not job.exists():
        show.write_text(job, example_job(archive))
    asked = read_job(job)
    bbox = _bbox_text(asked.aoi.bounds)
    following = (
        f"cloudmask run {job}     # again: nothing is new, nothing is read",
        f"cloudmask plan {job}",
        f"cloudmask query {asked.store} --aoi {bbox} --datetime 2023-06",
        f"cloudmask serve demo={asked.store}     # the map: http://127.0.0.1:8000/",
    )
    report = path / "report.html"
    record = carry_out(asked, plain=plain)
    if record is not None or not report.exists():
        stored = open_store(asked.store)
        accuracy = measure(stored, truth_path(archive))
        show_accuracy(accuracy)
        write_report(stored, report, job=asked, accuracy=accuracy, next_commands=following)
    show.lines([f"report: {report}", f"store:  {asked.store}", "next:"])
    show.lines(f"  {command}" for command in following)


def example_job(archive: Path) -> str:
    """Return a job file for the folder of an archive that covers most of its landscape."""
    west, south, east, north = _extent(archive / "catalog.json")
    dx, dy = _SHARE * (east - west), _SHARE * (north - south)
    bbox = (west + dx, south + dy, east - dx, north - dy)
    return Answers(
        name="demo",
        aoi=_bbox_text(bbox),
        datetime="2023-06-01/2023-08-31",
        catalog=f"{archive.name}/catalog.json",
        store="store",
        tile_px=512,
    ).text()


def _bbox_text(bbox: tuple[float, ...]) -> str:
    return ",".join(f"{each:.5f}" for each in bbox)


def _extent(catalog: Path) -> tuple[float, float, float, float]:
    """Return the common extent of all collections of a local catalogue."""
    try:
        links = json.loads(catalog.read_text(encoding="utf-8"))["links"]
        collections = [
            catalog.parent / link["href"] for link in links if link["rel"] == "child"
        ]
        boxes = [
            json.loads(each.read_text(encoding="utf-8"))["extent"]["spatial"]["bbox"][0]
            for each in collections
        ]
        wests, souths, easts, norths = zip(*boxes, strict=True)
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise ConfigError(
            f"{catalog}: is no catalogue of collections with extents: {error!r}"
        ) from None
    return max(wests), max(souths), min(easts), min(norths)
