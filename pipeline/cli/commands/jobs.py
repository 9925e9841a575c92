"""Commands on a job file: run it, plan it, print the schema of job files."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli import show
from pipeline.cli.given import keep_apart, read_store
from pipeline.cli.material import lacks_report, write_report
from pipeline.cli.progress import showing
from pipeline.errors import ConfigError
from pipeline.wording import counted

if TYPE_CHECKING:
    from pipeline.run import Plan, Progress
    from pipeline.types import Dropped, Job, Record

_STATES = ("new", "changed", "unchanged", "uncovered")

JobPath = Annotated[
    Path, typer.Argument(metavar="JOB", help="Job file (YAML).", show_default=False)
]
Plain = Annotated[
    bool,
    typer.Option("--plain", help="Run in this process, without Prefect.", show_default=False),
]


def run(
    job: JobPath,
    *,
    plain: Plain = False,
    store: Annotated[
        str | None, typer.Option(help="Path or URL of the store, instead of the job's.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Threads inside a tile, instead of the job's.", min=1)
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Where the report goes; NAME-report.html beside JOB if not given."),
    ] = None,
    no_report: Annotated[bool, typer.Option("--no-report", help="Write no report.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the record of the run as JSON.")
    ] = False,
) -> None:
    """Mask and compose what is new or has changed since the last run."""
    asked = read_job(job, store=store, workers=workers)
    if report is not None:
        keep_apart("--report", report, asked.store, [str(job), *_catalogues(asked)])
    record = carry_out(asked, plain=plain, as_json=as_json)
    _follow(asked)
    if no_report:
        return
    from pipeline.store import find_archive

    path = report or job.with_name(f"{asked.name}-report.html")
    archive = find_archive(asked.store)
    if archive is None or (record is None and not lacks_report(archive, path, asked)):
        return
    write_report(archive, path, job=asked)
    show.note(f"report: {path}")


def plan(
    job: JobPath,
    *,
    store: Annotated[
        str | None, typer.Option(help="Path or URL of the store, instead of the job's.")
    ] = None,
    items: Annotated[
        Path | None,
        typer.Option(help="Save the items here: a job can name the file as its catalogue."),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Read the header of every raster; say which are missing."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole plan.")] = False,
) -> None:
    """Show what a run would do, with the errors that it would raise; nothing is written.

    No pixels are read but overviews of doubtful items.
    """
    asked = read_job(job, store=store)
    if items is not None:
        keep_apart("--items", items, asked.store, [str(job), *_catalogues(asked)])
    # Imported after the job is read, so that a mistake in it is reported at once.
    from pipeline.run import plan_job, require_ready, require_scheduler
    from pipeline.search import save_items

    found = plan_job(asked, show.note)
    if items is not None:
        save_items(found.items, items)
    if as_json:
        show.as_json(found.to_dict())
    else:
        _show_plan(found, asked)
    require_ready(found)
    if not found.nothing_to_do:
        require_scheduler(asked)
        if check:
            _check_rasters(found)


def _catalogues(job: Job) -> list[str]:
    return [each.catalog for each in job.sources]


def _check_rasters(plan: Plan) -> None:
    """Show which rasters cannot be read, and fail if a run would."""
    from pipeline.run import missing_rasters, require_readable

    missing = missing_rasters(plan)
    rows = [{"item": each.item_id, "reason": each.reason} for each in missing]
    show.table(rows, title=f"{len(rows)} items whose rasters cannot be read")
    if not missing:
        show.note("every raster can be opened")
    require_readable(plan, missing)


def schema(
    out: Annotated[
        Path | None, typer.Option(help="File to write; printed if not given.")
    ] = None,
) -> None:
    """Print the JSON schema of job files, for editors."""
    from pipeline.config import job_schema

    show.as_json(job_schema(), out)


def read_job(path: Path, *, store: str | None = None, workers: int | None = None) -> Job:
    """Read a job file; the command line overrides the environment, which overrides the file."""
    from pipeline.config import load_job, read_settings

    overrides: dict[str, object] = {}
    if (budget := read_settings().memory_bytes) is not None:
        overrides["run.memory_bytes"] = int(budget)
    if store is not None:
        overrides["store"] = read_store(store, "--store")
    if workers is not None:
        overrides["run.workers"] = workers
    return load_job(path, overrides)


def carry_out(job: Job, *, plain: bool, as_json: bool = False) -> Record | None:
    """Run a job and show its result; None if there was nothing to do."""
    from pipeline.run import emit_unchanged, execute, plan_job, require_ready

    plan = plan_job(job, show.note)
    if plan.nothing_to_do:
        emit_unchanged(job.name)
        _show_up_to_date(plan, as_json=as_json)
        return None
    # Planned before Prefect starts, which takes a while.
    require_ready(plan)
    with showing(show.console(stderr=True)) as progress:
        if plain:
            record: Record | None = execute(plan, progress)
        else:
            progress.message("starting Prefect (--plain runs without it) …")
            record = _find_flow()(job, progress)
    # Also None if another run has done everything between the two plans.
    if record is None:
        return None
    if as_json:
        show.as_json(record.to_dict())
    elif not show.is_quiet():
        _show_record(record, job)
    return record


def _show_up_to_date(plan: Plan, *, as_json: bool) -> None:
    if as_json:
        dropped = [dataclasses.asdict(each) for each in plan.dropped]
        show.as_json({"job": plan.job.name, "nothing_to_do": True, "dropped": dropped})
    elif not show.is_quiet():
        show.say(f"{plan.job.name} is up to date")
        _show_dropped(plan.dropped)


def _follow(job: Job) -> None:
    """Write the catalogue of a job, unless its flow has done so."""
    if job.stac is None:
        return
    from pipeline.publish import follow

    published = follow(job)
    if published is not None:
        show.note(f"catalogue: {published}")


def _find_flow() -> Callable[[Job, Progress], Record | None]:
    """Find the Prefect flow by its name, so that nothing here imports Prefect."""
    from pipeline.config import set_prefect_defaults

    set_prefect_defaults(quiet=show.is_quiet())
    (found, *_) = [*entry_points(group="cloudmask.flows", name="region"), None]
    if found is None:
        raise ConfigError(
            "no Prefect flow `region` is installed (entry points `cloudmask.flows`); "
            "install cloudmask again, or run with --plain"
        )
    flow: Callable[[Job, Progress], Record | None] = found.load()
    return flow


def _show_plan(plan: Plan, job: Job) -> None:
    from pipeline.run import lacking_angles

    show.table(
        [
            {"sensor": sensor} | {state: counts.get(state, 0) for state in _STATES}
            for sensor, counts in sorted(plan.counts().items())
        ],
        title="cells (scene × tile)",
    )
    show.table(_reasons(plan), title="what would be done, and why")
    _show_dropped(plan.dropped)
    for line in lacking_angles(plan):
        show.say(line)
    if plan.n_begun:
        show.say(
            f"{plan.n_begun} cell{'s are' if plan.n_begun != 1 else ' is'} on the unfinished branch "
            "of this job and will not be done again"
        )
    for view, settings in zip(plan.views, job.composed, strict=False):
        show.table(
            view.composite_rows(),
            title=f"composite {settings.name}, by {settings.period} (tiles)",
        )
    if plan.nothing_to_do:
        show.say(f"{job.name} is up to date")
        return
    show.say(f"to read: {show.size(plan.bytes_to_read)} of pixels")
    show.say(
        f"memory:  {show.size(plan.bytes_needed)} needed, {show.size(_memory(job))} to use"
    )


def _reasons(plan: Plan) -> list[show.Row]:
    rows = [row for row in plan.rows() if row["state"] in ("new", "changed")]
    reasons = Counter((row["state"], row["reason"]) for row in rows)
    return [
        {"state": state, "reason": reason, "cells": count}
        for (state, reason), count in reasons.most_common()
    ]


def _memory(job: Job) -> int:
    import psutil

    return job.run.memory_bytes or int(psutil.virtual_memory().available)


def _show_record(record: Record, job: Job) -> None:
    cells = Counter(cell.status for tile in record.tiles for cell in tile.cells)
    periods = {start for tile in record.tiles for start in tile.composites}
    seconds = (record.finished - record.started).total_seconds()
    read = sum(cost.bytes_read for cost in record.stages.values())
    show.lines(
        [
            f"{job.name}: {record.complete} of {counted(record.expected, 'cell')} (scene × tile) are masked, "
            f"{cells['masked']} of them now; {counted(len(periods), 'period')} composed",
            f"took {seconds:.1f} s and read {show.size(read)} of pixels",
            f"store: {job.store} (snapshot {record.snapshot or 'as before'})",
        ]
    )
    _show_dropped(record.dropped)


def _show_dropped(dropped: Sequence[Dropped]) -> None:
    """Show the dropped items, with the reason and the tile if it is one."""
    reasons = Counter(each.reason for each in dropped)
    first = {each.reason: each.item_id for each in reversed(dropped)}
    show.table(
        [
            {"reason": reason, "times": count, "first": first[reason]}
            for reason, count in reasons.most_common(10)
        ],
        title=f"{counted(len(dropped), 'time')} something was dropped",
    )
