"""Commands on what there is to work with: simulated archives and models."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli import show
from pipeline.cli.progress import showing
from pipeline.errors import ModelError

if TYPE_CHECKING:
    from pipeline.run import Progress
    from pipeline.types import ModelCard


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

    usual = ArchiveSettings()
    settings = ArchiveSettings(
        seed=usual.seed if seed is None else seed,
        size_px=usual.size_px if size_px is None else size_px,
    )
    with showing(show.console(stderr=True), quiet=False) as progress:
        catalogue = make_archive(path, settings, workers=workers, progress=_counted(progress))
    typer.echo(f"catalogue: {catalogue}")


def _counted(progress: Progress) -> Callable[[str, int, int], None]:
    """Return what takes a stage, the steps done and the steps in all, and shows what is new."""
    shown: dict[str, int] = {}

    def tell(stage: str, done: int, total: int) -> None:
        if stage not in shown:
            progress.start(stage, total)
        progress.advance(stage, done - shown.get(stage, 0))
        shown[stage] = done

    return tell


def list_models() -> None:
    """Name the models."""
    from pipeline.models import names

    show.lines(names())


def show_model(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As in `models list`.")],
    *,
    level: Annotated[
        str | None,
        typer.Option(help="L2A or L1C; the first that the model takes if not given."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the card of a model: bands, classes, licence, options."""
    card = dataclasses.asdict(_card(name, (level,) if level else ("L2A", "L1C")))
    card["classes"] = [code.name.lower() for code in card["classes"]]
    if as_json:
        show.as_json(card)
    else:
        show.table([{"key": key, "value": _words(value)} for key, value in card.items()])


def _card(name: str, levels: tuple[str, ...]) -> ModelCard:
    """Return the card for the first level that the model takes, given every band there is."""
    from pipeline.models import resolve
    from pipeline.sensors import ROLES

    *others, last = levels
    for level in others:
        with contextlib.suppress(ModelError):
            return resolve(name, level=level, roles=ROLES)
    return resolve(name, level=last, roles=ROLES)


def _words(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_words(each)}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_words(each) for each in value)
    return str(value)
