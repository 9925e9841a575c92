"""Commands on a store's history: its snapshots and runs, rollback and expiry."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli import show
from pipeline.cli.commands.archives import StoreUrl
from pipeline.cli.given import read_store
from pipeline.cli.material import open_store
from pipeline.cli.profile import show_profile
from pipeline.errors import ConfigError, QueryError
from pipeline.wording import counted

if TYPE_CHECKING:
    from pipeline.store import Archive, Snapshot

Record = Mapping[str, Any]
"""A record as stored; older ones lack newer fields."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_AGE = re.compile(r"(\d+)([dhw])")
_UNITS = {"d": "days", "h": "hours", "w": "weeks"}


def log(store: StoreUrl, *, as_json: AsJson = False) -> None:
    """List the published snapshots, newest first; --as-of reads any of them."""
    rows = [_snapshot(each) for each in open_store(store).log()]
    if as_json:
        show.as_json(rows)
    elif rows:
        show.table(rows)
    else:
        show.say("nothing was published yet")


def _snapshot(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "snapshot": snapshot.id,
        "published": show.instant(snapshot.time),
        "what": snapshot.message,
    }


def runs(
    store: StoreUrl,
    *,
    run: Annotated[
        str | None, typer.Option(help="Id of a run: its cost and its manifest in full.")
    ] = None,
    profile: Annotated[
        bool, typer.Option(help="Where its time went; or the newest's.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the runs, newest first: items expected, used and dropped, and costs.

    With --json also the manifest: the same for every tile and period.
    """
    archive = open_store(store)
    records = all_records(archive)
    if run is not None:
        records = [_chosen(records, run, archive.url)]
    if profile and records:
        show_profile(records[0], as_json=as_json)
    elif as_json:
        show.as_json([_in_full(each) for each in records])
    elif run is not None:
        _show_run(records[0])
    elif records:
        failed = any(each.get("failure") for each in records)
        why = [{"why": each.get("failure") or ""} if failed else {} for each in records]
        show.table([_row(each) | more for each, more in zip(records, why, strict=True)])
    else:
        show.say("no run of this store has published or failed yet")


def rollback(
    store: StoreUrl,
    snapshot: Annotated[
        str, typer.Argument(help="Id, or its beginning, of a state that `cloudmask log` lists.")
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Make an earlier snapshot current; a tag keeps the one before until `expire`."""
    from pipeline.store import roll_back

    now = roll_back(read_store(store, "STORE"), snapshot)
    if as_json:
        show.as_json(_snapshot(now))
        return
    show.say(f"readers see {now.id} of {show.instant(now.time)}: {now.message}")


def expire(
    store: StoreUrl,
    *,
    older_than: Annotated[
        str, typer.Option(help="Age (30d, 12h, 4w) or instant in ISO 8601, UTC.")
    ] = "30d",
    as_json: AsJson = False,
) -> None:
    """Remove snapshots published before an instant, and delete data that no snapshot uses any more.

    The newest snapshot always stays.
    """
    from pipeline import store as stores

    gone = stores.expire(read_store(store, "STORE"), _before(older_than))
    if as_json:
        show.as_json(dataclasses.asdict(gone))
        return
    show.say(
        f"{counted(gone.snapshots, 'snapshot')} forgotten, {counted(gone.chunks, 'chunk')} deleted, "
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


# -- records -----------------------------------------------------------------------------------


def all_records(archive: Archive) -> list[Record]:
    """Return the records of all runs, newest first, each with the snapshot that `log` lists.

    A record is part of the snapshot that its run publishes, so it cannot contain that snapshot's id, only the one
    before it. If `expire` has removed the snapshot, the record has none.
    """
    from pipeline.store.versions.failed_runs import failed_records

    shown = {each.message: each.id for each in archive.log()}
    published = [
        {**each, "snapshot": shown.get(f"run {each['run_id']}")} for each in archive.records()
    ]
    return sorted(
        [*published, *failed_records(archive.url)],
        key=lambda each: str(each["started"]),
        reverse=True,
    )


def _chosen(records: Sequence[Record], run: str, url: str) -> Record:
    for each in records:
        if each["run_id"] == run:
            return each
    raise QueryError(f"--run: {url} has no run {run!r}: `cloudmask runs` lists them")


def _in_full(record: Record) -> dict[str, Any]:
    from pipeline.types.manifest import manifest_rows

    return {**record, "outcome": _outcome(record), "manifest": manifest_rows(record)}


def _outcome(record: Record) -> str:
    # Runs that changed nothing have no record.
    return "failed" if record.get("failure") else "published"


def _row(record: Record) -> dict[str, Any]:
    started, finished = (datetime.fromisoformat(record[key]) for key in ("started", "finished"))
    bill = record.get("bill")
    return {
        "run": record["run_id"],
        "started": show.instant(started),
        "outcome": _outcome(record),
        "took": show.seconds((finished - started).total_seconds()),
        "cells": f"{record['complete']}/{record['expected']}",
        "items": len(record["items"]),
        "dropped": len(record["dropped"]),
        **_quantities(_total(record)),
        "km²": record.get("area_km2"),
        "cost": None if bill is None else show.money(bill["total"], bill["currency"]),
        "snapshot": record["snapshot"],
    }


def _quantities(cost: Mapping[str, float | None]) -> dict[str, str]:
    return {
        "CPU": show.seconds(cost["cpu_seconds"]),
        "GPU": show.seconds(cost["device_seconds"]),
        "read": show.size(cost["bytes_read"]),
        "downloaded": show.size(cost["bytes_fetched"]),
        "requests": show.count(cost["requests"]),
    }


_COSTS = ("seconds", "cpu_seconds", "device_seconds", "bytes_read", "bytes_fetched", "requests")


def _total(record: Record) -> dict[str, float | None]:
    """Sum the stages; None if a stage did not count the quantity."""
    stages = record["stages"].values()
    found = {name: [each.get(name) for each in stages] for name in _COSTS}
    return {name: None if None in values else sum(values) for name, values in found.items()}


# -- one run -----------------------------------------------------------------------------------


def _show_run(record: Record) -> None:
    """Print a run in full, except for its cells."""
    from pipeline.types.manifest import manifest_rows, screened_rows, unfit_rows

    show.table([_row(record)])
    if record.get("failure"):
        show.say(f"failed: {record['failure']}")
    show.table(
        [
            {"stage": name, "took": show.seconds(cost["seconds"]), **_quantities(_known(cost))}
            for name, cost in record["stages"].items()
        ],
        title="cost",
    )
    show.lines(_per_area(record))
    show.table(
        [
            {"item": each["item_id"], "why": each["reason"]}
            for each in record["dropped"]
            if each.get("tile") is None
        ],
        title="left out before a pixel was read",
    )
    show.table(unfit_rows(record), title="pixels of numbers that are no reflectance")
    show.table(screened_rows(record), title="pixels put aside by evidence from time")
    show.table(
        [dict(each) for each in record.get("doubtful", ())],
        title="scenes with more shadow than their clouds can throw",
    )
    rows = manifest_rows(record)
    if not rows:
        show.say("no manifest: an older version of cloudmask made this run")
        return
    show.table([_tile_row(row) for row in rows], title="manifest")
    show.table(
        [
            {"tile": row["tile"], "period": row["period"], "item": name, "why": reason}
            for row in rows
            for name, reason in row["dropped"].items()
        ],
        title="dropped",
    )


def _known(cost: Mapping[str, float | None]) -> dict[str, float | None]:
    return {name: cost.get(name) for name in _COSTS}


def _tile_row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "tile": row["tile"],
        "period": row["period"],
        "cells": f"{row['complete']}/{row['cells']}",
        "unreadable": row["unreadable"],
        "items expected": len(row["expected"]),
        "used": len(row["used"]),
        "dropped": len(row["dropped"]),
    }


def _per_area(record: Record) -> list[str]:
    """Describe the cost of 1000 km² of ground, and of ground times scenes."""
    cost, bill = _total(record), record.get("bill")
    lines = []
    for kind, words in (("km2", "of ground"), ("scene_km2", "of one scene")):
        area = record.get("area_km2" if kind == "km2" else kind)
        if not area:
            continue
        scaled = {name: _times(each, 1000 / area) for name, each in cost.items()}
        parts = [f"{name} {text}" for name, text in _quantities(scaled).items()]
        if bill is not None:
            parts.append(show.money(bill[f"per_1000_{kind}"], bill["currency"]))
        lines.append(f"1000 km² {words}: {', '.join(parts)}")
    if bill is not None and bill["stored_a_month"] is not None:
        lines.append(f"kept: {show.money(bill['stored_a_month'], bill['currency'])} a month")
    return lines


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
