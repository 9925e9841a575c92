"""What a run shows in Prefect: artifacts with progress, tables, a picture and the record, and an event.

All of it only shows what is in the store, so that a failure here does not end the run.
"""

from __future__ import annotations

import base64
import html
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from prefect import get_run_logger
from prefect.artifacts import (
    create_image_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.events import emit_event

from flows.embedded import watcher
from flows.retries import best_effort
from pipeline import report, run, store
from pipeline.shown import printable, shown
from pipeline.types import Job, Record, TileReceipt
from pipeline.wording import counted

PUBLISHED = "cloudmask.region.published"
"""Name of the event: a region has been published."""

ROWS = 1000
"""Most rows of a table."""


class FlowProgress:
    """Reports a run to Prefect, as lines of its log and a bar of tiles, and to the progress of `watcher`."""

    def __init__(self, name: str) -> None:
        self._key = f"{key_of(name)}-progress"
        self._watcher = watcher()
        self._total = self._done = 0
        self._bar: UUID | None = None

    def start(self, stage: str, total: int) -> None:
        """See `pipeline.run.Progress`."""
        self._watcher.start(stage, total)
        get_run_logger().info("%s: %d to do", stage, total)
        # A request to the server for each cell would be too many.
        if stage != run.TILES:
            return
        self._total = total
        with best_effort("no bar"):
            bar = create_progress_artifact(0.0, key=self._key, description=stage)
            # Its type also covers callers within asyncio, which get a coroutine.
            assert isinstance(bar, UUID)
            self._bar = bar

    def advance(self, stage: str, n: int = 1) -> None:
        """See `pipeline.run.Progress`."""
        self._watcher.advance(stage, n)
        if self._bar is None or stage != run.TILES or not self._total:
            return
        self._done += n
        share = 100.0 * self._done / self._total
        with best_effort("the bar stays where it is"):
            update_progress_artifact(
                self._bar, share, description=f"{self._done} of {self._total} {stage}"
            )

    def message(self, text: str) -> None:
        """See `pipeline.run.Progress`; `watched` passes warnings of the log on."""
        get_run_logger().warning(text)


def emit_published(job: Job, record: Record, flow: str) -> None:
    """Emit the event for automations, if anything was published."""
    if record.snapshot is None:
        return
    with best_effort("no event"):
        emit_event(
            PUBLISHED,
            resource={
                "prefect.resource.id": f"cloudmask.region.{job.name}",
                "prefect.resource.name": job.name,
                "cloudmask.flow": flow,
                "cloudmask.store": job.store,
            },
            payload={
                "snapshot": record.snapshot,
                "run": record.run_id,
                "expected": record.expected,
                "complete": record.complete,
                "masked": sum(_statuses(each)["masked"] for each in record.tiles),
                "periods": sorted({each for tile in record.tiles for each in tile.composites}),
                "dropped": len(record.dropped),
            },
        )


def show_record(plan: run.Plan, record: Record) -> None:
    """Make artifacts: the record, tables of tiles and dropped items, a picture of the latest composite."""
    key = key_of(plan.job.name)
    with best_effort("not everything is shown", patient=True):
        create_markdown_artifact(key=f"{key}-record", markdown=_markdown(record))
        show_table(f"{key}-tiles", [_tile(each) for each in record.tiles], "What was done")
        if record.dropped:
            dropped = [
                {"item": each.item_id, "tile": each.tile or "", "reason": each.reason}
                for each in record.dropped
            ]
            show_table(f"{key}-dropped", dropped, "What was dropped, and why")
        _show_latest(plan, key)


def show_table(key: str, rows: Sequence[dict[str, Any]], title: str) -> None:
    """Make an artifact of a table; of a long one, of its first rows."""
    more = f"; {len(rows) - ROWS} more in `cloudmask runs --json`" if len(rows) > ROWS else ""
    create_table_artifact(key=key, table=list(rows[:ROWS]), description=title + more)


def key_of(name: str) -> str:
    """Make an artifact key of a name: lower case letters, digits and dashes."""
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())


def _show_latest(plan: run.Plan, key: str) -> None:
    settings = plan.job.composite
    if settings is None or not plan.periods:
        return
    start = plan.periods[-1].start
    composed = store.open_archive(plan.job.store).composite(settings.name)
    latest = composed.sel(time=start.replace(tzinfo=None))
    if not {"red", "green", "blue"} <= set(latest.data_vars):
        return
    png = base64.b64encode(report.rgb_png(latest)).decode()
    create_image_artifact(
        key=f"{key}-composite",
        image_url=f"data:image/png;base64,{png}",
        description=f"{settings.name} composite of {start:%Y-%m-%d}",
    )


def _statuses(receipt: TileReceipt) -> Counter[str]:
    return Counter(cell.status for cell in receipt.cells)


def _tile(receipt: TileReceipt) -> dict[str, Any]:
    statuses = _statuses(receipt)
    costs = receipt.stages.values()
    return {
        "tile": receipt.tile,
        "masked": statuses["masked"],
        "unchanged": statuses["unchanged"],
        "unreadable": statuses["unreadable"],
        "composed": ", ".join(receipt.composites),
        "dropped": len(receipt.dropped),
        "bytes read": sum(each.bytes_read for each in costs),
        "CPU seconds": round(sum(each.cpu_seconds for each in costs), 1),
    }


def _markdown(record: Record) -> str:
    """Summarise a record: what was made, what it cost, what was dropped."""
    lines = [
        f"# {record.job}, run {record.run_id}",
        f"- {record.complete} of {counted(record.expected, 'cell')} (scene × tile) complete",
        f"- published: {record.snapshot or 'nothing, nothing had changed'}",
        *(
            f"- {sensor} masked by {model['name']} {model['version']}"
            for sensor, model in record.models.items()
        ),
        "",
        "| stage | seconds | CPU seconds | GPU seconds | bytes decoded | downloaded | requests |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {name} | {cost.seconds:.1f} | {cost.cpu_seconds:.1f} | {cost.device_seconds:.1f} "
            f"| {cost.bytes_read} | {_counted(cost.bytes_fetched)} | {_counted(cost.requests)} |"
            for name, cost in record.stages.items()
        ),
        "",
        f"## Dropped ({len(record.dropped)})",
        *(
            f"- {_words(each.item_id)} {each.tile or ''}: {_words(each.reason)}"
            for each in record.dropped[:ROWS]
        ),
    ]
    return "\n".join(lines)


def _words(text: str) -> str:
    """Escape a text that comes from a catalogue, so that Markdown shows it as plain words."""
    plain = html.escape(printable(shown(text), lines=False), quote=False)
    # Underscores inside of words, as ids have them, mean nothing.
    return re.sub(r"([\\`*\[\]|~])", r"\\\1", plain)


def _counted(number: int | None) -> str:
    """Write a number; a dash if it could not be counted."""
    return "–" if number is None else str(number)
