"""Published states of a store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import icechunk


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One published state of a store."""

    id: str
    time: datetime
    """When it was written, UTC."""
    message: str


def published(repository: icechunk.Repository, tip: str) -> Iterator[Snapshot]:
    """Yield what readers could see, latest first, without the steps between."""
    for each in repository.ancestry(snapshot_id=tip):
        if each.metadata.get("published"):
            yield Snapshot(id=each.id, time=each.written_at, message=each.message)


def shown_as(repository: icechunk.Repository, tip: str) -> dict[str, str]:
    """Return, of every step of a run up to a state, the published state that it became part of."""
    found: dict[str, str] = {}
    newest = ""
    for each in repository.ancestry(snapshot_id=tip):
        if each.metadata.get("published"):
            newest = each.id
        elif newest:
            found[each.id] = newest
    return found
