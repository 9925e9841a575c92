"""A clear-sky series in the envelope of Sentinel Hub's statistics, with TiTiler's names of fields."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pipeline.composite import cut
from pipeline.serve.routes.describe import written
from pipeline.types import Code, Period, SceneShares, Series, Stretch

Interval = Literal["scene", "month", "season", "year"]
Row = dict[str, Any]

STATES = {
    "no scene": "no scene",
    "partly searched": "not archived",
    "never searched": "not archived",
}
"""What is known of dates without a scene -> what an answer calls it. Partly searched: scenes may be missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a series is to tell."""

    period: Period | None
    sensors: tuple[str, ...]
    classes: tuple[Code, ...]
    """What counts as clear."""
    interval: Interval


def shown(series: Series, wanted: Wanted) -> Row:
    """Return a series as JSON values: rows by time, and a summary."""
    scenes = [each for each in series.scenes if each.is_there]
    rows = (
        _scene_rows(series, scenes, wanted)
        if wanted.interval == "scene"
        else _interval_rows(series, scenes, wanted)
    )
    return {
        "data": sorted(rows, key=lambda row: (row["interval"]["from"], row["sensor"] or "")),
        "summary": _summary(series, wanted),
        **({"notes": list(series.notes)} if series.notes else {}),
    }


def _scene_rows(series: Series, scenes: Iterable[SceneShares], wanted: Wanted) -> Iterator[Row]:
    for each in scenes:
        yield {
            **_row((each.time, each.time), "scene", each.sensor),
            "platform": each.platform,
            **_shares([each], wanted.classes),
        }
    for stretch in series.stretches:
        if stretch.state != "scenes":
            yield _gap(stretch, (stretch.start, stretch.end))


def _interval_rows(
    series: Series, scenes: Sequence[SceneShares], wanted: Wanted
) -> Iterator[Row]:
    """Yield a row for each interval and sensor: pixels of all its scenes together."""
    assert wanted.interval != "scene"
    if series.asked is None:
        return
    sensors = sorted({each.sensor for each in series.stretches})
    for period in cut(series.asked, wanted.interval):
        for sensor in sensors:
            found = [e for e in scenes if e.sensor == sensor and e.time in period]
            span = period.start, period.end
            if found:
                shares = _shares(found, wanted.classes)
                yield {**_row(span, "scene", sensor), "scenes": len(found), **shares}
            else:
                yield _gap(_known(series.stretches, sensor, period), span, sensor)


def _known(stretches: Iterable[Stretch], sensor: str, period: Period) -> Stretch | None:
    """Return what is least known of some dates."""
    found = [
        each
        for each in stretches
        if each.sensor == sensor and each.start < period.end and period.start < each.end
    ]
    return min(found, key=lambda each: (each.state == "no scene", each.searched), default=None)


def _row(span: tuple[datetime, datetime], state: str, sensor: str | None) -> Row:
    start, end = span
    return {
        "interval": {"from": written(start), "to": written(end)},
        "state": state,
        "sensor": sensor,
    }


def _gap(
    stretch: Stretch | None, span: tuple[datetime, datetime], sensor: str | None = None
) -> Row:
    state = "not archived" if stretch is None else STATES.get(stretch.state, "no scene")
    searched = 0.0 if stretch is None else stretch.searched
    name = sensor if stretch is None else stretch.sensor
    return {**_row(span, state, name), "searched_percent": round(100 * searched, 2)}


def _shares(scenes: Sequence[SceneShares], classes: Sequence[Code]) -> Row:
    counts = {code: sum(each.counts.get(code, 0) for each in scenes) for code in Code}
    pixels = sum(each.pixels for each in scenes)
    unread = sum(each.unread for each in scenes)
    seen = sum(n for code, n in counts.items() if code != Code.NO_DATA)
    clear = sum(counts[code] for code in classes)
    bands = {"clear": {"stats": _stats(clear, seen, pixels)}}
    return {
        "outputs": {"mask": {"bands": bands}},
        "clear_percent": _percent(clear, pixels),
        "coverage_percent": _percent(seen, pixels),
        "pixels": pixels,
        "counts": {code.name.lower(): n for code, n in counts.items()} | {"unread": unread},
        **_screened(scenes),
    }


SCREENED = ("standing", "aside_cloud", "aside_shadow", "restored")


def _screened(scenes: Sequence[SceneShares]) -> Row:
    """Return what evidence from time leaves of scenes, in pixels; nothing where it was not asked or looks at none."""
    looked = [each for each in scenes if each.screened is not None]
    if not looked:
        return {}
    kinds = (
        (each.standing or 0, kinds["cloud"], kinds["shadow"], kinds["restored"])
        for each in looked
        if (kinds := each.screened) is not None
    )
    sums = dict(zip(SCREENED, map(sum, zip(*kinds, strict=True)), strict=True))
    percent = _percent(sums["standing"], sum(each.pixels for each in looked))
    return {"screened": {**sums, "standing_percent": percent}}


def _stats(clear: int, seen: int, pixels: int) -> Row:
    """Return statistics of a band that is 1 where clear and 0 where not."""
    mean = clear / seen if seen else None
    return {
        "min": None if mean is None else float(clear == seen),
        "max": None if mean is None else float(clear > 0),
        "mean": mean,
        "stDev": None if mean is None else (mean * (1 - mean)) ** 0.5,
        "sampleCount": pixels,
        "noDataCount": pixels - seen,
        "count": seen,
        "sum": clear,
        "valid_pixels": seen,
        "masked_pixels": pixels - seen,
        "valid_percent": _percent(seen, pixels),
    }


def _percent(part: int, whole: int) -> float:
    return round(100.0 * part / whole, 4) if whole else 0.0


def _summary(series: Series, wanted: Wanted) -> Row:
    found = series.summary_of(wanted.classes)
    return {
        "scenes": found.scenes,
        "dates": found.dates,
        "clear_dates": found.clear_dates,
        "median_clear_percent": None
        if found.median_clear is None
        else round(found.median_clear, 4),
        "first_clear": _day(found.first_clear),
        "last_clear": _day(found.last_clear),
        "longest_gap_days": found.gap_days,
        "longest_gap": None if found.gap is None else [_day(each) for each in found.gap],
        "archived": series.is_archived,
        "outside_percent": round(100 * series.outside, 4),
        "never_masked_percent": round(100 * series.unmasked, 4),
    }


def _day(day: object) -> str | None:
    return None if day is None else str(day)


COLUMNS = (
    *(
        "feature",
        "from",
        "to",
        "state",
        "sensor",
        "clear_percent",
        "coverage_percent",
        "pixels",
    ),
    *(code.name.lower() for code in Code),
    "unread",
)


def as_csv(features: Sequence[Mapping[str, Any]]) -> str:
    """Return the rows of some series as CSV, a row an interval and feature."""
    out = io.StringIO()
    writer = csv.writer(out)
    more = SCREENED if any("notes" in each for each in features) else ()
    writer.writerow((*COLUMNS, *more))
    for at, feature in enumerate(features):
        name = at if feature["id"] is None else feature["id"]
        for row in feature["data"]:
            judged = row.get("screened", {})
            writer.writerow([*_cells(name, row), *(judged.get(each, "") for each in more)])
    return out.getvalue()


def _cells(name: object, row: Row) -> list[object]:
    counts = row.get("counts", {})
    return [
        _harmless(name),
        row["interval"]["from"],
        row["interval"]["to"],
        *(row.get(each, "") for each in COLUMNS[3:8]),
        *(counts.get(each, "") for each in COLUMNS[8:]),
    ]


def _harmless(name: object) -> object:
    """Return an id that no spreadsheet takes for a formula."""
    text = str(name)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else name
