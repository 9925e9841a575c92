"""A series as rows, as JSON and as text: its summary, and the gaps in the archive's knowledge."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pipeline.errors import NotArchivedError
from pipeline.types import USABLE, Code, SceneShares, Series, Stretch
from pipeline.types.series import CLEAR_PERCENT
from pipeline.wording import counted, dates

WORDS = {
    "no scene": "searched, no scene",
    "partly searched": "no scene, but only {searched:.0%} of the area was searched",
    "never searched": "never searched: whether there are scenes is not known",
}


def to_rows(series: Series) -> list[dict[str, Any]]:
    """Return a series as rows of a table: shares of the AOI in percent, two decimals.

    Times have whole seconds, except where two scenes of one sensor begin within the same second. Where evidence from time
    was asked, rows also say which share stands after it, and which it put aside or restored; None where it did not look.
    """
    is_screened = any(each.screened is not None for each in series.scenes)
    seconds = Counter(
        (scene.sensor, scene.time.replace(microsecond=0)) for scene in series.scenes
    )

    def written(scene: SceneShares) -> str:
        alone = seconds[scene.sensor, scene.time.replace(microsecond=0)] == 1
        return (
            f"{scene.time:%Y-%m-%dT%H:%M:%SZ}"
            if alone
            else f"{scene.time:%Y-%m-%dT%H:%M:%S.%fZ}"
        )

    return [
        {
            "time": written(scene),
            "sensor": scene.sensor,
            "platform": scene.platform,
            "clear_pct": round(scene.percent(*USABLE), 2),
            "thin_pct": round(scene.percent(Code.THIN_CLOUD), 2),
            "thick_pct": round(scene.percent(Code.THICK_CLOUD), 2),
            "shadow_pct": round(scene.percent(Code.CLOUD_SHADOW), 2),
            "snow_pct": round(scene.percent(Code.SNOW), 2),
            "no_data_pct": round(scene.percent(Code.NO_DATA), 2),
            "unread_pct": round(100.0 * scene.unread / scene.pixels, 2),
            **(_screened(scene) if is_screened else {}),
        }
        for scene in series.scenes
    ]


def _screened(scene: SceneShares) -> dict[str, float | None]:
    kinds = scene.screened or {}
    pixels = {
        "standing_pct": scene.standing,
        "aside_cloud_pct": kinds.get("cloud"),
        "aside_shadow_pct": kinds.get("shadow"),
        "restored_pct": kinds.get("restored"),
    }
    return {
        name: None if each is None else round(100.0 * each / scene.pixels, 2)
        for name, each in pixels.items()
    }


def to_dict(series: Series) -> dict[str, Any]:
    """Return a whole series as plain JSON values; ranges of days include their end, ranges of instants do not."""
    summary = series.summary
    return {
        "scenes": to_rows(series),
        "summary": {
            "scenes": summary.scenes,
            "dates": summary.dates,
            "clear_dates": summary.clear_dates,
            "clear_means_pct": CLEAR_PERCENT,
            "median_clear_pct": _rounded(summary.median_clear),
            "longest_gap_days": summary.gap_days,
            "longest_gap": None if summary.gap is None else [f"{day}" for day in summary.gap],
        },
        "dates": [
            {
                "sensor": each.sensor,
                "start": each.start.isoformat(),
                "end": each.end.isoformat(),
                "state": each.state,
                "scenes": each.scenes,
                "searched_pct": round(100 * each.searched, 2),
                "filtered": each.filtered,
            }
            for each in series.stretches
        ],
        "archived": series.is_archived,
        "outside_pct": round(100 * series.outside, 2),
        "never_masked_pct": round(100 * series.unmasked, 2),
        **({"notes": list(series.notes)} if series.notes else {}),
    }


def in_words(series: Series) -> list[str]:
    """Return the summary, and one line for each gap in the data or in the archive's knowledge."""
    return [*_summary(series), *_gaps(series), *_places(series), *series.notes]


def require_archived(series: Series) -> None:
    """Refuse a series for which the archive has no information at all.

    Raises
    ------
    NotArchivedError
        No run ever searched or masked the AOI on any of the dates.
    """
    if series.is_archived:
        return
    asked = (
        "these dates" if series.asked is None else dates(series.asked.start, series.asked.end)
    )
    has = "nothing yet: run a job first"
    if series.archived is not None:
        has = f"{dates(series.archived.start, series.archived.end)}, and the areas of its jobs"
    raise NotArchivedError(
        f"no run of the archive ever searched or masked this area on {asked}; it has {has}"
    )


def _summary(series: Series) -> list[str]:
    found = series.summary
    if not found.scenes or found.median_clear is None:
        return []
    text = (
        f"{counted(found.scenes, 'scene')} on {counted(found.dates, 'date')}, "
        f"{found.clear_dates} of them clear ({CLEAR_PERCENT:.0f} % of the area or more); "
        f"median clear {found.median_clear:.1f} %"
    )
    if found.gap is not None:
        first, last = found.gap
        span = f"{first}" if first == last else f"{first} – {last}"
        text += f"; longest gap without a clear date {counted(found.gap_days, 'day')} ({span})"
    return [text]


def _gaps(series: Series) -> list[str]:
    """Return one line for each span without scenes, with the reason; a single one if all sensors agree."""
    by_sensor: dict[str, list[str]] = {}
    for each in series.stretches:
        lines = by_sensor.setdefault(each.sensor, [])
        if each.state != "scenes":
            lines.append(f"{dates(each.start, each.end)}: {_words(each)}")
    if len({tuple(lines) for lines in by_sensor.values()}) == 1:
        return next(iter(by_sensor.values()))
    return [f"{sensor}, {line}" for sensor, lines in by_sensor.items() for line in lines]


def _words(stretch: Stretch) -> str:
    text = WORDS[stretch.state].format(searched=stretch.searched)
    if stretch.filtered and stretch.state != "never searched":
        text += " that passes the query or filter of the job"
    return text


def _places(series: Series) -> list[str]:
    lines = []
    if series.outside > 0.0005:
        lines.append(f"{series.outside:.1%} of the area lies outside the region of the archive")
    if series.unmasked > 0.0005 and series.scenes:
        lines.append(f"{series.unmasked:.1%} of the area was never masked on these dates")
    return lines


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
