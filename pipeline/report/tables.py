"""The record, the series and the accuracy as rows of the page's tables."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.report.words import days
from pipeline.types import CLOUD, LEGEND, USABLE, Code, SceneShares, Series
from pipeline.types.manifest import manifest_rows

Plain = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One part of a bar."""

    kind: str
    """Class of the style sheet."""
    label: str
    percent: float
    left: float
    """Its start, in percent."""


SHARES: tuple[tuple[str, str, tuple[Code, ...]], ...] = (
    ("clear", "clear", USABLE),
    ("thin", "thin cloud", (Code.THIN_CLOUD,)),
    ("thick", "thick cloud", (Code.THICK_CLOUD,)),
    ("shadow", "cloud shadow", (Code.CLOUD_SHADOW,)),
    ("nodata", "no data", (Code.NO_DATA,)),
)
"""Parts of a scene's bar; pixels that were never read count as no data."""


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
    # Some stores count unread pixels as no data, others not at all: the last part is the remainder to 100 %.
    for kind, label, codes in SHARES:
        percent = 100.0 - left if kind == "nodata" else scene.percent(*codes)
        shares.append(Share(kind=kind, label=label, percent=percent, left=left))
        left += percent
    name = scene.platform or scene.sensor
    return Bar(
        # With the hour, since two passes of one day are two scenes.
        label=f"{scene.time:%Y-%m-%d %H:%M} {name}",
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
    """Cells (scene × tile) that it is used in."""
    radiometry: str
    dropped: tuple[str, ...]
    """Reasons why it was dropped, each with its tile unless it applies to all."""


def item_rows(record: Plain) -> list[ItemRow]:
    """Return every item that was found or dropped, in the order of the search."""
    used = _uses(record)
    reasons: dict[str, list[str]] = defaultdict(list)
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


def _uses(record: Plain) -> Counter[str]:
    """Count the cells of each item: from the manifest, or from the tiles in records without one."""
    rows = manifest_rows(record)
    if rows:
        return Counter(name for row in rows for name in row["used"])
    return Counter(
        item_id
        for tile in record["tiles"]
        for cell in tile["cells"]
        for item_id in cell["items"]
        if cell["status"] in ("masked", "unchanged")
    )


def cell_counts(record: Plain) -> dict[str, int]:
    """Return the number of cells by outcome."""
    return dict(Counter(cell["status"] for tile in record["tiles"] for cell in tile["cells"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodRow:
    """One period of the manifest, over all tiles."""

    period: str
    """Its first and its last day."""
    tiles: int
    cells: int
    complete: int
    expected: int
    """Items."""
    dropped: int
    """Items that are missing in one tile or more."""


def period_rows(manifest: Sequence[Plain]) -> list[PeriodRow]:
    """Add the rows of a manifest up, period by period."""
    rows: dict[str, list[Plain]] = defaultdict(list)
    for row in manifest:
        rows[row["period"]].append(row)
    return [
        PeriodRow(
            period=days(period),
            tiles=len(members),
            cells=sum(row["cells"] for row in members),
            complete=sum(row["complete"] for row in members),
            expected=len({name for row in members for name in row["expected"]}),
            dropped=len({name for row in members for name in row["dropped"]}),
        )
        for period, members in sorted(rows.items())
    ]


def gaps(manifest: Sequence[Plain]) -> list[Plain]:
    """Return the rows of a manifest that lack something."""
    return [row for row in manifest if row["dropped"]]


QUANTITIES = (
    "seconds",
    "cpu_seconds",
    "device_seconds",
    "bytes_read",
    "reads",
    "bytes_fetched",
    "requests",
)
"""The quantities of a cost, as in `pipeline.types.Cost`."""


def cost_rows(record: Plain) -> list[tuple[str, dict[str, float | None]]]:
    """Return the cost of each stage and of all; None for quantities that were not counted."""
    stages = {
        name: {each: cost.get(each) for each in QUANTITIES}
        for name, cost in record["stages"].items()
    }
    total = {each: _sum([cost[each] for cost in stages.values()]) for each in QUANTITIES}
    return [*stages.items(), ("together", total)]


def per_1000_km2(record: Plain) -> list[tuple[str, float, dict[str, float | None]]]:
    """Return (unit, how much of it there was, cost per unit), for 1000 km² of ground, and of ground times scenes."""
    (_, total) = cost_rows(record)[-1]
    areas = {
        "1000 km² of ground": record.get("area_km2"),
        "1000 km² × scenes": record.get("scene_km2"),
    }
    return [
        (name, area, {each: _scaled(total[each], 1000 / area) for each in QUANTITIES})
        for name, area in areas.items()
        if area
    ]


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def legend(counts: Mapping[int, int]) -> list[tuple[str, str, float]]:
    """Return (colour, label, percent) of the classes that occur, given the pixels of each."""
    total = sum(counts.values())
    return [
        (entry.colour, entry.label, 100 * counts[int(entry.code)] / total)
        for entry in LEGEND
        if counts.get(int(entry.code))
    ]


def summaries(rows: Sequence[Plain]) -> tuple[list[Plain], list[Plain]]:
    """Split the rows of an accuracy after the median row: summaries, and single scenes."""
    for i, row in enumerate(rows):
        if "skipped" in row:
            return list(rows[: i + 1]), list(rows[i + 1 :])
    return list(rows), []
