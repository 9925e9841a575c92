"""Replaying a run's commits on top of what another run has published.

Icechunk can rebase a session, but not a branch of commits whose time axes grew on both sides. A run only
writes cells, and a cell's fingerprint identifies what made it. So comparing fingerprints finds the cells
that the run wrote; they are copied as stored bytes to the position that their scene or period has now.
Nothing is masked or composed again, and no pixel is decoded.

Two runs overlap where both wrote a cell differently, or where one composed a period of a tile whose masks, or masks
of dates that screen or guard it, or of tiles within reach of a method that measures distances to clouds, the other
changed, which the composite would not include. A cell that both made alike is no overlap.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.errors import StoreConflictError
from pipeline.sensors import one_pass, stored_sighting
from pipeline.store.arrays import contents, items_and_records, layout, stored_grid
from pipeline.store.arrays.composites import layers_of
from pipeline.store.arrays.contents import SceneRow
from pipeline.store.arrays.groups import Groups
from pipeline.store.arrays.items_and_records import Ledger
from pipeline.store.versions import copy_chunks
from pipeline.types import Grid, Period


@dataclass(kw_only=True)
class Replay:
    """The replay of a run's work; `steps` does it."""

    base: zarr.Group
    """State that both runs started from."""
    mine: zarr.Group
    """State with this run's commits."""
    theirs: zarr.Group
    """State that the other run published."""
    target: Groups
    """An open session that starts at `theirs`."""
    grid: Grid
    strict: bool
    """Whether an overlap is an error; else their cell stays, and a later run makes it again."""
    overlaps: list[str] = field(default_factory=list)
    _masked: dict[str, tuple[NDArray[np.int64], NDArray[np.bool_]]] = field(
        default_factory=dict
    )
    """Sensor -> times, and the cells (time, tile_y, tile_x) that the other run changed."""

    def steps(self) -> Iterator[int]:
        """Move everything; yield how many cells have been moved, tile by tile.

        Raises
        ------
        StoreConflictError
            The two overlap, and that is an error, or they keep different arrays.
        StoreError
            They have another grid, or other bands.
        """
        stored_grid.same_grid(
            self.mine, stored_grid.grid_of(self.theirs, "the store"), "of this run"
        )
        plans = [*self._mask_plans(), *self._composite_plans()]
        if self.strict and self.overlaps:
            raise StoreConflictError(
                f"another run has published meanwhile and both wrote {self._listed()}: "
                "start this run again, it takes up what does not overlap"
            )
        for plan in plans:
            yield from plan.run(self.grid)

    def _listed(self) -> str:
        shown = "; ".join(self.overlaps[:3])
        more = len(self.overlaps) - 3
        return f"{shown} and {more} more" if more > 0 else shown

    # -- masks ---------------------------------------------------------------------------------

    def _mask_plans(self) -> Iterator[copy_chunks.Move]:
        for sensor in contents.group_names(self.mine, "masks"):
            base, mine, theirs = self._three("masks", sensor)
            assert mine is not None
            rows, blocked = self._rows(sensor, base, mine, theirs)
            group = self.target.masks_made(sensor, self.grid)
            group.set_scenes(rows)
            if "confidence" in mine:
                group.keep_confidence(self.grid)
            if contents.levels(mine):
                group.keep_levels(self.grid)
            times = contents.times(mine)
            places = copy_chunks.places(times, contents.length(base), group.axis)
            states = copy_chunks.changed_cells(base, mine, theirs, places)
            self._masked[sensor] = contents.times(theirs), states.theirs_changed
            states.block(blocked)
            for at, tile in states.overlaps():
                when = layout.instants(times[at : at + 1])[0]
                self._overlap(f"tile {tile} of {sensor}, {when:%Y-%m-%d %H:%M}")
            yield copy_chunks.Move(mine=mine, group=group, states=states, places=places)

    def _rows(
        self,
        sensor: str,
        base: zarr.Group | None,
        mine: zarr.Group,
        theirs: zarr.Group | None,
    ) -> tuple[list[SceneRow], list[int]]:
        """Return the scenes that this run changed, and positions of those that both did."""
        old, new, other = (contents.scene_rows(each) for each in (base, mine, theirs))
        changed, blocked = [], []
        for at, row in enumerate(new):
            if at < len(old) and row == old[at]:
                continue
            rival = _rival(sensor, row, at, old, other)
            if rival is None:
                changed.append(row)
            elif rival != row:
                self._overlap(f"the scene of {sensor} at {row[0]:%Y-%m-%d %H:%M}")
                if at >= len(old):
                    blocked.append(at)
        return changed, blocked

    # -- composites ----------------------------------------------------------------------------

    def _composite_plans(self) -> Iterator[copy_chunks.Move]:
        positions = self._item_positions()
        for name in contents.group_names(self.mine, "composites"):
            base, mine, theirs = self._three("composites", name)
            assert mine is not None
            roles = [str(each) for each in mine.attrs["roles"]]  # type: ignore[union-attr]
            group = self.target.composites_made(name, self.grid, roles, layers_of(mine))
            group.require(roles, dict(mine.attrs))
            group.set_attributes(
                {k: v for k, v in mine.attrs.items() if base is None or base.attrs.get(k) != v}
            )
            bounds = contents.period_bounds(mine)
            group.set_periods(_periods(bounds[contents.length(base) :]))
            if contents.levels(mine):
                group.keep_levels(self.grid)
            places = copy_chunks.places(bounds[:, 0], contents.length(base), group.axis)
            states = copy_chunks.changed_cells(base, mine, theirs, places)
            for at, period in enumerate(_periods(bounds)):
                decided_by = _decided_by(period, mine.attrs)
                states.block_where(at, self._masks_changed(decided_by, _reach_m(mine.attrs)))
            for at, tile in states.overlaps():
                when = layout.instants(bounds[at, :1])[0]
                self._overlap(f"tile {tile} of composite {name}, from {when:%Y-%m-%d}")
            yield copy_chunks.Move(
                mine=mine, group=group, states=states, places=places, positions=positions
            )

    def _masks_changed(self, period: Period, reach_m: float) -> NDArray[np.bool_]:
        """Say of each tile whether the other run changed masks of a period within reach of it."""
        start, end = layout.microseconds([period.start, period.end])
        found = np.zeros(self.grid.shape_in_tiles, bool)
        for times, changed in self._masked.values():
            inside = (times >= start) & (times < end)
            found |= changed[: times.size][inside].any(axis=0)
        for _ in range(math.ceil(reach_m / (self.grid.resolution_m * self.grid.tile_px))):
            found = _with_neighbours(found)
        return found

    def _item_positions(self) -> NDArray[np.int64]:
        """Register this run's items; return the new position of each by the old one."""
        group = layout.group_of(self.mine, items_and_records.NAME)
        if group is None:
            return np.zeros(0, np.int64)
        mine = Ledger(group)
        before = layout.group_of(self.base, items_and_records.NAME)
        known = Ledger(before).digests if before is not None else np.zeros(0, np.uint64)
        digests, ids = mine.digests, mine.ids
        news = [n for n in range(len(ids)) if n >= known.size or digests[n] != known[n]]
        documents = mine.documents()
        found = Ledger.of(self.target.root).register({ids[n]: documents[n] for n in news})
        positions = np.arange(len(ids))
        positions[news] = found
        return positions

    # -- both ----------------------------------------------------------------------------------

    def _three(
        self, kind: str, name: str
    ) -> tuple[zarr.Group | None, zarr.Group | None, zarr.Group | None]:
        base, mine, theirs = (
            layout.group_of(root, f"{kind}/{name}")
            for root in (self.base, self.mine, self.theirs)
        )
        return base, mine, theirs

    def _overlap(self, what: str) -> None:
        self.overlaps.append(what)


