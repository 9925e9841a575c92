"""Sightings -> passes: what one platform saw on one orbit.

The time tells passes apart, because no two are near in it. A datatake of Sentinel-2 lasts up to half an
hour, and catalogues give its start (Planetary Computer, Copernicus Data Space) or the time of each tile;
rows of a Landsat path are 24 s apart. The same platform is back after an orbit of 99 minutes at the
soonest. So two sightings of one platform within `SAME_PLATFORM` are of one pass, whichever others
there are: any order of finding them, and any part of them, gives the same passes.

Two platforms may pass minutes apart (Sentinel-2A and B since 2025: ten). Where the platform is not told,
only what is `NEAR` is taken for one pass: two scenes of one pass cost little, two passes in one scene
lose the later.

An orbit that is stated decides where both sides state it: it comes back after five days at the
soonest, and items that know the day alone, as of LandsatLook's STAC 0.7, have all their paths at midnight.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pipeline.sensors import Sighting

SAME_PLATFORM = timedelta(minutes=45)
"""Within which two sightings of one platform are of one pass: between the half hour of a datatake and
what an orbit leaves of its 99 minutes beside it."""

NEAR = timedelta(minutes=5)
"""The same where a platform is not told: what a pass needs for 2000 km."""

SAME_ORBIT = timedelta(hours=36)
"""The same where both state the same orbit: a day, for times that know no more, and its night."""


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
        within = _within(self, other)
        if within is None:
            return None
        times = [other.time] if isinstance(other, Sighting) else other.times
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


def _within(one: Pass, other: Sighting | Pass) -> timedelta | None:
    """Return how near in time two must be to be of one pass; none: they never are."""
    if one.family != other.family:
        return None
    both_platforms, both_orbits = one.platform and other.platform, one.orbit and other.orbit
    if both_platforms and one.platform != other.platform:
        return None
    if both_orbits and one.orbit != other.orbit:
        return None
    if both_orbits:
        return SAME_ORBIT
    return SAME_PLATFORM if both_platforms else NEAR


def _most_told_first(part: Pass) -> tuple[object, ...]:
    return (not part.platform, not part.orbit, *_order(part))


def _order(part: Pass) -> tuple[object, ...]:
    return part.times[0], part.family, part.platform, part.orbit
