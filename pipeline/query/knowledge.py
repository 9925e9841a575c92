"""What an archive knows of some dates: there are scenes; a run searched and found none; nobody searched."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise

import shapely
from shapely.geometry.base import BaseGeometry

from pipeline.types import Period, Searched, State, Stretch

WHOLE = 0.999
"""From this share on all of an AOI was searched: outlines are kept roughly."""


def stretches(
    sensor: str,
    asked: Period,
    searches: Sequence[Searched],
    aoi: BaseGeometry | None,
    times: Sequence[datetime],
) -> tuple[Stretch, ...]:
    """Cut some dates where what is known of them changes, and at months.

    Parameters
    ----------
    sensor
        Whose scenes are asked for.
    asked
        The dates.
    searches
        What runs looked for.
    aoi
        In degrees; none: all that was ever searched.
    times
        Of the scenes of the AOI, sorted.

    Returns
    -------
    Stretches without gaps, by time; neighbours differ in what is known.
    """
    known = [each for each in searches if each.has(sensor)]
    share = _Share(known, aoi)
    found: list[Stretch] = []
    for start, end in pairwise(_edges(asked, known)):
        active = [n for n, each in enumerate(known) if each.start <= start and end <= each.end]
        searched = share.of(active)
        scenes = bisect_left(times, end) - bisect_left(times, start)
        piece = Stretch(
            sensor=sensor,
            start=start,
            end=end,
            state=_state(searched, scenes),
            scenes=scenes,
            searched=searched,
            filtered=any(known[n].filtered for n in active),
        )
        if found and _alike(found[-1], piece):
            piece = _joined(found.pop(), piece)
        found.append(piece)
    return tuple(found)


def whole_period(searches: Iterable[Searched], times: Iterable[datetime]) -> Period | None:
    """Return the dates from the first to the last of which anything is known; none: there are none."""
    instants = list(times)
    starts = [*(each.start for each in searches), *instants]
    ends = [
        *(each.end for each in searches),
        *(each + timedelta(microseconds=1) for each in instants),
    ]
    return Period(start=min(starts), end=max(ends)) if starts else None


class _Share:
    """Which share of an AOI some searches have in common with it."""

    def __init__(self, searches: Sequence[Searched], aoi: BaseGeometry | None) -> None:
        self._aoi = None if aoi is None else _valid(aoi)
        outlines = [_valid(each.area).wkb for each in searches]
        # Runs of one job have one outline.
        self._number = [sorted(set(outlines)).index(each) for each in outlines]
        self._outlines = [shapely.from_wkb(each) for each in sorted(set(outlines))]
        self._known = cache(self._measured)

    def of(self, active: Sequence[int]) -> float:
        """Return the share, 0 to 1, of searches by their positions."""
        return self._known(frozenset(self._number[n] for n in active))

    def _measured(self, outlines: frozenset[int]) -> float:
        if not outlines or self._aoi is None:
            return float(bool(outlines))
        searched = shapely.union_all([self._outlines[n] for n in outlines])
        share = self._aoi.intersection(searched).area / self._aoi.area
        return 1.0 if share >= WHOLE else round(float(share), 4)


def _valid(geometry: BaseGeometry) -> BaseGeometry:
    return geometry if geometry.is_valid else shapely.make_valid(geometry)


def _edges(asked: Period, searches: Sequence[Searched]) -> list[datetime]:
    inner = {*_months(asked), *(t for each in searches for t in (each.start, each.end))}
    return sorted({asked.start, asked.end, *(each for each in inner if each in asked)})


def _months(asked: Period) -> Iterator[datetime]:
    month = datetime(asked.start.year, asked.start.month, 1, tzinfo=UTC)
    while month < asked.end:
        yield month
        month = (month + timedelta(days=32)).replace(day=1)


def _state(searched: float, scenes: int) -> State:
    if scenes:
        return "scenes"
    if not searched:
        return "never searched"
    return "no scene" if searched == 1.0 else "partly searched"


def _alike(one: Stretch, other: Stretch) -> bool:
    return (one.state, one.searched, one.filtered) == (
        other.state,
        other.searched,
        other.filtered,
    )


def _joined(one: Stretch, other: Stretch) -> Stretch:
    return Stretch(
        sensor=one.sensor,
        start=one.start,
        end=other.end,
        state=one.state,
        scenes=one.scenes + other.scenes,
        searched=one.searched,
        filtered=one.filtered,
    )
