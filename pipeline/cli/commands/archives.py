"""Commands on a store: query it, explain a pixel, measure its accuracy, write a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli import show
from pipeline.cli.given import keep_apart, read_area, read_lonlat, read_store, read_when
from pipeline.cli.material import masks_of, measure, open_store, stored_masks_of, write_report
from pipeline.errors import ConfigError
from pipeline.wording import counted

if TYPE_CHECKING:
    from pipeline.evaluate import Accuracy
    from pipeline.run.why import Why
    from pipeline.types import Series

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
    screened: Annotated[
        bool,
        typer.Option(
            "--screened", help="Also what evidence from time puts aside; reads the rasters."
        ),
    ] = False,
    composite: Annotated[
        str | None,
        typer.Option(help="With --screened: as which composite; not needed if there is one."),
    ] = None,
    as_of: AsOf = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write the masks as well, as `export --masks`.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")] = False,
) -> None:
    """Show how clear an area was, scene by scene, and for which dates the archive has no information.

    Exits with status 8 if no run ever searched or masked the area on any of the dates.
    """
    from pipeline.query import clear_sky, require_archived, to_dict

    if as_json and as_csv:
        raise ConfigError("--json and --csv: expected one of them")
    if composite is not None and not screened:
        raise ConfigError("--composite: expected with --screened only")
    if out is not None:
        keep_apart("--out", out, read_store(store, "STORE"), [aoi])
    area, period = read_area(aoi), read_when(when)
    archive = open_store(store, as_of)
    series = clear_sky(stored_masks_of(archive, sensor), area, period)
    if screened:
        from pipeline.run.why import screened as judged

        series = judged(archive, series, area, composite)
    if as_json:
        show.as_json(to_dict(series))
    else:
        show_series(series, as_csv=as_csv)
    require_archived(series)
    if out is not None:
        from pipeline.query import export, select_masks

        export(select_masks(masks_of(archive, sensor), area, period), out, overwrite=overwrite)
        show.note(f"masks: {out}")


def show_series(series: Series, *, as_csv: bool) -> None:
    """Print a series as a table, or as CSV with the summary on stderr."""
    from pipeline.query import in_words, to_rows

    rows = to_rows(series)
    if as_csv:
        show.as_csv(rows)
    else:
        show.table(rows, title="pixels of the area, per cent by class")
    for line in in_words(series):
        show.say(line, err=as_csv)


def why(
    store: StoreUrl,
    *,
    lonlat: Annotated[str, typer.Option(help="Longitude,latitude in degrees.")],
    when: Annotated[
        str | None,
        typer.Option(
            "--period", help="A date of the period: 2023-06-15, 2023-06 or 2023; UTC."
        ),
    ] = None,
    composite: Annotated[
        str | None, typer.Option(help="Name of the composite; not needed if there is one.")
    ] = None,
    as_of: AsOf = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show every observation of a composite's pixel, and why it was or was not taken.

    The rasters are read again, and the pixel is composed again by the code of runs and compared with the stored one.
    """
    from pipeline.run.why import why as explain

    place = read_lonlat(lonlat)
    period = None if when is None else read_when(when, "--period")
    found = explain(open_store(store, as_of), place, period, composite)
    if as_json:
        show.as_json(found.to_dict())
    else:
        _show_pixel(found)


def _show_pixel(found: Why) -> None:
    y, x = found.pixel
    show.table(
        found.rows(),
        title=f"{found.composite} ({found.method}), {found.period.start:%Y-%m-%d}, pixel y {y}, x {x} in {found.tile}",
    )
    show.table([dict(found.stored)], title="the stored pixel")
    if found.agrees:
        made = counted(len(found.seen), "observation")
        show.say(f"composed again from {made}: equal to the stored pixel")
    for each in found.dropped:
        show.say(f"not used: {each.item_id}: {each.reason}")
    for note in found.notes:
        show.say(note)


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
    """Write a report with pictures: one self-contained HTML file."""
    keep_apart("--out", out, read_store(store, "STORE"))
    archive = open_store(store, as_of)
    accuracy = None if truth is None else measure(archive, truth)
    show.say(f"report: {write_report(archive, out, accuracy=accuracy)}")


def show_accuracy(accuracy: Accuracy) -> None:
    """Print the accuracy of masks and of composites as tables."""
    show.table(accuracy.rows(), title="masks against the truth")
    show.table(accuracy.composite_rows(), title="composites against the truth")
