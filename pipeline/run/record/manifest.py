"""What each tile holds of each period, and what it lacks: the manifest of a run's record."""

from __future__ import annotations

from bisect import bisect
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from pipeline.run.plan.plan import Plan
from pipeline.types import Period, TileReceipt
from pipeline.types.record import Holding

Key = int
"""Number of a pass: the position of its scene, or of one that has none; see `Plan.missed`."""


@dataclass(slots=True)
class _Row:
    """A row in the making: positions of items, and keys of scenes."""

    expected: set[int] = field(default_factory=set)
    dropped: set[int] = field(default_factory=set)
    cells: set[Key] = field(default_factory=set)
    incomplete: set[Key] = field(default_factory=set)
    unreadable: int = 0


def manifest(plan: Plan, receipts: Iterable[TileReceipt]) -> tuple[Holding, ...]:
    """Draw up what was expected, used and dropped, tile by tile and period by period.

    Parameters
    ----------
    plan
        Expects the items that cover a tile, those included that were dropped before a pixel was read.
    receipts
        Of the tiles that were done. In others complete is what the store had before: of a run that
        failed, what it did not come to is not.

    Returns
    -------
    A row for each tile and period of the composite, or for the job's whole period where there is none;
    without those that no item covers. Cells add up to `Record.expected` and `Record.complete`.
    """
    drawn = _Drawn(plan)
    drawn.add_items()
    drawn.add_missed()
    done = set()
    for receipt in receipts:
        drawn.add_receipt(receipt)
        done.add(receipt.tile)
    drawn.add_undone(done)
    return tuple(drawn.holdings())


class _Drawn:
    """A manifest in the making."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._periods = plan.periods or (plan.job.period,)
        self._period_of: dict[Key, int] = {}
        """A pass has one period, although its items may lie on both sides of midnight."""
        self._rows: defaultdict[tuple[int, int], _Row] = defaultdict(_Row)
        """(tile, period) -> row."""
        self._tiles = {tile.name: row for row, tile in enumerate(plan.tiles)}
        self._scene_of = {
            p: number for number, scene in enumerate(plan.scenes) for p in scene.items
        }
        self._number = {
            (scene.sensor, scene.time): number for number, scene in enumerate(plan.scenes)
        }
        self._positions = {item.id: p for p, item in enumerate(plan.items)}

    def add_items(self) -> None:
        """Expect what covers each cell."""
        cells = self._plan.cells
        periods = [
            self._period(number, scene.time) for number, scene in enumerate(self._plan.scenes)
        ]
        for tile, column in np.argwhere(cells.covered).tolist():
            row = self._rows[tile, periods[column]]
            row.expected.update(cells.sets[cells.chosen[tile, column]])
            row.cells.add(column)

    def add_missed(self) -> None:
        """Expect, and miss, what was dropped before a pixel was read."""
        first = len(self._plan.items)
        for position, key, tile in self._plan.missed.T.tolist():
            item = self._plan.items.missed[position]
            assert item.datetime is not None
            row = self._rows[tile, self._period(key, item.datetime)]
            row.expected.add(first + position)
            row.dropped.add(first + position)
            row.cells.add(key)
            row.incomplete.add(key)

    def add_receipt(self, receipt: TileReceipt) -> None:
        """Note what could not be read."""
        tile = self._tiles[receipt.tile]
        for dropped in receipt.dropped:
            position = self._positions.get(dropped.item_id)
            if position is None:
                # Of a scene that the store had: composed with the job's, expected of an earlier one.
                continue
            key = self._scene_of[position]
            row = self._rows[tile, self._period_of[key]]
            row.dropped.add(position)
            row.incomplete.add(key)
        for cell in receipt.cells:
            if cell.status == "unreadable":
                key = self._number[cell.sensor, cell.time]
                self._rows[tile, self._period_of[key]].unreadable += 1

    def add_undone(self, done: Collection[str]) -> None:
        """Note the cells that were to be done in tiles that the run did not come to."""
        cells = self._plan.cells
        for tile, column in np.argwhere(cells.covered & ~cells.unchanged).tolist():
            if self._plan.tiles[tile].name not in done:
                self._rows[tile, self._period_of[column]].incomplete.add(column)

    def holdings(self) -> Iterator[Holding]:
        for (tile, period), row in sorted(self._rows.items()):
            yield Holding(
                tile=self._plan.tiles[tile].name,
                period=_named(self._periods[period]),
                expected=tuple(sorted(row.expected)),
                dropped=tuple(sorted(row.dropped)),
                cells=len(row.cells),
                complete=len(row.cells - row.incomplete),
                unreadable=row.unreadable,
            )

    def _period(self, key: Key, time: datetime) -> int:
        """Return the position of the period that a scene belongs to.

        The first or the last for what lies just outside: a scene keeps the time by which the store
        knows it.
        """
        starts = [each.start for each in self._periods]
        return self._period_of.setdefault(key, max(0, bisect(starts, time) - 1))


def _named(period: Period) -> str:
    return f"{period.start:%Y-%m-%d}/{period.end:%Y-%m-%d}"
