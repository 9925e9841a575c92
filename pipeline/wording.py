"""Numbers, dates and suggestions in sentences."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number of things: ``1 scene``, ``2 scenes``, ``3 copies``.

    Parameters
    ----------
    number
        How many.
    noun
        One of them.
    plural
        Several of them, where it is not the noun with an s.
    """
    return f"{number} {noun}" if number == 1 else f"{number} {plural or noun + 's'}"


def dates(start: datetime, end: datetime) -> str:
    """Return a half-open span of time by its first and its last day; instants within a day as they are."""
    first, last = (each.astimezone(UTC) for each in (start, end - timedelta(microseconds=1)))
    if first.date() == last.date():
        whole = end - start == timedelta(days=1)
        return f"{first:%Y-%m-%d}" if whole else f"{first:%Y-%m-%d %H:%M} – {end:%H:%M}"
    return f"{first:%Y-%m-%d} – {last:%Y-%m-%d}"


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return `` (did you mean …?)`` with the nearest known word, or nothing if none is near."""
    near = difflib.get_close_matches(str(word), list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""
