"""The command that explains one pixel of a composite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli import show
from pipeline.cli.commands.archives import AsOf, StoreUrl
from pipeline.cli.given import read_lonlat, read_when
from pipeline.cli.material import open_store
from pipeline.wording import counted

if TYPE_CHECKING:
    from pipeline.run.why import Why


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
        _show(found)


def _show(found: Why) -> None:
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