def _rival(
    sensor: str, row: SceneRow, at: int, old: Sequence[SceneRow], other: Sequence[SceneRow]
) -> SceneRow | None:
    """Return the other run's row of a scene, if it changed or added the same scene.

    It may have found other items of the same pass, and so another time.
    """
    if at < len(old):
        return other[at] if other[at] != old[at] else None
    seen = stored_sighting(sensor, *row)
    for each in other[len(old) :]:
        if each[0] == row[0] or set(each[2]) & set(row[2]):
            return each
        if one_pass(seen, stored_sighting(sensor, *each)):
            return each
    return None


def _decided_by(period: Period, attributes: Mapping[str, Any]) -> Period:
    """Return the span of time whose masks decide a period: more than itself if it is screened or guarded."""
    judged = json.loads(attributes.get("judged_by", "{}"))
    screened, guarded = (
        timedelta(days=(judged.get(name) or {}).get("history_days", 0))
        for name in ("screen", "guard")
    )
    return Period(
        start=min(period.start - screened, period.end - guarded), end=period.end + screened
    )


def _reach_m(attributes: Mapping[str, Any]) -> float:
    """Return how far from a pixel masks decide a composite."""
    return float(attributes.get("reach_m", 0.0))


def _with_neighbours(tiles: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return (tile_y, tile_x) with the eight around each."""
    wide = np.pad(tiles, 1)
    rows = wide[:-2] | wide[1:-1] | wide[2:]
    return rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]


def _periods(bounds: NDArray[np.int64]) -> list[Period]:
    return [Period(start=_instant(start), end=_instant(end)) for start, end in bounds]


def _instant(value: int) -> datetime:
    return layout.instants(np.array([value]))[0]
