"""The record, the series and the accuracy as rows of words, for the page."""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pipeline.types import CLOUD, LEGEND, USABLE, Code, SceneShares, Series

Plain = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One part of a bar."""

    kind: str
    """Class of the style sheet."""
    label: str
    percent: float
    left: float
    """Where it begins, in percent."""


SHARES: tuple[tuple[str, str, tuple[Code, ...]], ...] = (
    ("clear", "clear", USABLE),
    ("thin", "thin cloud", (Code.THIN_CLOUD,)),
    ("thick", "thick cloud", (Code.THICK_CLOUD,)),
    ("shadow", "cloud shadow", (Code.CLOUD_SHADOW,)),
    ("nodata", "no data", (Code.NO_DATA,)),
)
"""Parts of the bar of a scene; what was never read counts as no data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One scene of the clear-sky chart."""

    label: str
    clear: float
    shares: tuple[Share, ...]


def bars(series: Series) -> list[Bar]:
    """Return the scenes of a series as bars."""
    return [_bar(scene) for scene in series.scenes if scene.pixels]


def _bar(scene: SceneShares) -> Bar:
    shares, left = [], 0.0
    # A store may keep unread pixels apart from the class counts or among them: the rest is the rest.
    for kind, label, codes in SHARES:
        percent = 100.0 - left if kind == "nodata" else scene.percent(*codes)
        shares.append(Share(kind=kind, label=label, percent=percent, left=left))
        left += percent
    name = scene.platform or scene.sensor
    return Bar(
        label=f"{scene.time:%Y-%m-%d} {name}",
        clear=scene.percent(*USABLE),
        shares=tuple(share for share in shares if share.percent > 0.005),
    )


def mean_clear(series: Series) -> float | None:
    """Return the mean share of clear ground over the scenes, in percent of what they cover."""
    seen = [
        (scene.percent(*USABLE), scene.percent(*USABLE, *CLOUD, Code.CLOUD_SHADOW))
        for scene in series.scenes
        if scene.pixels
    ]
    shares = [100 * clear / covered for clear, covered in seen if covered]
    return sum(shares) / len(shares) if shares else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRow:
    """One item of the search."""

    item_id: str
    cells: int
    """Cells (scene × tile) that it was used in, in this run or before."""
    radiometry: str
    dropped: tuple[str, ...]
    """Reasons, with the tile where it is not everywhere."""


def item_rows(record: Plain) -> list[ItemRow]:
    """Return every item that was found or dropped, in the order of the search."""
    used: dict[str, int] = defaultdict(int)
    reasons: dict[str, list[str]] = defaultdict(list)
    for tile in record["tiles"]:
        for cell in tile["cells"]:
            for item_id in cell["items"]:
                used[item_id] += cell["status"] in ("masked", "unchanged")
    for drop in [
        *record["dropped"],
        *(drop for tile in record["tiles"] for drop in tile["dropped"]),
    ]:
        where = f" (tile {drop['tile']})" if drop["tile"] else ""
        if drop["reason"] + where not in reasons[drop["item_id"]]:
            reasons[drop["item_id"]].append(drop["reason"] + where)
    order = dict.fromkeys([*record["items"], *reasons])
    return [
        ItemRow(
            item_id=item_id,
            cells=used[item_id],
            radiometry=record["radiometry"].get(item_id, ""),
            dropped=tuple(reasons[item_id]),
        )
        for item_id in order
    ]


def cell_counts(record: Plain) -> dict[str, int]:
    """Return how many cells ended in which way."""
    counts: dict[str, int] = defaultdict(int)
    for tile in record["tiles"]:
        for cell in tile["cells"]:
            counts[cell["status"]] += 1
    return dict(counts)


def legend(counts: Mapping[int, int]) -> list[tuple[str, str, float]]:
    """Return (colour, label, percent) of the classes that occur, given the pixels of each."""
    total = sum(counts.values())
    return [
        (entry.colour, entry.label, 100 * counts[int(entry.code)] / total)
        for entry in LEGEND
        if counts.get(int(entry.code))
    ]


# -- words -------------------------------------------------------------------------------------


def data_uri(content: bytes) -> str:
    """Put a PNG or JPEG into an address."""
    kind = "png" if content.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def size(number: float) -> str:
    """Write bytes for people: ``1.4 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(number) < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def duration(seconds: float) -> str:
    """Write a time for people: ``2 min 05 s``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def period_name(start: datetime, end: datetime | None) -> str:
    """Name a period: ``May 2024``, ``2024``, or its first and last day."""
    if end is None:
        return f"from {date_name(start)}"
    first = start.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    if start == first and end == _month_after(first):
        return f"{start:%B %Y}"
    if start == first.replace(month=1) and end == start.replace(year=start.year + 1):
        return f"{start:%Y}"
    return f"{date_name(start)} – {date_name(end - timedelta(microseconds=1))}"


def date_name(moment: datetime) -> str:
    """Write a date for people: ``3 May 2024``."""
    return f"{moment.day} {moment:%B %Y}"


def _month_after(first: datetime) -> datetime:
    return (first + timedelta(days=32)).replace(day=1)


def number(value: object, digits: int = 3) -> str:
    """Write a measure; a dash where there is none."""
    return f"{value:.{digits}f}" if isinstance(value, int | float) else "–"


def summaries(rows: Sequence[Plain]) -> tuple[list[Plain], list[Plain]]:
    """Split the rows of an accuracy after the median: summaries, and single scenes."""
    for i, row in enumerate(rows):
        if "skipped" in row:
            return list(rows[: i + 1]), list(rows[i + 1 :])
    return list(rows), []
