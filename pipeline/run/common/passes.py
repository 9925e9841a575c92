"""Sightings -> passes: what one platform saw on one orbit.

`pipeline.sensors.nearness` says when two sightings are of one pass, by platform, orbit, and distance in time.
Two passes of one platform are never that near, so that any order of the items, and any part of them, gives
the same passes.
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
    """One platform on one orbit; grows as sightings are added."""

    family: str
    platform: str
    orbit: str
    times: list[datetime] = field(default_factory=list)
    """Sorted."""
    members: list[int] = field(default_factory=list)
    """Positions of the sightings, sorted."""

    def apart(self, other: Sighting | Pass) -> timedelta | None:
        """Return the distance to another in time; None: it is of another pass."""
        within = nearness(self, other)
        if within is None:
            return None
        times = [other.time] if isinstance(other, Sighting) else other.times
        # Cheap, and true of most.
        if times[0] - self.times[-1] >= within or self.times[0] - times[-1] >= within:
            return None
        nearest = min(self._from(time) for time in times)
        return nearest if nearest < within else None

    def _from(self, time: datetime) -> timedelta:
        at = bisect_left(self.times, time)
        return min(abs(each - time) for each in self.times[max(0, at - 1) : at + 1])

    def add(self, other: Pass) -> None:
        """Merge another, with the platform and orbit that it knows."""
        self.platform = self.platform or other.platform
        self.orbit = self.orbit or other.orbit
        for time in other.times:
            insort(self.times, time)
        for member in other.members:
            insort(self.members, member)


def passes_of(sightings: Sequence[Sighting]) -> list[Pass]:
    """Group sightings of one sensor by pass, sorted by time.

    First those that state the same platform and orbit; then those that state less join the nearest pass
    that agrees with them.
    """
    alike: defaultdict[tuple[str, str, str], list[int]] = defaultdict(list)
    for position, each in enumerate(sightings):
        alike[each.family, each.platform, each.orbit].append(position)
    parts = [part for members in alike.values() for part in _split(sightings, members)]
    found: list[Pass] = []
    for part in sorted(parts, key=_most_known_first):
        near = [(apart, each) for each in found if (apart := each.apart(part)) is not None]
        if near:
            min(near, key=lambda pair: (pair[0], _order(pair[1])))[1].add(part)
        else:
            found.append(part)
    return sorted(found, key=_order)


def _split(sightings: Sequence[Sighting], members: Iterable[int]) -> Iterable[Pass]:
    """Split sightings that state the same wherever they are too far apart in time."""
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


def _most_known_first(part: Pass) -> tuple[object, ...]:
    return (not part.platform, not part.orbit, *_order(part))


def _order(part: Pass) -> tuple[object, ...]:
    return part.times[0], part.family, part.platform, part.orbit
