"""Renders the page: puts pictures and tables into the template."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import odc.geo.xr  # noqa: F401  registers `.odc`
import xarray as xr

from pipeline.query import in_words
from pipeline.report import tables, words
from pipeline.report.material import Material
from pipeline.report.pictures import (
    RGB,
    Stretch,
    count_colours,
    count_png,
    day_colours,
    day_png,
    is_doubtful,
    mask_png,
    rgb_jpeg,
    stretch_of,
)
from pipeline.shown import printable
from pipeline.types.manifest import manifest_rows, screened_rows, unfit_rows
from pipeline.wording import counted

_HERO_PX = 800

_PERIOD_PX = 560

_MANY_PERIODS = 5
"""Number of periods above which pictures shrink, so that the page stays below about 5 MB."""

_MOST_DAYS_NAMED = 12

_MOST_GAPS = 200
"""Most rows of the table of incomplete tiles; `cloudmask runs` shows all of them."""


def write_report(path: Path, material: Material) -> Path:
    """Write the report of a run as one HTML file that loads nothing.

    Parameters
    ----------
    path
        Target; folders are created, an older report is replaced.
    material
        The input.

    Returns
    -------
    The path.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Ids of catalogues may contain control characters.
    path.write_text(printable(render(material)), encoding="utf-8")
    return path


_RUN = re.compile(r'<meta name="cloudmask-run" content="([^"]*)">')


def run_of(path: Path) -> str | None:
    """Return the id of the run whose report a file is; None if it is no report."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            found = _RUN.search(file.read(4096))
    except FileNotFoundError:
        return None
    return None if found is None else found[1]


def render(material: Material) -> str:
    """Return the page as text."""
    periods = list(_periods(material))
    stretch = _stretch(material)
    record = material.record
    manifest = manifest_rows(record)
    return (
        _environment()
        .get_template("report.html")
        .render(
            record=record,
            started=datetime.fromisoformat(record["started"]),
            finished=datetime.fromisoformat(record["finished"]),
            job=material.job,
            dates=_dates_asked(material),
            job_text=json.dumps(material.job, indent=2, ensure_ascii=False, default=str),
            region=_region(material),
            hero=_hero(material, periods, stretch),
            periods=[_shown(period, stretch, periods) for period in periods],
            bars=tables.bars(material.series),
            shares=tables.SHARES,
            mean_clear=tables.mean_clear(material.series),
            known=in_words(material.series),
            limits=_limits(record),
            items=tables.item_rows(record),
            cells=tables.cell_counts(record),
            periods_held=tables.period_rows(manifest),
            gaps=tables.gaps(manifest),
            unfit=unfit_rows(record),
            screened=screened_rows(record),
            most_gaps=_MOST_GAPS,
            days=words.days,
            costs=tables.cost_rows(record),
            per_area=tables.per_1000_km2(record),
            bill=record.get("bill"),
            accuracy=material.accuracy,
            accuracy_rows=tables.summaries((material.accuracy or {}).get("masks", [])),
            next_commands=material.next_commands,
        )
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline.report"),
        # Item ids, reasons and job names come from catalogues, and must never become markup.
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    written = (words.size, words.duration, words.number, words.count, words.money, counted)
    environment.filters |= {each.__name__: each for each in written}
    return environment


def _limits(record: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return (sensor, model, its limitations) of the models of a run, where they are known."""
    return [
        (sensor, card.get("name", ""), card["limits"])
        for sensor, card in record["models"].items()
        if card.get("limits")
    ]


# -- periods -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Period:
    """One period of one composite, with dims (y, x), in memory."""

    composite: str
    start: datetime
    end: datetime | None
    data: xr.Dataset

    @property
    def name(self) -> str:
        return words.period_name(self.start, self.end)


def _periods(material: Material) -> Iterator[_Period]:
    for name, dataset in material.composites.items():
        shown = [band for band in (*RGB, "count", "day") if band in dataset]
        for i in range(dataset.sizes["time"]):
            data = dataset[shown].isel(time=i)
            end = _utc(data["period_end"]) if "period_end" in data.coords else None
            yield _Period(composite=name, start=_utc(data["time"]), end=end, data=data)


def _utc(time: xr.DataArray) -> datetime:
    moment: datetime = time.to_numpy().astype("datetime64[us]").item()
    return moment.replace(tzinfo=UTC)


def _stretch(material: Material) -> Stretch | None:
    """Return one stretch for all periods and the cloudy scene; with one of its own, its clouds would look grey."""
    shown = [data for data in material.composites.values() if _has_rgb(data)]
    return stretch_of(shown) if shown else None


def _has_rgb(data: xr.Dataset) -> bool:
    return all(band in data for band in RGB)


