"""Sightings -> passes: what one platform saw on one orbit.

`pipeline.sensors.passes` says when two sightings are of one pass, by what they tell and how near they are
in time. No two passes of a platform are so near: so any order of finding items, and any part of them,
gives the same passes.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pipeline.sensors import Sighting, nearness


@dataclass(slots=True, kw_only=True)
class Pass:
    """A pass in the making."""

    family: str
    platform: str
    orbit: str
    times: list[datetime] = field(default_factory=list)
    """Sorted."""
    members: list[int] = field(default_factory=list)
    """Positions of the sightings, sorted."""

    def apart(self, other: Sighting | Pass) -> timedelta | None:
        """Return how far another lies from it in time; none: it is of another pass."""
        within = nearness(self, other)
        if within is None:
            return None
        times = [other.time] if isinstance(other, Sighting) else other.times
        # Most are far, and the ends tell.
        if times[0] - self.times[-1] >= within or self.times[0] - times[-1] >= within:
            return None
        nearest = min(self._from(time) for time in times)
        return nearest if nearest < within else None

    def _from(self, time: datetime) -> timedelta:
        at = bisect_left(self.times, time)
        return min(abs(each - time) for each in self.times[max(0, at - 1) : at + 1])

    def add(self, other: Pass) -> None:
        """Take another in, with what it tells."""
        self.platform = self.platform or other.platform
        self.orbit = self.orbit or other.orbit
        for time in other.times:
            insort(self.times, time)
        for member in other.members:
            insort(self.members, member)


def passes_of(sightings: Sequence[Sighting]) -> list[Pass]:
    """Put sightings of one sensor together by pass, sorted by time.

    First those that tell the same, then what tells less with the nearest that agrees.
    """
    alike: defaultdict[tuple[str, str, str], list[int]] = defaultdict(list)
    for position, each in enumerate(sightings):
        alike[each.family, each.platform, each.orbit].append(position)
    parts = [part for members in alike.values() for part in _cut(sightings, members)]
    found: list[Pass] = []
    for part in sorted(parts, key=_most_told_first):
        near = [(apart, each) for each in found if (apart := each.apart(part)) is not None]
        if near:
            min(near, key=lambda pair: (pair[0], _order(pair[1])))[1].add(part)
        else:
            found.append(part)
    return sorted(found, key=_order)


def _cut(sightings: Sequence[Sighting], members: Iterable[int]) -> Iterable[Pass]:
    """Cut sightings that tell the same where the time tells them apart."""
    part: Pass | None = None
    for position in sorted(members, key=lambda each: (sightings[each].time, each)):
        each = sightings[position]
        if part is None or part.apart(each) is None:
            if part is not None:
                yield part
            part = Pass(family=each.family, platform=each.platform, orbit=each.orbit)
        part.times.append(each.time)
        insort(part.members, position)
    if part is not None:
        yield part


def _most_told_first(part: Pass) -> tuple[object, ...]:
    return (not part.platform, not part.orbit, *_order(part))


def _order(part: Pass) -> tuple[object, ...]:
    return part.times[0], part.family, part.platform, part.orbit
