"""The calendar periods that composites are made of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from pipeline.types import Days, Period
from pipeline.types.values import StepName

Kind = StepName | Days

_MONTHS: dict[str, int] = {"month": 1, "season": 3, "year": 12}

_OFFSET: dict[str, int] = {"month": 0, "season": -1, "year": 0}
"""Meteorological seasons begin in December: one month before the year they are counted in."""

_DEKADS = (1, 11, 21)
"""Days of a month on which its dekads begin."""

ALL_TIME = Period(start=datetime(1970, 1, 1, tzinfo=UTC), end=datetime(2200, 1, 1, tzinfo=UTC))
"""The one period of kind ``all``: before the first satellite that is read, and beyond the last."""


def periods(span: Period, kind: Kind) -> list[Period]:
    """Return the calendar periods that share time with a span, whole, in order.

    Parameters
    ----------
    span
        Of any length. Which periods there are depends on it, where they begin and end does not: two
        spans in one June have the same June.
    kind
        ``dekad`` (days 1 to 10, 11 to 20, 21 to the end of a month), ``month``, ``season`` (meteorological: DJF, MAM,
        JJA, SON), ``year``; `Days`, counted from 1 January of each year, the last of a year shorter; or ``all``
        for one period that holds everything, `ALL_TIME`.

    Returns
    -------
    Half-open, UTC, without gap or overlap.
    """
    if kind == "all":
        return [ALL_TIME]
    first, after = _edges(kind)
    starts = [first(span.start.astimezone(UTC))]
    while (end := after(starts[-1])) < span.end:
        starts.append(end)
    return [Period(start=start, end=after(start)) for start in starts]


def cut(span: Period, kind: Kind) -> list[Period]:
    """Cut a span at the edges of its calendar periods: together the parts are the span."""
    return [
        Period(start=max(each.start, span.start), end=min(each.end, span.end))
        for each in periods(span, kind)
    ]


Edge = Callable[[datetime], datetime]


def _edges(kind: Kind) -> tuple[Edge, Edge]:
    """Return what gives the start of the period of an instant, and what gives the end of one from its start."""
    if isinstance(kind, Days):
        return _first_of_days(kind.days), _after_days(kind.days)
    if kind == "dekad":
        return _dekad, lambda start: _dekad(start + timedelta(days=11))
    length, offset = _MONTHS[kind], _OFFSET[kind]

    def first(instant: datetime) -> datetime:
        number = (12 * instant.year + instant.month - 1 - offset) // length
        return _month(number * length + offset)

    return first, lambda start: _month(12 * start.year + start.month - 1 + length)


def _first_of_days(days: int) -> Edge:
    def first(instant: datetime) -> datetime:
        january = datetime(instant.year, 1, 1, tzinfo=UTC)
        return january + (instant - january) // timedelta(days=days) * timedelta(days=days)

    return first


def _after_days(days: int) -> Edge:
    return lambda start: min(
        start + timedelta(days=days), datetime(start.year + 1, 1, 1, tzinfo=UTC)
    )


def _dekad(instant: datetime) -> datetime:
    """Return the first instant of an instant's dekad."""
    day = max(each for each in _DEKADS if each <= instant.day)
    return datetime(instant.year, instant.month, day, tzinfo=UTC)


def _month(number: int) -> datetime:
    """Return the first instant of a month, counted from the year 0."""
    return datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)
