"""The command that publishes a store as a STAC catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli import show
from pipeline.cli.commands.archives import AsOf, StoreUrl
from pipeline.cli.given import read_area, read_when
from pipeline.cli.material import open_store


def stac(
    store: StoreUrl,
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT",
            help="Folder of the catalogue; one that cloudmask wrote before is brought up to date.",
            show_default=False,
        ),
    ],
    *,
    cogs: Annotated[
        bool,
        typer.Option("--cogs", help="Write the pixels as COGs, for GDAL, QGIS and odc-stac."),
    ] = False,
    aoi: Annotated[
        str | None,
        typer.Option(
            help='Only this area: "west,south,east,north", WKT, GeoJSON, or the path of a vector file.'
        ),
    ] = None,
    when: Annotated[
        str | None,
        typer.Option("--datetime", help="Only 2023-06-01/2023-08-31, 2023-06 or 2023; UTC."),
    ] = None,
    as_of: AsOf = None,
) -> None:
    """Write a store as a static STAC catalogue: collections, items, and COGs if wanted."""
    from pipeline.publish import publish

    published = publish(
        open_store(store, as_of),
        out,
        cogs=cogs,
        aoi=None if aoi is None else read_area(aoi),
        period=None if when is None else read_when(when),
        on_item=lambda item: show.note(f"item {item}"),
    )
    show.say(f"catalogue: {published}")
