"""The command that writes a first job file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli import show
from pipeline.cli.commands.jobs import plan as plan_job_file
from pipeline.cli.commands.jobs import read_job
from pipeline.cli.given import read_area, read_store, read_when
from pipeline.cli.template import Answers
from pipeline.errors import ConfigError


def init(
    job: Annotated[Path, typer.Argument(metavar="JOB", help="Job file to write.")] = Path(
        "job.yaml"
    ),
    *,
    aoi: Annotated[
        str | None,
        typer.Option(help='"west,south,east,north", WKT, or the path of a vector file.'),
    ] = None,
    when: Annotated[
        str | None,
        typer.Option("--datetime", help="2023-06-01/2023-08-31, 2023-06 or 2023; UTC."),
    ] = None,
    catalog: Annotated[
        str | None, typer.Option(help="Name, URL or path of a STAC catalogue.")
    ] = None,
    store: Annotated[
        str | None, typer.Option(help="Path or URL of the store that runs fill.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the region.")] = None,
    yes: Annotated[
        bool,
        typer.Option("--yes", "-y", help="Ask nothing: take defaults for what is not given."),
    ] = False,
    no_plan: Annotated[bool, typer.Option("--no-plan", help="Write the file alone.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace JOB.")] = False,
) -> None:
    """Write a commented job file, prompting for missing options, and plan its run."""
    if job.exists() and not overwrite:
        raise ConfigError(f"JOB: {job} is there already; name another file, or add --overwrite")

    def ask(option: str, words: str, given: str | None, default: str | None) -> str:
        if given is not None:
            _checked(option, given)
            return given
        if not yes:
            answer: str = typer.prompt(words, default, value_proc=_or_ask_again(option))
            return answer
        if default is None:
            raise ConfigError(f"{option}: expected it, because --yes asks nothing")
        return default

    answers = Answers(
        aoi=_beside(
            job, ask("--aoi", "Area (west,south,east,north, or a vector file)", aoi, None)
        ),
        datetime=ask("--datetime", "Dates (2023-06-01/2023-08-31, 2023-06, …)", when, None),
        catalog=_beside(job, ask("--catalog", "STAC catalogue", catalog, "earth-search")),
        store=_beside(job, ask("--store", "Store", store, str(job.with_name("store")))),
        name=ask("--name", "Name of the region", name, job.stem),
    )
    show.write_text(job, answers.text())
    try:
        read_job(job)
    except ConfigError:
        job.unlink()
        raise
    show.say(f"job: {job}")
    if not no_plan:
        plan_job_file(job)


def _checked(option: str, text: str) -> str:
    checks: dict[str, Callable[[str], object]] = {
        "--aoi": read_area,
        "--datetime": read_when,
        "--store": lambda text: read_store(text, "--store"),
    }
    if option in checks:
        checks[option](text)
    return text


def _or_ask_again(option: str) -> Callable[[str], str]:
    def answer(text: str) -> str:
        try:
            return _checked(option, text)
        except ConfigError as error:
            raise typer.BadParameter(str(error)) from None

    return answer


def _beside(job: Path, text: str) -> str:
    """Return a path relative to the folder of the job file; anything else unchanged."""
    path = Path(text).expanduser()
    is_path = path.exists() or ("://" not in text and os.sep in text and "(" not in text)
    if not is_path or path.is_absolute():
        return text
    return os.path.relpath(path, job.parent)
