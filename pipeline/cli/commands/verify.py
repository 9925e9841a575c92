"""The command that reads everything in a store, and repairs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli import show
from pipeline.cli.commands.archives import StoreUrl
from pipeline.cli.given import read_store
from pipeline.cli.progress import showing
from pipeline.errors import StoreError
from pipeline.wording import counted

if TYPE_CHECKING:
    from pipeline.store import Verified

SHOWN = 40
"""Rows of the table; --json has all."""


def verify(
    store: StoreUrl,
    *,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Mend what can be mended; mark the rest, so that the next run makes it again.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read everything in a store and list damage, cell by cell."""
    from pipeline import store as stores

    url = read_store(store, "STORE")
    with showing(show.console(stderr=True)) as progress:
        done = 0

        def advance(now: int, total: int) -> None:
            nonlocal done
            if not now:
                progress.start("verify", total)
                done = 0
            progress.advance("verify", now - done)
            done = now

        found = stores.verify(url, mend=repair, progress=advance)
    if as_json:
        show.as_json(_in_full(found))
    else:
        show.table(
            [stores.damage_texts(each) for each in found.damages[:SHOWN]], title="damaged"
        )
        if len(found.damages) > SHOWN:
            show.say(f"and {len(found.damages) - SHOWN} more: --json lists all")
        show.say(_summary(found, store))
    if found.damages and not found.repaired:
        raise StoreError(_advice(found, store))


def _in_full(found: Verified) -> dict[str, Any]:
    from pipeline.store import damage_texts

    return {
        "snapshot": found.snapshot,
        "cells": found.cells,
        "damages": [damage_texts(each) for each in found.damages],
        "earlier": found.earlier or None,
        "repaired": found.repaired or None,
        "cleaned": list(found.cleaned),
    }


def _summary(found: Verified, store: str) -> str:
    parts = [f"{counted(found.cells, 'cell')} read"]
    parts.append(counted(len(found.damages), "damage") if found.damages else "all is whole")
    parts += found.cleaned
    if found.repaired:
        parts.append(
            f"mended as {found.repaired}" if found.damages else f"now {found.repaired}"
        )
        if any(each.mend in ("again", "state") for each in found.damages):
            parts.append("run the job again: it makes again what was taken out")
    return f"{store}: {', '.join(parts)}"


def _advice(found: Verified, store: str) -> str:
    """Return what to do about damage that is not repaired yet."""
    if all(each.mend == "none" for each in found.damages):
        return (
            f"{store}: the current state is whole, but an older one is lost: `cloudmask log`, `cloudmask expire` "
            "and earlier states no longer work; to use them again, run the job into a new store folder"
        )
    if not found.lost:
        return (
            f"{store} is damaged: `cloudmask verify {store} --repair`, then run the job again"
        )
    if found.earlier:
        return (
            f"{store} is damaged, and only an earlier state is whole: `cloudmask verify {store} --repair` "
            f"goes back to {found.earlier}, then run the job again"
        )
    return f"{store} is damaged, and no earlier state is whole: run the job into a new store folder"
