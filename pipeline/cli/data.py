"""Commands on what there is to work with: simulated archives and models."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli import show
from pipeline.cli.progress import showing


def simulate(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="Folder to make.", show_default=False)
    ],
    *,
    seed: Annotated[
        int | None, typer.Option(help="Another landscape, another weather.")
    ] = None,
    size_px: Annotated[int | None, typer.Option(help="Edge of the landscape.", min=1)] = None,
    workers: Annotated[int, typer.Option(help="Processes.", min=1)] = 2,
) -> None:
    """Make an archive with known truth: rasters, a STAC catalogue, and what the clouds hide."""
    from pipeline.simulate import ArchiveSettings, make_archive

    given = {"seed": seed, "size_px": size_px}
    settings = ArchiveSettings(**{key: each for key, each in given.items() if each is not None})
    with showing(show.console(stderr=True), quiet=False) as progress:
        make_archive(path, settings, workers=workers, progress=progress)
    typer.echo(f"catalogue: {path / 'catalog.json'}")


def list_models() -> None:
    """Name the models."""
    from pipeline.models import names

    show.lines(names())


def show_model(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As in `models list`.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the card of a model: bands, classes, licence, options."""
    from pipeline.models import resolve

    card = dataclasses.asdict(resolve(name).card)
    card["classes"] = [code.name.lower() for code in card["classes"]]
    if as_json:
        show.as_json(card)
    else:
        show.table([{"key": key, "value": value} for key, value in card.items()])
