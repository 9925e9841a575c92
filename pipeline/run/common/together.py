"""Which steps of several composites are composed together, so that their pixels are read once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from pipeline.types import CompositeSettings, Period

Step = tuple[CompositeSettings, Period]


def grouped(steps: Sequence[Step]) -> list[list[Step]]:
    """Group the steps of a job's composites.

    Parameters
    ----------
    steps
        Each composite's settings with each of its periods.

    Returns
    -------
    The steps that begin in the same period of the composite whose periods are longest, by time; of one composite each
    step by itself. Steps that begin in none of these are composed with those of the same period. So is the step of period
    ``all``, which would hold those of all years in memory.
    """
    spans = _longest(steps)
    found: dict[Period, list[Step]] = {}
    for settings, period in sorted(steps, key=lambda each: each[1].start):
        span = next((each for each in spans if period.start in each), None)
        found.setdefault(span or period, []).append((settings, period))
    return list(found.values())


def _longest(steps: Sequence[Step]) -> list[Period]:
    """Return the periods of the composite that has the longest, but for all time."""
    finite = [each for each in steps if each[0].period != "all"]
    if not finite:
        return []
    settings, _ = max(finite, key=lambda each: each[1].end - each[1].start)
    return [period for each, period in finite if each.name == settings.name]


class ToCompose(NamedTuple):
    """A step, and the most scenes of it in one tile, with those that screen it."""

    settings: CompositeSettings
    period: Period
    most_scenes: int


def most_together(
    steps: Iterable[ToCompose], size: Callable[[Sequence[ToCompose]], int]
) -> int:
    """Return the largest size, in bytes, of steps that are composed together."""
    known = {(each.settings.name, each.period.start): each for each in steps}
    groups = grouped([(each.settings, each.period) for each in known.values()])
    return max(
        (size([known[each.name, period.start] for each, period in group]) for group in groups),
        default=0,
    )
