"""Which steps of several composites are composed together, so that their pixels are read once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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


def most_together(steps: Iterable[tuple[CompositeSettings, Period, int]]) -> int:
    """Return the most bytes that steps need which are composed together, given what each needs by itself."""
    sizes = {
        (settings.name, period.start): (settings, period, n) for settings, period, n in steps
    }
    groups = grouped([(settings, period) for settings, period, _ in sizes.values()])
    return max(
        (sum(sizes[each.name, period.start][2] for each, period in group) for group in groups),
        default=0,
    )