def _shown(period: _Period, stretch: Stretch | None, periods: list[_Period]) -> dict[str, Any]:
    px = round(_PERIOD_PX * min(1, math.sqrt(_MANY_PERIODS / len(periods))))
    data = period.data.load()
    highest = max(int(data["count"].max()), 1)
    days, colours, shares = day_colours(data["day"])
    return {
        "composite": period.composite,
        "name": period.name,
        "rgb": words.data_uri(rgb_jpeg(data, RGB, stretch, px, is_doubtful(data["count"])))
        if _has_rgb(data)
        else None,
        "count": words.data_uri(count_png(data["count"], highest, px)),
        "day": words.data_uri(day_png(data["day"], px)),
        "highest": highest,
        "median_count": float(data["count"].median()),
        "filled": 100 * float((data["count"] > 0).mean()),
        **_few(data["count"]),
        "count_colours": _hex(count_colours(max(highest, 1))[1:]),
        "days": [
            {"date": f"{date.day} {date:%b}", "colour": colour, "percent": 100 * share}
            for date, colour, share in zip(_dates(days), _hex(colours), shares, strict=True)
        ],
        "name_days": len(days) <= _MOST_DAYS_NAMED,
    }


def _few(count: xr.DataArray) -> dict[str, float]:
    """Return the shares, in per cent, of the filled pixels with one observation, and with two."""
    filled = max(int((count > 0).sum()), 1)
    one, two = (100 * int((count == number).sum()) / filled for number in (1, 2))
    return {"one": one, "two": two}


def _dates(days: np.ndarray[Any, np.dtype[np.int64]]) -> list[datetime]:
    return [datetime.fromtimestamp(int(day) * 86400, tz=UTC) for day in days]


def _hex(colours: np.ndarray[Any, np.dtype[np.uint8]]) -> list[str]:
    return [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in colours.tolist()]


# -- before and after --------------------------------------------------------------------------


def _hero(
    material: Material, periods: list[_Period], stretch: Stretch | None
) -> dict[str, Any] | None:
    """Set a cloudy scene, its mask and the composite of its period side by side."""
    example = material.example
    if example is None:
        return None
    sensor, time = str(example["sensor"].item()), _utc(example["time"])
    mask = _mask_of(material, sensor, example["time"])
    codes, counts = np.unique([] if mask is None else mask.to_numpy(), return_counts=True)
    match = next((p for p in periods if _has_rgb(p.data) and _covers(p, time)), None)
    after = (
        None
        if match is None
        else rgb_jpeg(match.data, RGB, stretch, _HERO_PX, is_doubtful(match.data["count"]))
    )
    return {
        "sensor": sensor,
        "date": f"{words.date_name(time)}, {time:%H:%M} UTC",
        "before": words.data_uri(rgb_jpeg(example, RGB, stretch, _HERO_PX)),
        "after": None if after is None else words.data_uri(after),
        "after_name": None if match is None else match.name,
        "mask": None if mask is None else words.data_uri(mask_png(mask, _HERO_PX)),
        "legend": tables.legend(dict(zip(codes.tolist(), counts.tolist(), strict=True))),
    }


def _mask_of(material: Material, sensor: str, time: xr.DataArray) -> xr.DataArray | None:
    if sensor not in material.masks:
        return None
    mask = material.masks[sensor]["mask"]
    apart = np.abs(mask["time"].to_numpy() - time.to_numpy())
    return mask.isel(time=int(apart.argmin())).load()


def _covers(period: _Period, time: datetime) -> bool:
    return period.start <= time and (period.end is None or time < period.end)


def _dates_asked(material: Material) -> str | None:
    """Return the dates of the job, if the record has them in a known form."""
    asked = material.job.get("datetime")
    if not isinstance(asked, str) or "/" not in asked:
        return asked if isinstance(asked, str) else None
    start, end = asked.split("/", 1)
    return f"{start[:10]} to {end[:10]}"


def _region(material: Material) -> dict[str, Any] | None:
    """Return the grid of the page's datasets: CRS, pixel size and bounds."""
    datasets = [*material.composites.values(), *material.masks.values()]
    geobox = next((data.odc.geobox for data in datasets), None)
    if geobox is None:
        return None
    box = geobox.geographic_extent.boundingbox
    ny, nx = geobox.shape
    resolution = abs(geobox.resolution.x)
    return {
        "crs": f"EPSG:{geobox.crs.epsg}" if geobox.crs.epsg else geobox.crs.proj.name,
        "pixels": f"{nx} × {ny}",
        "resolution": resolution,
        "square_km": nx * ny * resolution**2 / 1e6,
        "box": f"{box.left:.3f}, {box.bottom:.3f} to {box.right:.3f}, {box.top:.3f}",
    }
