"""Items -> scenes: one for each sensor and pass; `pipeline.run.common.passes` says what a pass is."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pystac

from pipeline import sensors
from pipeline.errors import EmptySearchError
from pipeline.run.common.passes import Pass, passes_of
from pipeline.types import Dropped, Items, Period, Scene

AFTER = timedelta(microseconds=1)
"""Distance between two scenes that began at the same instant: the finest step of time in the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownScene:
    """A scene as the store lists it."""

    time: datetime
    platform: str
    items: tuple[str, ...]
    """Ids."""


Known = Mapping[str, Sequence[KnownScene]]
"""Sensor -> scenes that the store has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passes:
    """The passes of a search."""

    scenes: tuple[Scene, ...]
    """Those with at least one item that can be used, sorted by (time, sensor)."""
    missed: tuple[int, ...]
    """For each of `Items.missed` the number of its pass: the position of its scene, or, from the number of
    scenes on, a pass without any item that can be used."""


def scenes_of(items: Items, known: Known | None = None) -> tuple[Scene, ...]:
    """Group items into scenes; see `find_passes`."""
    return find_passes(items, known).scenes


def find_passes(
    items: Items, known: Known | None = None, period: Period | None = None
) -> Passes:
    """Group items by sensor and pass.

    Parameters
    ----------
    items
        Items in mosaic order: by (datetime, id).
    known
        Scenes of the store. They stay separate and keep their time, even when an item is added that is
        earlier than all others of its pass.
    period
        Scenes of the store outside of it get no items; None: all may.
    """
    found = [*items.items, *items.missed]
    seen = [sensors.sighting(item) for item in found]
    by_sensor: defaultdict[str, list[int]] = defaultdict(list)
    for position, each in enumerate(seen):
        by_sensor[each.sensor].append(position)
    scenes: list[tuple[Scene, list[int]]] = []
    lost: list[list[int]] = []
    for sensor, positions in by_sensor.items():
        stored = (known or {}).get(sensor, ())
        open_to = [each for each in stored if period is None or each.time in period]
        parts = _parts(sensor, positions, found, seen, open_to)
        taken = {each.time for each in stored}
        for part in parts:
            used = [p for p in part.members if p < len(items)]
            if used:
                time = part.time or _free(found[used[0]], taken)
                taken.add(time)
                scene = Scene(
                    sensor=sensor, time=time, items=tuple(used), platform=part.platform
                )
                scenes.append((scene, part.members))
            else:
                lost.append(part.members)
    scenes.sort(key=lambda pair: (pair[0].time, pair[0].sensor))
    number_of = {
        member: number
        for number, members in enumerate([*(each for _, each in scenes), *lost])
        for member in members
    }
    return Passes(
        scenes=tuple(scene for scene, _ in scenes),
        missed=tuple(number_of[p] for p in range(len(items), len(found))),
    )


def of_period(items: Items, known: Known, period: Period) -> Items:
    """Drop items that the store has in a scene of other dates.

    A pass over midnight may begin on the day before the job's dates: the store has its whole scene already.
    """
    elsewhere = {
        name: scene.time
        for stored in known.values()
        for scene in stored
        if scene.time not in period
        for name in scene.items
    }
    out = [item for item in items if item.id in elsewhere]
    if not out:
        return items
    dropped = [
        Dropped(
            item_id=item.id,
            reason=f"it is part of the scene of {elsewhere[item.id].isoformat()}, outside of the job's dates",
        )
        for item in out
    ]
    inside = tuple(item for item in items if item.id not in elsewhere)
    if not inside:
        raise EmptySearchError(
            f"nothing to do within {period}: all {len(out)} items that were found are parts of scenes that "
            f"begin before it, as of {dropped[0].reason.split(' of ', 1)[1]}; ask for the day before, too"
        )
    return replace(items, items=inside, dropped=(*items.dropped, *dropped))


# -- passes and what the store has of them -----------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """The items of one scene."""

    platform: str
    members: list[int]
    """Positions in what was found, in mosaic order."""
    time: datetime | None
    """The time of its scene in the store; None: it has none."""


def _parts(
    sensor: str,
    positions: Sequence[int],
    found: Sequence[pystac.Item],
    seen: Sequence[sensors.Sighting],
    stored: Sequence[KnownScene],
) -> list[_Part]:
    """Group the items of a sensor by pass, and match passes with scenes of the store."""
    drawn = passes_of([seen[p] for p in positions])
    ids = [[found[positions[at]].id for at in each.members] for each in drawn]
    by_pass = _claimed(sensor, drawn, ids, stored)
    parts = []
    for number, each in enumerate(drawn):
        members = [positions[at] for at in each.members]
        for time, its in _split(members, found, by_pass[number]).items():
            parts.append(_Part(platform=each.platform or each.family, members=its, time=time))
    return parts


def _claimed(
    sensor: str,
    drawn: Sequence[Pass],
    ids: Sequence[Sequence[str]],
    stored: Sequence[KnownScene],
) -> defaultdict[int, list[KnownScene]]:
    """Return number of a pass -> its scenes in the store.

    A scene belongs to the pass that has most of its items. Where no item of a scene was found, as when all
    have been reprocessed, it belongs to the nearest pass that may be the same and has no scene yet.
    """
    scene_of = {name: at for at, scene in enumerate(stored) for name in scene.items}
    votes = Counter(
        (scene_of[name], number)
        for number, names in enumerate(ids)
        for name in names
        if name in scene_of
    )
    pass_of: dict[int, int] = {}
    for (at, number), _ in sorted(votes.items(), key=lambda pair: (-pair[1], pair[0])):
        pass_of.setdefault(at, number)
    matched = set(pass_of.values())
    near = []
    for at, scene in enumerate(stored):
        if at in pass_of:
            continue
        one = sensors.stored_sighting(sensor, scene.time, scene.platform, scene.items)
        near += [
            (apart, at, number)
            for number, each in enumerate(drawn)
            if number not in matched and (apart := each.apart(one)) is not None
        ]
    for _, at, number in sorted(near):
        if at not in pass_of and number not in matched:
            pass_of[at] = number
            matched.add(number)
    claimed: defaultdict[int, list[KnownScene]] = defaultdict(list)
    for at, number in sorted(pass_of.items()):
        claimed[number].append(stored[at])
    return claimed


def _split(
    members: Sequence[int], found: Sequence[pystac.Item], scenes: Sequence[KnownScene]
) -> dict[datetime | None, list[int]]:
    """Return time of a scene -> its items; a pass that the store has as two scenes stays two."""
    if len(scenes) < 2:
        return {scenes[0].time if scenes else None: list(members)}
    time_of = {name: scene.time for scene in scenes for name in scene.items}
    parts: defaultdict[datetime | None, list[int]] = defaultdict(list)
    for member in members:
        item = found[member]
        time = time_of.get(item.id) or _nearest(item, scenes)
        parts[time].append(member)
    return parts


def _nearest(item: pystac.Item, scenes: Iterable[KnownScene]) -> datetime:
    when = item.datetime
    assert when is not None
    return min((abs(scene.time - when), scene.time) for scene in scenes)[1]


def _free(item: pystac.Item, taken: set[datetime]) -> datetime:
    """Return the time of a new scene that begins with an item."""
    assert item.datetime is not None
    time = item.datetime
    while time in taken:
        time += AFTER
    return time
