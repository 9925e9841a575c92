"""Items that the pixel's period lacks, and why."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.run.why.asked import Asked
from pipeline.run.why.looked import Looked
from pipeline.types import Dropped, Period


def not_used(asked: Asked, looked: Looked) -> Iterator[Dropped]:
    """Yield the items of the period that runs expected in this tile and did not use, by the latest run."""
    found: dict[str, str] = {}
    for record in asked.archive.records():
        reasons = {each["item_id"]: each["reason"] for each in record.get("dropped", ())}
        ids = [*record.get("items", ()), *record.get("missed", ())]
        for row in record.get("manifest", ()):
            if row["tile"] == asked.tile.name and _meets(asked.period, row["period"]):
                lost = {ids[p] for p in row.get("dropped", ())}
                for each in (ids[p] for p in row["expected"]):
                    if each in lost:
                        found[each] = reasons.get(each, "no reason is recorded")
                    else:
                        found.pop(each, None)
    for item_id, reason in found.items():
        yield Dropped(item_id=item_id, reason=reason, tile=asked.tile.name)
    for each in looked.dropped:
        yield Dropped(item_id=each.item_id, reason=f"cannot be read now: {each.reason}")


def _meets(period: Period, days: str) -> bool:
    first, after = days.split("/")
    return f"{period.start:%Y-%m-%d}" < after and first < f"{period.end:%Y-%m-%d}"
