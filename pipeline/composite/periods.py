"""A span of time as calendar periods."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Literal

from pipeline.types import Period

Kind = Literal["month", "season", "year", "all"]

_MONTHS: dict[str, int] = {"month": 1, "season": 3, "year": 12}

_OFFSET: dict[str, int] = {"month": 0, "season": -1, "year": 0}
"""Meteorological seasons begin in December: one month before the year they are counted in."""


def periods(span: Period, kind: Kind) -> list[Period]:
    """Cut a span at the edges of the calendar.

    Parameters
    ----------
    span
        What is cut.
    kind
        ``month``, ``season`` (meteorological: DJF, MAM, JJA, SON), ``year``, or ``all`` for the
        span as it is.

    Returns
    -------
    The calendar periods that share time with the span, in order, half-open, UTC. The first and the
    last are clipped to the span, so that no composite promises dates that nobody searched: together
    they are the span, with no gap and no overlap.
    """
    if kind == "all":
        return [span]
    cuts = [span.start]
    edge = _next_edge(span.start.astimezone(UTC), kind)
    while edge < span.end:
        cuts.append(edge)
        edge = _next_edge(edge, kind)
    cuts.append(span.end)
    return [Period(start=start, end=end) for start, end in itertools.pairwise(cuts)]


def _next_edge(instant: datetime, kind: str) -> datetime:
    """Return the first calendar edge after an instant."""
    length, offset = _MONTHS[kind], _OFFSET[kind]
    months = 12 * instant.year + instant.month - 1
    edge = ((months - offset) // length + 1) * length + offset
    return datetime(edge // 12, edge % 12 + 1, 1, tzinfo=UTC)
