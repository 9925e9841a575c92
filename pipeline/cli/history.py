"""Commands on a store's past: what was published, what its runs did, going back, forgetting."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from pipeline.cli import show
from pipeline.cli.archives import StoreUrl
from pipeline.cli.given import read_store
from pipeline.cli.material import open_store
from pipeline.errors import ConfigError

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_AGE = re.compile(r"(\d+)([dhw])")
_UNITS = {"d": "days", "h": "hours", "w": "weeks"}


def log(store: StoreUrl, *, as_json: AsJson = False) -> None:
    """List what was published, newest first; any of it can be read by --as-of."""
    rows = [
        {"snapshot": each.id, "published": show.instant(each.time), "what": each.message}
        for each in open_store(store).log()
    ]
    show.as_json(rows) if as_json else show.table(rows)


def runs(store: StoreUrl, *, as_json: AsJson = False) -> None:
    """List the runs that published: what they expected, used and dropped, and what it cost."""
    records = open_store(store).records()
    if as_json:
        show.as_json(records)
    else:
        show.table([_row(each) for each in reversed(records)])


def rollback(
    store: StoreUrl,
    snapshot: Annotated[
        str, typer.Argument(help="Id, or its beginning, of a state that `cloudmask log` lists.")
    ],
) -> None:
    """Show readers an earlier state; the one they saw stays under a tag until `expire`."""
    from pipeline.store import roll_back

    now = roll_back(read_store(store, "STORE"), snapshot)
    typer.echo(f"readers see {now.id} of {show.instant(now.time)}: {now.message}")


def expire(
    store: StoreUrl,
    *,
    older_than: Annotated[
        str, typer.Option(help="Age (30d, 12h, 4w) or instant in ISO 8601, UTC.")
    ] = "30d",
) -> None:
    """Forget states published before an instant, and delete what nothing points at any more.

    The newest state stays, whatever its age.
    """
    from pipeline import store as stores

    gone = stores.expire(read_store(store, "STORE"), _before(older_than))
    typer.echo(
        f"{gone.snapshots} snapshots forgotten, {gone.chunks} chunks deleted, "
        f"{show.size(gone.bytes)} freed"
    )


def _before(text: str) -> datetime:
    age = _AGE.fullmatch(text)
    if age:
        return datetime.now(UTC) - timedelta(**{_UNITS[age[2]]: int(age[1])})
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"--older-than: found {text!r}, expected an age (30d, 12h, 4w) or an instant in ISO 8601"
        ) from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _row(record: Mapping[str, Any]) -> dict[str, Any]:
    stages = record["stages"].values()
    started, finished = (datetime.fromisoformat(record[key]) for key in ("started", "finished"))
    return {
        "run": record["run_id"],
        "started": show.instant(started),
        "took": show.seconds((finished - started).total_seconds()),
        "cells": f"{record['complete']}/{record['expected']}",
        "items": len(record["items"]),
        "dropped": len(record["dropped"]),
        "read": show.size(sum(each["bytes_read"] for each in stages)),
        "CPU": show.seconds(sum(each["cpu_seconds"] for each in stages)),
        "snapshot": record["snapshot"],
    }
