"""The command that serves archives over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli import show

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from pipeline.store import Archive
    from pipeline.types import Series
    from pipeline.types.series import WorkBounds


def serve(
    stores: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ID=STORE...",
            help="Archives, each under an id: demo=./demo/store alps=s3://bucket/alps.",
            show_default=False,
        ),
    ] = None,
    *,
    archives: Annotated[
        Path | None, typer.Option(metavar="FILE", help="YAML of ids and stores.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes.")] = 1,
) -> None:
    """Serve archives: an API, map tiles, a STAC API and a web map.

    Bounds of requests, an API key and more are settings: CLOUDMASK_SERVE__MAX_AREA_KM2=5000 and so on.
    """
    from pipeline.config import read_archives, read_settings
    from pipeline.serve import Served, serve
    from pipeline.store import open_archive

    served = Served(
        archives=read_archives(stores or [], archives),
        settings=read_settings().serve,
        judge=_judged,
        prepare=_prepared,
    )
    # Opening an archive starts threads.
    served.set_up()
    for url in served.archives.values():
        open_archive(url)
    shown = f"[{host}]" if ":" in host else host
    show.say(f"{', '.join(served.archives)}: http://{shown}:{port}/ (the API: /api.html)")
    serve(served, host=host, port=port, workers=workers)


def _judged(
    archive: Archive,
    series: Series,
    aoi: BaseGeometry | None,
    name: str | None,
    bounds: WorkBounds,
) -> Series:
    """Judge a series as runs do; imported when first asked, since networks come along."""
    from pipeline.run.why import screened

    return screened(archive, series, aoi, name, bounds)


def _prepared() -> None:
    """Let threads share one heap, as those of runs do: scenes are judged in threads that come and go."""
    from pipeline.models import prepare_process

    prepare_process()
