"""Commands on a store: ask it, measure it against the truth, show it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli import show
from pipeline.errors import ConfigError, QueryError

if TYPE_CHECKING:
    import xarray as xr
    from shapely.geometry.base import BaseGeometry

    from pipeline.evaluate import Accuracy
    from pipeline.store import Archive
    from pipeline.types import Period, Record

StoreUrl = Annotated[
    str, typer.Argument(metavar="STORE", help="Path or URL of a store.", show_default=False)
]
AsOf = Annotated[
    str | None, typer.Option(help="Snapshot id or instant: the store as it was then.")
]
Truth = Annotated[
    Path,
    typer.Option(help="The truth of a simulated archive (truth.zarr).", show_default=False),
]


def query(
    store: StoreUrl,
    *,
    aoi: Annotated[
        str,
        typer.Option(
            help='"west,south,east,north", WKT, GeoJSON, or the path of a vector file.'
        ),
    ],
    when: Annotated[
        str, typer.Option("--datetime", help="2023-06-01/2023-08-31, 2023-06 or 2023; UTC.")
    ],
    sensor: Annotated[
        list[str] | None, typer.Option(help="Only this one; may be repeated.")
    ] = None,
    as_of: AsOf = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write the masks as well: .zarr, .nc or .tif.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")] = False,
) -> None:
    """Say how clear an area was, scene by scene; write its masks."""
    from pipeline.query import clear_sky, export, select_masks, to_rows

    if as_json and as_csv:
        raise ConfigError("--json and --csv: expected one of them")
    area, period = _read_area(aoi), _read_when(when)
    masks = _masks(_open(store, as_of), sensor)
    rows = to_rows(clear_sky(masks, area, period))
    if out is not None:
        export(select_masks(masks, area, period), out, overwrite=overwrite)
        typer.echo(f"masks: {out}", err=True)
    if as_json:
        show.as_json(rows)
    elif as_csv:
        show.as_csv(rows)
    elif rows:
        show.table(rows, title="pixels of the area, per cent by class")
    else:
        typer.echo(f"no scene of {period} touches the area")


def evaluate(
    store: StoreUrl,
    *,
    truth: Truth,
    as_of: AsOf = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print every number.")] = False,
) -> None:
    """Measure masks and composites against the truth of a simulated archive."""
    accuracy = measure(store, truth, as_of)
    if as_json:
        show.as_json(accuracy.to_dict())
    else:
        show.table(accuracy.rows(), title="against the truth")


def report(
    store: StoreUrl,
    *,
    out: Annotated[Path, typer.Option(help="HTML file to write.")] = Path("report.html"),
    truth: Annotated[
        Path | None, typer.Option(help="The truth of a simulated archive (truth.zarr).")
    ] = None,
    as_of: AsOf = None,
) -> None:
    """Write a report with pictures: one HTML file that needs no other."""
    accuracy = None if truth is None else measure(store, truth, as_of)
    path = write_report(store, out, accuracy=accuracy, as_of=as_of)
    typer.echo(f"report: {path}")


def measure(store: str, truth: Path, as_of: str | None = None) -> Accuracy:
    """Compare everything in a store with the truth."""
    from pipeline.evaluate import against_truth

    if not truth.exists():
        raise ConfigError(f"--truth: there is no {truth}")
    archive = _open(store, as_of)
    return against_truth(_masks(archive), _composites(archive), truth)


def write_report(
    store: str,
    path: Path,
    record: Record | None = None,
    *,
    accuracy: Accuracy | None = None,
    as_of: str | None = None,
) -> Path:
    """Gather what a report shows, and write it."""
    from pipeline.report import Material
    from pipeline.report import write_report as write

    archive = _open(store, as_of)
    material = Material(
        title=record.job if record else Path(store).name,
        masks=_masks(archive),
        composites=_composites(archive),
        record=record.to_dict() if record else None,
        accuracy=accuracy,
    )
    return write(path, material)


def _open(store: str, as_of: str | None) -> Archive:
    from pipeline.config import store_url
    from pipeline.store import open_archive

    try:
        url = store_url(store, Path.cwd())
    except ValueError as error:
        raise ConfigError(f"STORE: {error}") from None
    return open_archive(url, as_of=as_of)


def _masks(archive: Archive, wanted: list[str] | None = None) -> Mapping[str, xr.Dataset]:
    if unknown := sorted(set(wanted or ()) - set(archive.sensors)):
        raise QueryError(
            f"--sensor: found {', '.join(unknown)}, expected {' | '.join(archive.sensors)}"
        )
    return {sensor: archive.masks(sensor) for sensor in wanted or archive.sensors}


def _composites(archive: Archive) -> Mapping[str, xr.Dataset]:
    return {name: archive.composite(name) for name in archive.composites}


def _read_area(text: str) -> BaseGeometry:
    from pipeline.config import AOI_FORMS, read_aoi

    try:
        return read_aoi(text, Path.cwd())
    except ValueError as error:
        raise ConfigError(
            f"--aoi: found {text!r:.80}, expected {AOI_FORMS}; but {error}"
        ) from None


def _read_when(text: str) -> Period:
    from pipeline.config import PERIOD_FORMS, read_period

    try:
        return read_period(text)
    except ValueError as error:
        wanted = f"expected {PERIOD_FORMS}; but {error}"
        raise ConfigError(f"--datetime: found {text!r:.80}, {wanted}") from None
