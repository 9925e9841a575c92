"""The command that simulates an archive."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli import show
from pipeline.cli.progress import showing

if TYPE_CHECKING:
    from pipeline.run import Progress


def simulate(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="Folder to make.", show_default=False)
    ],
    *,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the landscape and the weather.")
    ] = None,
    size_px: Annotated[int | None, typer.Option(help="Edge of the landscape.", min=1)] = None,
    workers: Annotated[int, typer.Option(help="Processes.", min=1)] = 2,
) -> None:
    """Make an archive with known truth: rasters, a STAC catalogue, and the ground below the clouds."""
    from pipeline.simulate import ArchiveSettings, make_archive

    usual = ArchiveSettings()
    settings = ArchiveSettings(
        seed=usual.seed if seed is None else seed,
        size_px=usual.size_px if size_px is None else size_px,
    )
    with showing(show.console(stderr=True)) as progress:
        catalogue = make_archive(path, settings, workers=workers, progress=_counted(progress))
    show.say(f"catalogue: {catalogue}")


def _counted(progress: Progress) -> Callable[[str, int, int], None]:
    """Return a callback (stage, steps done, steps in all) that advances the progress."""
    shown: dict[str, int] = {}

    def advance(stage: str, done: int, total: int) -> None:
        if stage not in shown:
            progress.start(stage, total)
        progress.advance(stage, done - shown.get(stage, 0))
        shown[stage] = done

    return advance
