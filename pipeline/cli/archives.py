"""Commands on a store: ask it, measure it against the truth, show it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli import show
from pipeline.cli.given import read_area, read_when
from pipeline.cli.material import masks_of, measure, open_store, write_report
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.evaluate import Accuracy

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
    area, period = read_area(aoi), read_when(when)
    masks = masks_of(open_store(store, as_of), sensor)
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
    accuracy = measure(open_store(store, as_of), truth)
    if as_json:
        show.as_json(accuracy.to_dict())
    else:
        show_accuracy(accuracy)


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
    archive = open_store(store, as_of)
    accuracy = None if truth is None else measure(archive, truth)
    typer.echo(f"report: {write_report(archive, out, accuracy=accuracy)}")


def show_accuracy(accuracy: Accuracy) -> None:
    """Print the accuracy of masks and of composites as tables."""
    show.table(accuracy.rows(), title="masks against the truth")
    show.table(accuracy.composite_rows(), title="composites against the truth")
