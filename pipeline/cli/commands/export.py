"""The command that writes composites and masks of an area to a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli import show
from pipeline.cli.commands.archives import AsOf, StoreUrl
from pipeline.cli.given import keep_apart, read_area, read_store, read_when
from pipeline.cli.material import masks_of, open_store
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    import xarray as xr
    from shapely.geometry.base import BaseGeometry

    from pipeline.store import Archive


def export(
    store: StoreUrl,
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT", help="File to write: .tif, .nc, .zarr or .png.", show_default=False
        ),
    ],
    *,
    composite: Annotated[
        str | None, typer.Option(metavar="NAME", help="Export this composite, e.g. monthly.")
    ] = None,
    masks: Annotated[bool, typer.Option("--masks", help="Export the masks.")] = False,
    when: Annotated[
        str | None,
        typer.Option(
            "--datetime",
            "--period",
            help="Scenes, or periods that begin, in 2023-06-01/2023-08-31, 2023-06 or 2023; UTC.",
        ),
    ] = None,
    aoi: Annotated[
        str | None,
        typer.Option(
            help='"west,south,east,north", WKT, GeoJSON, or the path of a vector file; all that runs searched if not given.'
        ),
    ] = None,
    bands: Annotated[
        str | None,
        typer.Option(help="Of the composite, e.g. red,green,blue; its roles if not given."),
    ] = None,
    sensor: Annotated[
        list[str] | None, typer.Option(help="Of the masks, only this; may be repeated.")
    ] = None,
    as_of: AsOf = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")] = False,
) -> None:
    """Write a composite, or masks, of an area to a file that GDAL, QGIS and xarray read."""
    from pipeline.query import export, select_composite, select_masks

    keep_apart("OUT", out, read_store(store, "STORE"), [aoi] if aoi else [])
    archive = open_store(store, as_of)
    area = _known_area(archive) if aoi is None else read_area(aoi)
    period = None if when is None else read_when(when)
    if masks:
        _refuse(composite=composite, bands=bands)
        selected = select_masks(masks_of(archive, sensor), area, period)
    else:
        _refuse(sensor=sensor)
        made = _composite(archive, composite)
        wanted = bands.split(",") if bands else list(made.attrs["roles"])
        selected = select_composite(made, area, period, wanted)
    show.say(f"written: {export(selected, out, overwrite=overwrite)}")


def _known_area(archive: Archive) -> BaseGeometry | None:
    """Return the box around all that runs searched: the grid's tiles reach beyond it; none: nobody knows."""
    import shapely

    areas = [each.area for each in archive.searched()]
    return shapely.box(*shapely.total_bounds(areas)) if areas else None


def _refuse(**given: object) -> None:
    """Refuse options that do not apply to the chosen export."""
    if wrong := [f"--{name}" for name, value in given.items() if value]:
        raise ConfigError(
            f"{', '.join(wrong)}: --masks takes --sensor, --composite takes --bands; leave one out"
        )


def _composite(archive: Archive, name: str | None) -> xr.Dataset:
    if name in archive.composite_names:
        return archive.composite(name)
    found = "nothing" if name is None else repr(name)
    there = " | ".join(archive.composite_names) or "none is in the store; --masks exports masks"
    raise ConfigError(f"--composite: found {found}, expected {there}")
