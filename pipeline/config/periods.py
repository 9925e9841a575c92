"""Spans of time, as people write them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

from pipeline.types import Period

PERIOD_FORMS = 'a span of time such as "2023-06-01/2023-08-31", "2023-06", "2023", or "2023-06-01/.." until now'

OPEN = ".."
"""An open end, as in searches of STAC."""

_YEAR = re.compile(r"(\d{4})")
_MONTH = re.compile(r"(\d{4})-(\d{2})")
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d.*")
_DAY = re.compile(r"(\d{4})-(\d{2})-(\d{2})")


def read_period(value: object) -> Period:
    """Read a span of time.

    An end that is a day, a month or a year is included whole, as users of STAC expect:
    ``2023-06-01/2023-08-31`` includes the 31st. An end that is an instant is not included.

    Parameters
    ----------
    value
        Two of year, month, day or instant with ``/`` between them, or a single year, month or
        day. Instants without a time zone are UTC. Numbers and dates, which YAML makes of some of
        these, mean the same. An end ``..`` is that of the current month, so that the month's
        composite is not made again only because a day has passed.

    Raises
    ------
    ValueError
        It is no such span, or it ends before it starts.
    """
    if isinstance(value, Period):
        return value
    parts = [part.strip() for part in _as_text(value).split("/")]
    if len(parts) > 2:
        raise ValueError("it has more than two parts")
    if parts[0] in {"", OPEN} or parts[-1] == "":
        raise ValueError("it has no start or no end")
    start, _ = _span(parts[0])
    _, end = _span(f"{_now():%Y-%m}" if parts[-1] == OPEN else parts[-1])
    if start >= end:
        raise ValueError(
            "it ends before it starts" if len(parts) == 2 else "it has no duration"
        )
    return Period(start=start, end=end)


def write_period(period: Period) -> str:
    """Write a span as two instants, so that reading it gives the same span."""
    return f"{_instant(period.start)}/{_instant(period.end)}"


def _instant(value: datetime) -> str:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _as_text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | date):
        raise ValueError("it is not text")  # noqa: TRY004 -- pydantic collects ValueErrors
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def _span(text: str) -> tuple[datetime, datetime]:
    """Return the first instant of a year, month, day or instant, and the first one after it."""
    try:
        return _calendar_span(text) or (_parse_instant(text),) * 2
    except OverflowError:
        raise ValueError(f"{text!r} is beyond the calendar") from None


def _calendar_span(text: str) -> tuple[datetime, datetime] | None:
    if match := _YEAR.fullmatch(text):
        start = _midnight(int(match[1]), 1, 1)
        return start, _next_month(start.replace(month=12))
    if match := _MONTH.fullmatch(text):
        start = _midnight(int(match[1]), int(match[2]), 1)
        return start, _next_month(start)
    if match := _DAY.fullmatch(text):
        start = _midnight(int(match[1]), int(match[2]), int(match[3]))
        return start, start + timedelta(days=1)
    return None


def _now() -> datetime:
    return datetime.now(UTC)


def _midnight(year: int, month: int, day: int) -> datetime:
    try:
        return datetime(year, month, day, tzinfo=UTC)
    except ValueError:
        raise ValueError(f"the calendar has no {year:04d}-{month:02d}-{day:02d}") from None


def _next_month(start: datetime) -> datetime:
    return (start + timedelta(days=31)).replace(day=1)


def _parse_instant(text: str) -> datetime:
    wrong = ValueError(f"{text!r} is no year, month, day or instant")
    # Python would also take 20230601 and 2023-W23, and read them as midnights.
    if not _INSTANT.fullmatch(text.upper()):
        raise wrong
    try:
        instant = datetime.fromisoformat(text.upper())
    except ValueError:
        raise wrong from None
    return instant.replace(tzinfo=instant.tzinfo or UTC).astimezone(UTC)
