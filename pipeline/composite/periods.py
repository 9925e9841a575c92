"""The calendar periods that composites are made of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from pipeline.types import Period

Kind = Literal["month", "season", "year", "all"]

_MONTHS: dict[str, int] = {"month": 1, "season": 3, "year": 12}

_OFFSET: dict[str, int] = {"month": 0, "season": -1, "year": 0}
"""Meteorological seasons begin in December: one month before the year they are counted in."""

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
        ``month``, ``season`` (meteorological: DJF, MAM, JJA, SON), ``year``, or ``all`` for one
        period that holds everything, `ALL_TIME`.

    Returns
    -------
    Half-open, UTC, without gap or overlap.
    """
    if kind == "all":
        return [ALL_TIME]
    length, offset = _MONTHS[kind], _OFFSET[kind]
    start = span.start.astimezone(UTC)
    number = (12 * start.year + start.month - 1 - offset) // length
    found: list[Period] = []
    while not found or found[-1].end < span.end:
        first = number * length + offset
        found.append(Period(start=_month(first), end=_month(first + length)))
        number += 1
    return found


def cut(span: Period, kind: Kind) -> list[Period]:
    """Cut a span at the edges of its calendar periods: together the parts are the span."""
    return [
        Period(start=max(each.start, span.start), end=min(each.end, span.end))
        for each in periods(span, kind)
    ]


def _month(number: int) -> datetime:
    """Return the first instant of a month, counted from the year 0."""
    return datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)
