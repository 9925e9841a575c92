"""Sizes, times, periods and amounts as the page writes them."""

from __future__ import annotations

import base64
import math
from datetime import datetime, timedelta

from pipeline.composite import ALL_TIME

ALL_DATES = "all dates"


def _all_time(start: int, end: int) -> bool:
    """Return whether a period, by its years, is the one of all time."""
    return (start, end) == (ALL_TIME.start.year, ALL_TIME.end.year)


def days(period: str) -> str:
    """Write ``2024-05-01/2024-06-01`` as its first and its last day."""
    start, end = (datetime.fromisoformat(day) for day in period.split("/"))
    if _all_time(start.year, end.year):
        return ALL_DATES
    return f"{start:%Y-%m-%d} – {end - timedelta(days=1):%Y-%m-%d}"


def data_uri(content: bytes) -> str:
    """Return a PNG or JPEG as a data URI."""
    kind = "png" if content.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def size(number: float | None) -> str:
    """Format a number of bytes: ``1.4 GB``; a dash if it is not known."""
    if number is None:
        return "–"
    for unit in ("B", "kB", "MB", "GB"):
        if abs(number) < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def duration(seconds: float | None) -> str:
    """Format a duration: ``2 min 05 s``; a dash if it is not known."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def period_name(start: datetime, end: datetime | None) -> str:
    """Name a period: ``May 2024``, ``2024``, or its first and last day."""
    if end is None:
        return f"from {date_name(start)}"
    if _all_time(start.year, end.year):
        return ALL_DATES
    first = start.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    if start == first and end == _month_after(first):
        return f"{start:%B %Y}"
    if start == first.replace(month=1) and end == start.replace(year=start.year + 1):
        return f"{start:%Y}"
    return f"{date_name(start)} – {date_name(end - timedelta(microseconds=1))}"


def date_name(moment: datetime) -> str:
    """Format a date: ``3 May 2024``."""
    return f"{moment.day} {moment:%B %Y}"


def _month_after(first: datetime) -> datetime:
    return (first + timedelta(days=32)).replace(day=1)


def number(value: object, digits: int = 3) -> str:
    """Format a measure; a dash if there is none."""
    return f"{value:.{digits}f}" if isinstance(value, int | float) else "–"


def count(value: float | None) -> str:
    """Format a count: ``12,345``, ``0.4``; a dash if it is not known."""
    if value is None:
        return "–"
    return f"{value:,.1f}" if 0 < abs(value) < 10 and value % 1 else f"{value:,.0f}"


def money(value: float) -> str:
    """Format an amount of money: two decimals, or two significant digits if it is smaller."""
    places = 2 if value >= 0.1 or not value else 1 - math.floor(math.log10(value))
    return f"{value:,.{places}f}"
